use ratatui::layout::Rect;

use super::*;
use crate::top::prompt::Answering;

fn model() -> Model {
    let mut model = Model::new("http://x", Rect::new(0, 0, 100, 30), 0);
    for (number, state, children) in [
        (1, TaskState::Succeeded, 0),
        (2, TaskState::Running, 3),
        (3, TaskState::Queued, 0),
        (4, TaskState::Waiting, 0),
    ] {
        let open_questions = u32::from(state == TaskState::Waiting);
        let id = format!("id-{number}");
        let task =
            v1::Task { id, number, children, open_questions, state: state.into(), ..Default::default() };
        model.fleet.put(task, number);
    }
    model.fleet.workers = vec![
        v1::Worker { id: "w1".into(), name: "anvil".into(), ..Default::default() },
        v1::Worker { id: "w2".into(), name: "bench".into(), drain: 2, ..Default::default() },
    ];
    model
}

fn typed(model: &mut Model, keys: &str) -> Option<Wish> {
    let mut wish = None;
    for key in keys.chars() {
        wish = press(model, KeyEvent::from(KeyCode::Char(key)));
    }
    wish
}

fn hit(model: &mut Model, key: KeyCode) -> Option<Wish> {
    press(model, KeyEvent::from(key))
}

fn chosen(model: &Model) -> Option<u64> {
    model.task().map(|task| task.number)
}

#[test]
fn keys_move_through_the_list_and_a_choice_stays_with_its_task() {
    let mut model = model();
    assert_eq!(chosen(&model), Some(4), "what waits for someone comes first");
    typed(&mut model, "jj");
    assert_eq!(chosen(&model), Some(3));
    hit(&mut model, KeyCode::Up);
    assert_eq!(chosen(&model), Some(2));
    let moved =
        v1::Task { id: "id-2".into(), number: 2, state: TaskState::Failed.into(), ..Default::default() };
    model.fleet.put(moved, 20);
    assert_eq!(chosen(&model), Some(2), "wherever it went");
    hit(&mut model, KeyCode::End);
    assert_eq!(chosen(&model), Some(1));
    typed(&mut model, "g");
    assert_eq!(chosen(&model), Some(4));
    hit(&mut model, KeyCode::PageDown);
    assert_eq!(chosen(&model), Some(1));
}

#[test]
fn tabs_and_filters_choose_what_is_listed() {
    let mut model = model();
    typed(&mut model, "2");
    assert_eq!((model.tab, chosen(&model)), (Tab::Running, Some(2)));
    hit(&mut model, KeyCode::Tab);
    assert_eq!(model.tab, Tab::Waiting);
    hit(&mut model, KeyCode::BackTab);
    typed(&mut model, "1/que");
    assert_eq!((model.filter.as_str(), chosen(&model)), ("que", Some(3)), "keys are words now");
    paste(&mut model, "ued\nx");
    assert_eq!(model.filter, "queued x");
    hit(&mut model, KeyCode::Backspace);
    hit(&mut model, KeyCode::Enter);
    assert_eq!((chosen(&model), model.prompt.is_none()), (Some(3), true));
    assert_eq!(hit(&mut model, KeyCode::Esc), None, "first it shows all again");
    assert_eq!(model.listed().len(), 4);
    assert_eq!(hit(&mut model, KeyCode::Esc), Some(Wish::Leave));
}

#[test]
fn nothing_is_ended_without_a_yes() {
    let mut model = model();
    typed(&mut model, "j");
    let cancel =
        |with_children| Some(Wish::Call(Call::Cancel { number: 2, task: "id-2".into(), with_children }));
    assert_eq!(typed(&mut model, "cn"), None);
    assert_eq!(typed(&mut model, "cx"), None);
    assert_eq!(typed(&mut model, "cy"), cancel(false));
    assert_eq!(typed(&mut model, "ca"), cancel(true), "it has children");
    typed(&mut model, "j");
    assert_eq!(typed(&mut model, "ca"), None, "task 3 has none");
}

#[test]
fn what_a_task_is_not_ready_for_is_told() {
    let mut model = model();
    for (keys, why) in [("r", "cannot be tried again"), ("ja", "asks nothing"), ("d", "w goes to them")] {
        assert_eq!(typed(&mut model, keys), None);
        let (text, bad) = model.notice().expect("said");
        assert!(bad && text.contains(why), "{keys}: {text}");
    }
    hit(&mut model, KeyCode::End);
    assert_eq!(typed(&mut model, "c"), None);
    assert!(model.notice().is_some_and(|(text, _)| text.contains("has ended already")));
    let retry = Wish::Call(Call::Retry { number: 1, task: "id-1".into() });
    assert_eq!(typed(&mut model, "ry"), Some(retry));
}

#[test]
fn an_answer_is_written_and_kept_until_it_is_taken() {
    let mut model = model();
    assert_eq!(typed(&mut model, "a"), Some(Wish::Call(Call::ReadQuestions { task: "id-4".into() })));
    let question = |id: &str, options: &[&str]| v1::Question {
        id: id.into(),
        task_id: "id-4".into(),
        options: options.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    model.prompt =
        Answering::new(vec![question("q1", &[]), question("q2", &["Redis", "none"])]).map(Prompt::Answer);
    assert_eq!(hit(&mut model, KeyCode::Enter), None, "nothing is written");
    typed(&mut model, "quick");
    let answer = |question: &str, text: &str| {
        let (task, question, text) = ("id-4".to_owned(), question.to_owned(), text.to_owned());
        Some(Wish::Call(Call::Answer { task, question, text }))
    };
    assert_eq!(hit(&mut model, KeyCode::Enter), answer("q1", "quick"));
    assert!(model.prompt.is_some());
    for key in [KeyCode::Tab, KeyCode::Down, KeyCode::Down, KeyCode::Down] {
        hit(&mut model, key);
    }
    assert_eq!(hit(&mut model, KeyCode::Enter), answer("q2", "none"));
    hit(&mut model, KeyCode::Up);
    assert_eq!(hit(&mut model, KeyCode::Enter), answer("q2", "Redis"));
    hit(&mut model, KeyCode::Esc);
    assert!(model.prompt.is_none());
}

#[test]
fn workers_are_drained_and_resumed() {
    let mut model = model();
    let (w1, anvil, w2, bench) = ("w1".to_owned(), "anvil".to_owned(), "w2".to_owned(), "bench".to_owned());
    assert_eq!(typed(&mut model, "wdy"), Some(Wish::Call(Call::Drain { worker: w1, name: anvil })));
    assert_eq!(typed(&mut model, "jdy"), Some(Wish::Call(Call::Resume { worker: w2, name: bench })));
    assert_eq!(typed(&mut model, "c"), None);
    assert!(model.notice().is_some_and(|(text, _)| text.contains("w goes back")));
    assert_eq!(hit(&mut model, KeyCode::Esc), None);
    assert_eq!(model.focus, Focus::Tasks);
}

#[test]
fn pages_open_over_the_lists_and_close() {
    let mut model = model();
    assert_eq!(hit(&mut model, KeyCode::Enter), Some(Wish::OpenLog { number: 4, task: "id-4".into() }));
    assert_eq!(typed(&mut model, "i"), Some(Wish::OpenDetails { number: 4, task: "id-4".into() }));
    assert_eq!(
        typed(&mut model, "cy"),
        Some(Wish::Call(Call::Cancel { number: 4, task: "id-4".into(), with_children: false }))
    );
    assert_eq!(typed(&mut model, "q"), Some(Wish::ClosePage));
    assert_eq!(typed(&mut model, "m"), Some(Wish::OpenMessages));
    assert_eq!(hit(&mut model, KeyCode::Esc), Some(Wish::ClosePage));
    assert_eq!(typed(&mut model, "?"), None);
    assert!(model.page.is_some());
    assert_eq!(typed(&mut model, "?"), Some(Wish::ClosePage));
    assert_eq!(typed(&mut model, "q"), Some(Wish::Leave));
}

#[test]
fn ctrl_c_leaves_from_anywhere() {
    let leave = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    for keys in ["", "/x", "c", "?", "w"] {
        let mut model = model();
        typed(&mut model, keys);
        assert_eq!(press(&mut model, leave), Some(Wish::Leave), "after {keys:?}");
    }
}
