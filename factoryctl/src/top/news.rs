//! What news do to the model.

use factory_proto::client::follow::Update;
use tonic::Code;

use super::feed::{Heard, Loaded, Polled, Reread};
use super::fleet::Link;
use super::model::{Model, Subject};
use super::pages::PageNews;
use super::prompt::{Answering, Prompt};
use super::wish::Wish;
use crate::exit::CommandError;

/// What is to be done next.
#[derive(Debug, PartialEq)]
pub enum Then {
    Nothing,
    /// Read all anew.
    Load,
    /// Follow the events after this cursor, unless they are followed.
    Follow(u64),
    Wish(Wish),
}

/// Takes news in. An error ends the program.
pub fn take(model: &mut Model, heard: Heard) -> Result<Then, CommandError> {
    match heard {
        Heard::Event(Update::Next(event)) => model.fleet.apply(&event),
        Heard::Event(Update::Disconnected { cause, .. }) => {
            model.fleet.link = Link::Lost(cause.message().to_owned());
        }
        Heard::Event(Update::Reconnected) => {
            model.fleet.link = Link::Connected;
            // Events tell of what they missed; workers and what was being read are asked for again.
            return Ok(Then::Load);
        }
        Heard::FeedEnded(status) if status.code() == Code::InvalidArgument => {
            // Its feed is shorter than what was seen of it: another factory answers there now.
            model.fleet.clear();
            model.complain("another factory answers here now");
            return Ok(Then::Load);
        }
        Heard::FeedEnded(status) => return Err(status.into()),
        Heard::Loaded(loaded) => {
            let loaded = loaded?;
            let cursor = loaded.cursor;
            model.take_loaded(loaded);
            return Ok(Then::Follow(cursor));
        }
        // The feed tells of a lost connection, and asks again once it is back.
        Heard::Polled(polled) => {
            if let Ok(polled) = polled {
                model.take_polled(polled);
            }
        }
        Heard::Reread(reread) => return Ok(take_reread(model, reread)),
        Heard::Page(subject, news) => take_page(model, subject, news),
        Heard::Questions(questions) => match Answering::new(questions) {
            Some(answering) if model.prompt.is_none() => model.prompt = Some(Prompt::Answer(answering)),
            Some(_) => {}
            None => model.complain("its questions are answered by now"),
        },
        Heard::Answered(text) => {
            model.prompt = None;
            model.note(text);
        }
        Heard::Done(text) => model.note(text),
        Heard::Refused(why) => match &mut model.prompt {
            Some(Prompt::Answer(answering)) => answering.refused = why,
            _ => model.complain(why),
        },
    }
    Ok(Then::Nothing)
}

fn take_reread(model: &mut Model, reread: Reread) -> Then {
    let shown = match model.page.as_ref().map(|page| page.subject) {
        Some(Subject::Details(number)) => reread.tasks.iter().find(|(task, _)| task.number == number),
        _ => None,
    };
    let again = shown.map(|(task, _)| Wish::OpenDetails { number: task.number, task: task.id.clone() });
    for (task, cursor) in reread.tasks {
        model.fleet.put(task, cursor);
    }
    model.fleet.give_back(reread.unread);
    if let Some(sums) = reread.sums {
        model.fleet.set_sums(sums);
    }
    again.map_or(Then::Nothing, Then::Wish)
}

fn take_page(model: &mut Model, subject: Subject, news: PageNews) {
    let Some(pager) = model.page_of(subject) else { return };
    match news {
        PageNews::Text(text) => pager.replace(&text),
        PageNews::Lines(lines) => {
            for line in lines {
                pager.push(&line);
            }
        }
    }
}

impl Model {
    pub fn take_loaded(&mut self, loaded: Loaded) {
        for (tasks, cursor) in loaded.pages {
            for task in tasks {
                self.fleet.put(task, cursor);
            }
        }
        if let Some(sums) = loaded.sums {
            self.fleet.set_sums(sums);
        }
    }

    pub fn take_polled(&mut self, polled: Polled) {
        self.fleet.workers = polled.workers.workers;
        self.fleet.disk_warning = polled.workers.disk_warning;
        if let Some(running) = polled.running {
            for task in running.tasks {
                self.fleet.put(task, running.cursor);
            }
        }
    }
}
