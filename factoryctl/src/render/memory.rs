//! Memories, for people.

use std::fmt::Write as _;

use comfy_table::{Cell, Table};
use factory_domain::MemoryKind;
use factory_proto::v1;

use crate::render::console::{BOLD, DIM};
use crate::render::{Console, plain, table, units};

/// Lines of one memory that are shown among others; `-o json` has all of it.
const MOST_LINES: usize = 12;

pub fn table(console: Console, memories: &[v1::Memory], now_ms: i64) -> Table {
    let mut table = table::new(console, &["MEMORY", "KIND", "AGE", "TASK", "ROLE", "OF", "WHAT"]);
    for memory in memories {
        let first_line = memory.content.lines().next().unwrap_or_default();
        table.add_row([
            Cell::new(memory.number),
            Cell::new(kind(memory)),
            Cell::new(units::age(memory.at_ms, now_ms)),
            Cell::new(task(memory)),
            Cell::new(plain::line(&memory.role)),
            Cell::new(plain::line(&scope(memory))),
            Cell::new(plain::shorten(&plain::line(first_line), 100)),
        ]);
    }
    table
}

/// Each with its text under a line about it.
pub fn in_full(memories: &[v1::Memory], now_ms: i64) -> String {
    let mut page = String::new();
    for memory in memories {
        let mut about = vec![kind(memory).to_string(), units::age(memory.at_ms, now_ms)];
        if memory.task_number > 0 {
            about.push(format!("task {}", memory.task_number));
        }
        about.extend([scope(memory), memory.tags.join(" ")].into_iter().filter(|part| !part.is_empty()));
        // Writing to a String cannot fail.
        let _ =
            writeln!(page, "{BOLD}{}{BOLD:#}  {DIM}{}{DIM:#}", memory.number, plain::line(&about.join("  ")));
        let text = plain::text(&memory.content);
        for line in text.lines().take(MOST_LINES) {
            let _ = writeln!(page, "  {line}");
        }
        let more = text.lines().count().saturating_sub(MOST_LINES);
        if more > 0 {
            let _ = writeln!(page, "  {DIM}… {}{DIM:#}", units::count(more as u64, "more line"));
        }
        page.push('\n');
    }
    page
}

fn kind(memory: &v1::Memory) -> MemoryKind {
    memory.kind().into()
}

fn task(memory: &v1::Memory) -> String {
    if memory.task_number == 0 { String::new() } else { memory.task_number.to_string() }
}

fn scope(memory: &v1::Memory) -> String {
    let parts = [&memory.repo, &memory.project];
    let named: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).map(String::as_str).collect();
    named.join(", ")
}
