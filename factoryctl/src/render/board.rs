//! Messages and handoffs, for people.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use comfy_table::{Cell, Color, Table};
use factory_proto::v1;
use factory_proto::v1::MessageType;

use crate::render::console::{BOLD, DIM, style};
use crate::render::{Console, page, plain, table, units};

/// Characters of a message in a table.
const WIDTH: usize = 80;

pub fn messages(console: Console, messages: &[v1::Message], now_ms: i64) -> Table {
    let mut table = table::new(console, &["#", "AGE", "TYPE", "FROM", "TO", "THREAD", "MESSAGE"]);
    for message in messages {
        let thread = match (message.reply_to_number, message.replies) {
            (0, 0) => String::new(),
            (0, 1) => "1 reply".to_owned(),
            (0, replies) => format!("{replies} replies"),
            (number, _) => format!("re {number}"),
        };
        table.add_row([
            Cell::new(message.number),
            Cell::new(units::age(message.at_ms, now_ms)),
            Cell::new(type_name(message.r#type())).fg(match color(message.r#type()) {
                AnsiColor::Red => Color::Red,
                AnsiColor::Yellow => Color::Yellow,
                AnsiColor::Cyan => Color::Cyan,
                _ => Color::Grey,
            }),
            Cell::new(sender(message)),
            Cell::new(plain::line(&message.to)),
            Cell::new(thread),
            Cell::new(first_line(&message.content)),
        ]);
    }
    table
}

/// A message in full: a line about it, and what it says.
pub fn message(message: &v1::Message) -> String {
    let kind = message.r#type();
    let style = style(color(kind));
    let name = type_name(kind);
    let re = match message.reply_to_number {
        0 => String::new(),
        number => format!("  {DIM}re {number}{DIM:#}"),
    };
    let said = plain::text(message.content.trim_end()).replace('\n', "\n    ");
    format!(
        "{BOLD}{}{BOLD:#}  {style}{name}{style:#}  {} → {}  {DIM}{}{DIM:#}{re}\n    {said}",
        message.number,
        sender(message),
        plain::line(&message.to),
        units::moment(message.at_ms),
    )
}

/// What it is called, by people and by programs.
pub fn type_name(kind: MessageType) -> &'static str {
    factory_domain::MessageType::from(kind).name()
}

fn color(kind: MessageType) -> AnsiColor {
    match kind {
        MessageType::Error => AnsiColor::Red,
        MessageType::Question => AnsiColor::Yellow,
        MessageType::Handoff => AnsiColor::Cyan,
        MessageType::Unspecified | MessageType::Info | MessageType::Status => AnsiColor::White,
    }
}

fn sender(message: &v1::Message) -> String {
    let name = plain::line(&message.from);
    match message.from_task_number {
        0 => name,
        task => format!("{name} (task {task})"),
    }
}

fn first_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    let mark = if text.trim().lines().nth(1).is_some() { " …" } else { "" };
    plain::shorten(&format!("{}{mark}", plain::line(line)), WIDTH)
}

pub fn handoffs(console: Console, handoffs: &[v1::Handoff], now_ms: i64) -> Table {
    let mut table = table::new(console, &["#", "AGE", "FROM", "TO", "BRANCH", "CONTEXT"]);
    for handoff in handoffs {
        table.add_row([
            Cell::new(handoff.number),
            Cell::new(units::age(handoff.at_ms, now_ms)),
            Cell::new(giver(handoff)),
            Cell::new(receiver(handoff)),
            Cell::new(plain::line(&handoff.branch)),
            Cell::new(first_line(&handoff.context)),
        ]);
    }
    table
}

/// A handoff in full.
pub fn handoff(handoff: &v1::Handoff, now_ms: i64) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "{BOLD}Handoff {}{BOLD:#}  {} → {}",
        handoff.number,
        giver(handoff),
        receiver(handoff)
    );
    page::field(&mut page, "id", &handoff.id);
    let age = units::age(handoff.at_ms, now_ms);
    page::field(&mut page, "at", &format!("{} ({age} ago)", units::moment(handoff.at_ms)));
    if !handoff.workflow_id.is_empty() {
        let workflow = format!("{}, iteration {}", handoff.workflow_id, handoff.iteration);
        page::field(&mut page, "workflow", &workflow);
    }
    page::field(&mut page, "branch", &handoff.branch);
    for (index, artifact) in handoff.artifacts.iter().enumerate() {
        page::field(&mut page, if index == 0 { "look at" } else { "" }, artifact);
    }
    let context = plain::text(handoff.context.trim_end()).replace('\n', "\n    ");
    let _ = writeln!(page, "\n    {context}");
    page
}

fn giver(handoff: &v1::Handoff) -> String {
    match handoff.from_role.as_str() {
        "" => format!("task {}", handoff.from_task_number),
        role => format!("task {} ({role})", handoff.from_task_number),
    }
}

/// Whom a handoff is for.
pub fn receiver(handoff: &v1::Handoff) -> String {
    match (handoff.to_task_number, handoff.to_role.as_str()) {
        (0, "") => format!("what depends on task {}", handoff.from_task_number),
        (0, role) => plain::line(role),
        (task, _) => format!("task {task}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_shown_with_its_place_in_the_thread_and_made_harmless() {
        let said = v1::Message {
            number: 7,
            from: "coder".into(),
            from_task_number: 3,
            to: "task:2".into(),
            r#type: MessageType::Question.into(),
            content: "One\x1b[2J\ntwo\n".into(),
            reply_to_number: 5,
            ..Default::default()
        };
        let shown = message(&said);
        for part in ["question", "coder (task 3) → task:2", "re 5", "\n    One\n    two"] {
            assert!(shown.contains(part), "{part:?} is not in {shown:?}");
        }
        assert!(!shown.contains("[2J"), "{shown:?}");
        assert_eq!(first_line(&said.content), "One …");
    }

    #[test]
    fn a_handoff_says_whom_it_is_for() {
        let to_all = v1::Handoff { from_task_number: 4, ..Default::default() };
        assert_eq!(receiver(&to_all), "what depends on task 4");
        assert_eq!(receiver(&v1::Handoff { to_role: "reviewer".into(), ..to_all.clone() }), "reviewer");
        assert_eq!(receiver(&v1::Handoff { to_task_number: 5, ..to_all }), "task 5");
    }
}
