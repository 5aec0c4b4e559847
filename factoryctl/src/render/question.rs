//! Questions, for people.

use std::fmt::Write as _;

use comfy_table::{Cell, Table};
use factory_proto::v1;
use factory_proto::v1::QuestionState;

use crate::render::console::{BOLD, DIM};
use crate::render::{Console, plain, table, units};

pub fn table(console: Console, questions: &[v1::Question], now_ms: i64) -> Table {
    let mut table = table::new(console, &["QUESTION", "TASK", "AGE", "DEADLINE", "STATE", "WHAT"]);
    for question in questions {
        let deadline = match question.deadline_at_ms {
            0 => String::new(),
            at if question.state() == QuestionState::Open => units::until(at, now_ms),
            at => units::moment(at),
        };
        table.add_row([
            Cell::new(question.number),
            Cell::new(question.task_number),
            Cell::new(units::age(question.asked_at_ms, now_ms)),
            Cell::new(deadline),
            Cell::new(state_name(question.state())),
            Cell::new(plain::shorten(&plain::line(&question.text), 100)),
        ]);
    }
    table
}

/// An open question in full, its options numbered.
pub fn in_full(question: &v1::Question, now_ms: i64) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "{BOLD}Question {}{BOLD:#}  {DIM}task {}, {}, asked {} ago{DIM:#}",
        question.number,
        question.task_number,
        plain::shorten(&plain::line(&question.task_title), 60),
        units::age(question.asked_at_ms, now_ms),
    );
    for line in plain::text(&question.text).trim_end().lines() {
        let _ = writeln!(page, "  {line}");
    }
    for (number, option) in (1..).zip(&question.options) {
        let _ = writeln!(page, "    {number}) {}", plain::line(option));
    }
    if question.deadline_at_ms != 0 {
        let until = units::until(question.deadline_at_ms, now_ms);
        let otherwise = match question.default_answer.as_str() {
            "" => "the agent decides by itself then".to_owned(),
            answer => format!("`{}` counts then", plain::line(answer)),
        };
        let _ = writeln!(page, "  {DIM}deadline {until}: {otherwise}{DIM:#}");
    }
    page
}

/// The command that answers it.
pub fn how_to_answer(question: &v1::Question, alone: bool) -> String {
    let which = if alone { String::new() } else { format!(" --question {}", question.number) };
    format!("factoryctl answer {}{which}", question.task_number)
}

pub const fn state_name(state: QuestionState) -> &'static str {
    match state {
        QuestionState::Unspecified => "unknown",
        QuestionState::Open => "open",
        QuestionState::Answered => "answered",
        QuestionState::Expired => "expired",
        QuestionState::Withdrawn => "withdrawn",
    }
}
