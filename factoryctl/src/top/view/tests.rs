//! Frames as they come out, by the lines that matter.

use factory_proto::v1;
use factory_proto::v1::{DrainState, TaskState};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::*;
use crate::top::fleet::Link;
use crate::top::keys::{self, press};
use crate::top::pager::Pager;
use crate::top::prompt::Answering;
use ratatui::crossterm::event::{KeyCode, KeyEvent};

const NOW: i64 = 1_000_000;

fn task(number: u64, title: &str, state: TaskState) -> v1::Task {
    let spec = v1::TaskSpec {
        title: title.into(),
        repo: "git@example.org:octo/app.git".into(),
        role: "coder".into(),
        ..Default::default()
    };
    v1::Task {
        id: format!("id-{number}"),
        number,
        spec: Some(spec),
        state: state.into(),
        submitted_at_ms: NOW - 300_000,
        updated_at_ms: NOW - 72_000,
        ..Default::default()
    }
}

fn model(width: u16, height: u16) -> Model {
    let mut model = Model::new("http://127.0.0.1:8100", Rect::new(0, 0, width, height), NOW);
    let mut running = task(3, "Fix the search", TaskState::Running);
    (running.worker_name, running.attempts) = ("anvil".into(), 2);
    (running.progress, running.progress_percent) = ("reading \x1b[2Jtests".into(), Some(40));
    let mut failed = task(2, "Fix the cache", TaskState::Failed);
    failed.failure = Some(v1::Failure { reason: "agent_error".into(), message: "exit 1".into() });
    failed.ended_at_ms = NOW - 200_000;
    let usage = v1::Usage { cost_micro_usd: 1_230_000, ..Default::default() };
    failed.report = Some(v1::Report { usage: Some(usage), ..Default::default() });
    let mut waiting = task(1, "Ask me", TaskState::Waiting);
    waiting.open_questions = 1;
    for task in [running, failed, waiting, task(4, "Later", TaskState::Queued)] {
        model.fleet.put(task, 9);
    }
    let mut worker = v1::Worker {
        id: "w1".into(),
        name: "anvil".into(),
        slots: 4,
        busy: 1,
        connected: true,
        version: "0.1.0".into(),
        ..Default::default()
    };
    worker.load = Some(v1::HostLoad { load_1m_hundredths: 125, cpus: 8, ..Default::default() });
    let mut away = v1::Worker { id: "w2".into(), name: "bench".into(), slots: 2, ..Default::default() };
    away.set_drain(DrainState::Drained);
    model.fleet.workers = vec![worker, away];
    model
}

fn frame(model: &Model, theme: Theme) -> Terminal<TestBackend> {
    let mut terminal =
        Terminal::new(TestBackend::new(model.area.width, model.area.height)).expect("a terminal");
    terminal
        .draw(|frame| {
            if let Some(cursor) = draw(model, theme, frame.area(), frame.buffer_mut()) {
                frame.set_cursor_position(cursor);
            }
        })
        .expect("drawn");
    terminal
}

fn lines(model: &Model) -> Vec<String> {
    let terminal = frame(model, Theme { colored: true });
    let buffer = terminal.backend().buffer();
    let row = |y| (0..buffer.area.width).filter_map(|x| Some(buffer.cell((x, y))?.symbol())).collect();
    (0..buffer.area.height).map(row).collect()
}

/// The one line that has `mark` has all of `parts`.
fn has(lines: &[String], mark: &str, parts: &[&str]) {
    let found: Vec<_> = lines.iter().filter(|line| line.contains(mark)).collect();
    assert_eq!(found.len(), 1, "{mark} in {lines:#?}");
    for part in parts {
        assert!(found[0].contains(part), "{part:?} is not in {:?}", found[0]);
    }
}

#[test]
fn a_wide_screen_has_all_columns() {
    let lines = lines(&model(160, 30));
    has(&lines, "factory ", &["http://127.0.0.1:8100", "connected", "■□□□ 1/4 slots", "$1.23", "1 question"]);
    has(&lines, "1 waiting", &["● 1 running", "○ 1 queued", "✗ 1 failed", "✓ 0 succeeded"]);
    has(&lines, "Workers: 2", &["1 away"]);
    has(&lines, "1.25 of 8", &["anvil", "connected", "■□□□ 1/4", "0.1.0"]);
    has(&lines, "bench", &["away, drained"]);
    has(
        &lines,
        "Fix the search",
        &["● running", "app", "coder", "anvil", "5m", "1m12s", "2", "40%", "reading tests"],
    );
    has(&lines, "Fix the cache", &["✗ failed", "agent_error: exit 1", "$1.23"]);
    has(&lines, "Ask me", &["? waiting", "asks 1 question"]);
    has(&lines, "All 4", &["Running 1", "Waiting 1", "Failed 1"]);
    assert!(lines.last().is_some_and(|keys| keys.starts_with("q quit")));
}

#[test]
fn a_narrow_screen_keeps_what_matters() {
    let model = model(60, 15);
    let lines = lines(&model);
    has(&lines, "factory ", &["● connected", "1/4 slots"]);
    has(&lines, "Fix the search", &["    3", "●", "1m12s"]);
    assert!(!lines.iter().any(|line| line.contains("bench")), "workers make room: {lines:#?}");
    for size in [(40, 8), (20, 5), (1, 1), (5, 2)] {
        lines_at(size);
    }
}

fn lines_at((width, height): (u16, u16)) {
    let mut model = model(width, height);
    model.focus = Focus::Workers;
    assert_eq!(lines(&model).len(), usize::from(height));
    model.open(Subject::Help, Pager::from_the_top("Keys".into(), width));
    lines(&model);
}

#[test]
fn a_lost_connection_is_told_with_what_is_known_still_there() {
    let mut model = model(100, 24);
    model.fleet.link = Link::Lost("the connection broke".into());
    let lines = lines(&model);
    has(&lines, "reconnecting", &["http://127.0.0.1:8100"]);
    assert!(lines.last().is_some_and(|line| line.starts_with("the connection broke")));
    has(&lines, "Fix the search", &["running"]);
}

#[test]
fn what_keys_go_to_stands_out_and_colours_follow_the_state() {
    let model = model(100, 24);
    let terminal = frame(&model, Theme { colored: true });
    let buffer = terminal.backend().buffer();
    let cells = || buffer.content().iter();
    let chosen: String =
        cells().filter(|cell| cell.modifier.contains(Modifier::REVERSED)).map(|cell| cell.symbol()).collect();
    assert!(chosen.contains("Ask me") && !chosen.contains("Fix"), "{chosen}");
    assert!(cells().any(|cell| cell.fg == Color::Red));
    let plain = frame(&model, Theme { colored: false });
    assert!(plain.backend().buffer().content().iter().all(|cell| cell.fg == Color::Reset));
}

#[test]
fn a_question_is_asked_over_the_lists_with_a_line_to_write_on() {
    let mut model = model(80, 24);
    let question = v1::Question {
        number: 5,
        task_number: 1,
        task_title: "Ask me".into(),
        text: "Which \x1b[31mdatabase?".into(),
        options: vec!["PostgreSQL".into(), "SQLite".into()],
        ..Default::default()
    };
    model.prompt = Answering::new(vec![question]).map(Prompt::Answer);
    for key in [KeyCode::Down, KeyCode::Down] {
        press(&mut model, KeyEvent::from(key));
    }
    let lines = lines(&model);
    has(&lines, "Question 5 of task 1", &["Ask me"]);
    has(&lines, "database?", &["Which database?"]);
    has(&lines, "▸ 2) SQLite", &[]);
    has(&lines, "> SQLite", &[]);
    let mut terminal = frame(&model, Theme { colored: true });
    terminal.backend_mut().assert_cursor_position((8, 22));
}

#[test]
fn a_page_takes_the_place_of_the_lists() {
    let mut model = model(80, 24);
    press(&mut model, KeyEvent::from(KeyCode::Char('?')));
    let shown = lines(&model);
    for line in keys::HELP.lines().filter(|line| !line.is_empty()).take(15) {
        assert!(shown.iter().any(|row| row.trim_end() == line), "{line:?} is not in {shown:#?}");
    }
    press(&mut model, KeyEvent::from(KeyCode::Esc));
    press(&mut model, KeyEvent::from(KeyCode::Char('l')));
    let pager = model.page_of(Subject::Log(1)).expect("the log of the first task");
    for n in 0..100 {
        pager.push(&format!("line {n}"));
    }
    let lines = lines(&model);
    has(&lines, "Log of task 1: Ask me", &["follows"]);
    has(&lines, "line 99", &[]);
    assert!(lines.last().is_some_and(|keys| keys.contains("f follow")));
}

#[test]
fn one_who_acts_is_asked_first_and_told_after() {
    let mut model = model(100, 24);
    press(&mut model, KeyEvent::from(KeyCode::Char('c')));
    let shown = lines(&model);
    assert!(
        shown.last().is_some_and(|line| line.starts_with("Cancel task 1 (Ask me)? y yes, n no")),
        "{shown:#?}"
    );
    press(&mut model, KeyEvent::from(KeyCode::Char('n')));
    model.note("task 1 was asked to end");
    assert!(lines(&model).last().is_some_and(|line| line.starts_with("task 1 was asked to end")));
    model.now_ms += 60_000;
    assert!(lines(&model).last().is_some_and(|line| line.starts_with("q quit")), "a notice does not stay");
}
