//! What news do to the model.

use factory_proto::client::follow::Update;
use tonic::Code;

use super::feed::{Heard, Loaded, Polled, Reread};
use super::fleet::Link;
use super::model::{Model, Subject};
use super::pages::PageNews;
use super::prompt::{Answering, Prompt};
use super::wish::Wish;
use crate::exit::{CommandError, Exit};
use crate::render::plain;

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
        Heard::Loaded(Ok(loaded)) => {
            let cursor = loaded.cursor;
            model.take_loaded(loaded);
            return Ok(Then::Follow(cursor));
        }
        Heard::Polled(Ok(polled)) => model.take_polled(polled),
        // It has gone again: what was to be read is read once it is back.
        Heard::Loaded(Err(error)) | Heard::Polled(Err(error)) if error.exit() == Exit::Unreachable => {
            model.complain(plain::line(&error.to_string()));
        }
        Heard::Loaded(Err(error)) | Heard::Polled(Err(error)) => return Err(error),
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
        self.fleet.set_sums(loaded.sums);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use factory_proto::v1;
    use factory_proto::v1::TaskState;
    use ratatui::layout::Rect;
    use tonic::Status;

    use super::*;
    use crate::top::pager::Pager;

    fn model() -> Model {
        Model::new("http://x", Rect::new(0, 0, 80, 24), 0)
    }

    fn read(number: u64) -> v1::Task {
        v1::Task {
            id: format!("id-{number}"),
            number,
            state: TaskState::Running.into(),
            ..Default::default()
        }
    }

    fn heard(model: &mut Model, heard: Heard) -> Then {
        take(model, heard).expect("it goes on")
    }

    #[test]
    fn a_lost_connection_is_told_and_all_is_read_once_it_is_back() {
        let mut model = model();
        let (cause, retry_in) = (Status::unavailable("gone"), Duration::from_secs(1));
        let lost = Heard::Event(Update::Disconnected { cause, retry_in });
        assert_eq!(heard(&mut model, lost), Then::Nothing);
        assert_eq!(model.fleet.link, Link::Lost("gone".into()));
        assert_eq!(heard(&mut model, Heard::Event(Update::Reconnected)), Then::Load);
        assert!(model.fleet.is_connected());
        let again = Heard::Loaded(Err(Status::unavailable("gone again").into()));
        assert_eq!(heard(&mut model, again), Then::Nothing, "that is no reason to leave");
        let loaded =
            Loaded { pages: vec![(vec![read(3)], 9)], sums: v1::StatsResponse::default(), cursor: 9 };
        assert_eq!(heard(&mut model, Heard::Loaded(Ok(loaded))), Then::Follow(9));
        assert!(model.fleet.task(3).is_some());
    }

    #[test]
    fn another_factory_at_the_same_place_is_read_from_its_beginning() {
        let mut model = model();
        model.fleet.put(read(3), 9);
        let ended = Heard::FeedEnded(Status::invalid_argument("is 9, and the feed ends at 2"));
        assert_eq!(heard(&mut model, ended), Then::Load);
        assert_eq!(model.fleet.tasks().count(), 0);
        let refused = Heard::FeedEnded(Status::unauthenticated(""));
        assert_eq!(take(&mut model, refused).map_err(|error| error.exit()), Err(Exit::Refused));
    }

    #[test]
    fn an_answer_that_is_not_taken_stays_to_be_mended() {
        let mut model = model();
        heard(&mut model, Heard::Questions(vec![v1::Question::default()]));
        heard(&mut model, Heard::Refused("is none of the options".into()));
        let Some(Prompt::Answer(answering)) = &model.prompt else { panic!("it is gone") };
        assert_eq!(answering.refused, "is none of the options");
        heard(&mut model, Heard::Answered("question 1 of task 3 is answered".into()));
        assert!(model.prompt.is_none());
        assert_eq!(model.notice(), Some(("question 1 of task 3 is answered", false)));
        heard(&mut model, Heard::Questions(Vec::new()));
        assert!(model.notice().is_some_and(|(_, bad)| bad), "somebody else was faster");
    }

    #[test]
    fn news_of_a_page_that_was_left_are_dropped_and_a_task_looked_at_is_shown_anew() {
        let mut model = model();
        model.open(Subject::Details(3), Pager::from_the_top("Task 3".into(), 80));
        let lines = || PageNews::Lines(vec!["of another".into()]);
        heard(&mut model, Heard::Page(Subject::Log(3), lines()));
        assert_eq!(model.page_of(Subject::Details(3)).map(|page| page.window(9).count()), Some(0));
        let reread = Reread { tasks: vec![(read(2), 9), (read(3), 9)], unread: vec![3], sums: None };
        let again = Wish::OpenDetails { number: 3, task: "id-3".into() };
        assert_eq!(heard(&mut model, Heard::Reread(reread)), Then::Wish(again));
        assert_eq!(model.fleet.stale(), 1, "what could not be read is asked for again");
    }
}
