//! What each key does.

use factory_proto::v1;
use factory_proto::v1::{DrainState, TaskState};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tui_input::Input;

use super::list::Tab;
use super::model::{Focus, Model, Page, Subject};
use super::pager::Pager;
use super::prompt::{self, Confirm, Prompt};
use super::view;
use super::wish::{Call, Wish};
use crate::render::{plain, units};

/// Every key, as the page `?` and the lines at the foot of the screen tell them.
pub const HELP: &str = "\
Everywhere
  q, Esc         back; on the lists: leave
  Ctrl-c         leave
  ?              this page

The lists
  up down j k    choose              PgUp PgDn Home End g G
  Tab, 1 to 6    all, running, waiting, queued, failed, ended tasks
  /              filter by words: number, title, repository, role, worker, state
  w              to the workers and back

A task
  Enter, l       its log, live       i    all about it
  a              answer its question
  c              cancel it           r    try it again, once it has ended
  m              messages, live

A worker
  d              give it nothing new (drain), or resume it

A page
  up down j k PgUp PgDn Home End g G    scroll
  f              follow its end, or stop where it is
";

/// Takes a key, and gives what is to be done about it beyond the screen.
pub fn press(model: &mut Model, key: KeyEvent) -> Option<Wish> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
        return Some(Wish::Leave);
    }
    match model.prompt.take() {
        Some(prompt) => in_prompt(model, prompt, key),
        None if model.page.is_some() => on_page(model, key),
        None => on_lists(model, key),
    }
}

/// Text from the clipboard goes where one writes, and nowhere else.
pub fn paste(model: &mut Model, text: &str) {
    match &mut model.prompt {
        Some(Prompt::Filter(input)) => {
            prompt::paste(input, text);
            model.filter = input.value().to_owned();
        }
        Some(Prompt::Answer(answering)) => prompt::paste(&mut answering.input, text),
        Some(Prompt::Confirm(_)) | None => {}
    }
}

fn in_prompt(model: &mut Model, prompt: Prompt, key: KeyEvent) -> Option<Wish> {
    match (prompt, key.code) {
        (Prompt::Confirm(confirm), _) => confirm.chosen(key).map(Wish::Call),
        (Prompt::Filter(_), KeyCode::Esc) => {
            model.filter.clear();
            None
        }
        (Prompt::Answer(_), KeyCode::Esc) | (Prompt::Filter(_), KeyCode::Enter) => None,
        (Prompt::Filter(mut input), _) => {
            prompt::edit(&mut input, key);
            model.filter = input.value().to_owned();
            model.prompt = Some(Prompt::Filter(input));
            None
        }
        // It stays until the coordinator has taken the answer.
        (Prompt::Answer(answering), KeyCode::Enter) => {
            let call = answering.call();
            model.prompt = Some(Prompt::Answer(answering));
            call.map(Wish::Call)
        }
        (Prompt::Answer(mut answering), _) => {
            answering.press(key);
            model.prompt = Some(Prompt::Answer(answering));
            None
        }
    }
}

fn on_page(model: &mut Model, key: KeyEvent) -> Option<Wish> {
    let height = view::page_body(model.area).height;
    let Some(Page { subject, pager }) = &mut model.page else { return None };
    let subject = *subject;
    if let Some(step) = step_of(key, height) {
        match step {
            Step::By(rows) => pager.scroll(rows, height),
            Step::First => pager.go_to_start(),
            Step::Last => pager.go_to_end(),
        }
        return None;
    }
    match (key.code, subject) {
        (KeyCode::Char('q') | KeyCode::Esc, _) | (KeyCode::Char('?'), Subject::Help) => {
            model.page = None;
            Some(Wish::ClosePage)
        }
        (KeyCode::Char('f'), _) => {
            pager.toggle_following(height);
            None
        }
        (KeyCode::Char(key @ ('i' | 'l' | 'c' | 'r' | 'a')), Subject::Log(task) | Subject::Details(task)) => {
            let task = model.fleet.task(task)?.clone();
            for_task(model, &task, key)
        }
        _ => None,
    }
}

fn on_lists(model: &mut Model, key: KeyEvent) -> Option<Wish> {
    if let Some(step) = step_of(key, view::list_height(model)) {
        match step {
            Step::By(places) => model.step(places),
            Step::First => model.choose_first(),
            Step::Last => model.step(isize::MAX),
        }
        return None;
    }
    match key.code {
        KeyCode::Char('q') => return Some(Wish::Leave),
        KeyCode::Esc if model.focus == Focus::Workers => model.focus = Focus::Tasks,
        KeyCode::Esc if !model.filter.is_empty() => model.filter.clear(),
        KeyCode::Esc => return Some(Wish::Leave),
        KeyCode::Char('?') => {
            let mut pager = Pager::from_the_top("Keys".to_owned(), model.area.width);
            pager.replace(HELP);
            model.open(Subject::Help, pager);
        }
        KeyCode::Char('w') => {
            model.focus = match model.focus {
                Focus::Tasks => Focus::Workers,
                Focus::Workers => Focus::Tasks,
            };
        }
        KeyCode::Char('/') => {
            model.focus = Focus::Tasks;
            model.prompt = Some(Prompt::Filter(Input::new(model.filter.clone())));
        }
        KeyCode::Tab | KeyCode::Right => model.tab = model.tab.next(1),
        KeyCode::BackTab | KeyCode::Left => model.tab = model.tab.next(-1),
        KeyCode::Char(digit @ '1'..='6') => {
            let place = usize::from(u8::try_from(digit).unwrap_or(b'1') - b'1');
            model.tab = Tab::ALL.get(place).copied().unwrap_or_default();
        }
        KeyCode::Char('m') => {
            model.open(Subject::Messages, Pager::following("Messages".to_owned(), model.area.width));
            return Some(Wish::OpenMessages);
        }
        KeyCode::Char('d') => return drain_or_resume(model),
        KeyCode::Enter if model.focus == Focus::Tasks => return chosen(model, 'l'),
        KeyCode::Char(key @ ('i' | 'l' | 'c' | 'r' | 'a')) if model.focus == Focus::Tasks => {
            return chosen(model, key);
        }
        KeyCode::Enter | KeyCode::Char('i' | 'l' | 'c' | 'r' | 'a') => {
            model.complain("that is for tasks; w goes back to them");
        }
        _ => {}
    }
    None
}

enum Step {
    By(isize),
    First,
    Last,
}

/// How a key moves through a list or a page of this height.
fn step_of(key: KeyEvent, height: u16) -> Option<Step> {
    let page = isize::try_from(height.max(2)).unwrap_or(isize::MAX) - 1;
    Some(match key.code {
        KeyCode::Up | KeyCode::Char('k') => Step::By(-1),
        KeyCode::Down | KeyCode::Char('j') => Step::By(1),
        KeyCode::PageUp => Step::By(-page),
        KeyCode::PageDown | KeyCode::Char(' ') => Step::By(page),
        KeyCode::Home | KeyCode::Char('g') => Step::First,
        KeyCode::End | KeyCode::Char('G') => Step::Last,
        _ => return None,
    })
}

fn chosen(model: &mut Model, key: char) -> Option<Wish> {
    let Some(task) = model.task().cloned() else {
        model.complain("there is no task here");
        return None;
    };
    for_task(model, &task, key)
}

fn for_task(model: &mut Model, task: &v1::Task, key: char) -> Option<Wish> {
    let (number, id) = (task.number, task.id.clone());
    let title = task.spec.as_ref().map(|spec| plain::line(&spec.title)).unwrap_or_default();
    let name = format!("task {number} ({})", plain::shorten(&title, 40));
    match key {
        'l' => {
            let pager = Pager::following(format!("Log of task {number}: {title}"), model.area.width);
            model.open(Subject::Log(number), pager);
            Some(Wish::OpenLog { number, task: id })
        }
        'i' => {
            let pager = Pager::from_the_top(format!("Task {number}: {title}"), model.area.width);
            model.open(Subject::Details(number), pager);
            Some(Wish::OpenDetails { number, task: id })
        }
        'a' if task.open_questions == 0 => refuse(model, format!("{name} asks nothing")),
        'a' => Some(Wish::Call(Call::ReadQuestions { task: id })),
        'c' if task.state().is_terminal() => refuse(model, format!("{name} has ended already")),
        'c' if task.state() == TaskState::Cancelling => refuse(model, format!("{name} is being ended")),
        'c' => {
            let cancel = |with_children| Call::Cancel { number, task: id.clone(), with_children };
            let confirm = Confirm::new(format!("Cancel {name}?"), cancel(false));
            model.prompt = Some(Prompt::Confirm(match task.children {
                0 => confirm,
                _ => confirm.or('a', "with all submitted for it", cancel(true)),
            }));
            None
        }
        'r' if !task.state().is_terminal() => {
            let state = task.state().name();
            refuse(model, format!("{name} is {state}; what has not ended cannot be tried again"))
        }
        _ => {
            let spent = super::fleet::cost_micro_usd(task);
            let cost = if spent == 0 { String::new() } else { format!(" It cost {}.", units::money(spent)) };
            let question = format!("Try {name} again, as a new task?{cost}");
            model.prompt = Some(Prompt::Confirm(Confirm::new(question, Call::Retry { number, task: id })));
            None
        }
    }
}

fn drain_or_resume(model: &mut Model) -> Option<Wish> {
    if model.focus == Focus::Tasks {
        return refuse(model, "that is for workers; w goes to them".to_owned());
    }
    let Some(worker) = model.worker() else {
        return refuse(model, "no worker has registered".to_owned());
    };
    let (id, name) = (worker.id.clone(), plain::line(&worker.name));
    let confirm = match worker.drain() {
        DrainState::Unspecified => Confirm::new(
            format!("Drain {name}? What it runs goes on; it is given nothing new."),
            Call::Drain { worker: id, name },
        ),
        DrainState::Draining | DrainState::Drained => {
            Confirm::new(format!("Offer {name} work again?"), Call::Resume { worker: id, name })
        }
    };
    model.prompt = Some(Prompt::Confirm(confirm));
    None
}

fn refuse(model: &mut Model, why: String) -> Option<Wish> {
    model.complain(why);
    None
}

#[cfg(test)]
mod tests;
