//! How an agent is told what earlier tasks have learned.

use std::fmt::Write as _;
use std::time::Duration;

use crate::memory::summary::shorten;
use crate::{MemoryKind, Notice, NoticeKind, Slug};

/// Memories a task is told at most.
pub const MOST: usize = 5;
/// Bytes of all of them: they are read with every turn.
const MAX_BYTES: usize = 4 * 1024;
/// Bytes of one of them; `memory_search` gives all of it.
const MAX_ONE: usize = 1024;

const OPENING: &str = "Earlier tasks and people left these notes about this repository or project. They are \
what was thought true then: check before you rely on one.\n";

/// One of the memories told.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    pub number: u64,
    pub kind: MemoryKind,
    pub content: &'a str,
    pub age: Duration,
    pub task_number: Option<u64>,
    pub role: Option<&'a Slug>,
}

/// As many as there is room for, best first; `None` where there are none. Each is quoted, so that
/// no line of it is taken for one of ours.
pub fn briefing<'a>(memories: impl IntoIterator<Item = Told<'a>>) -> Option<Notice> {
    let mut text = OPENING.to_owned();
    let mut told = 0;
    for memory in memories.into_iter().take(MOST) {
        let entry = entry(&memory);
        if text.len() + entry.len() > MAX_BYTES {
            continue;
        }
        text.push_str(&entry);
        told += 1;
    }
    (told > 0).then(|| Notice { kind: NoticeKind::Memory, text: text.trim_end().to_owned() })
}

fn entry(memory: &Told<'_>) -> String {
    let mut entry = format!("\n- {} (memory {}, {}", memory.kind, memory.number, ago(memory.age));
    if let Some(task) = memory.task_number {
        // Writing to a string cannot fail.
        let _ = write!(entry, ", task {task}");
    }
    if let Some(role) = memory.role {
        let _ = write!(entry, ", {role}");
    }
    entry.push_str("):\n");
    for line in shorten(memory.content, MAX_ONE).lines() {
        let _ = writeln!(entry, "  > {line}");
    }
    entry
}

fn ago(age: Duration) -> String {
    let (count, unit) = match age.as_secs() {
        seconds @ 0..3600 => (seconds / 60, "minute"),
        seconds @ 3600..86_400 => (seconds / 3600, "hour"),
        seconds => (seconds / 86_400, "day"),
    };
    match count {
        0 => "just now".to_owned(),
        1 => format!("1 {unit} ago"),
        count => format!("{count} {unit}s ago"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(content: &str) -> Told<'_> {
        let age = Duration::from_secs(3 * 86_400);
        Told { number: 5, kind: MemoryKind::Decision, content, age, task_number: Some(12), role: None }
    }

    #[test]
    fn a_memory_is_told_with_its_kind_its_age_and_its_task() {
        let notice = briefing([told("Use axum.\n- not hyper")]).expect("something to tell");
        assert_eq!(notice.kind, NoticeKind::Memory);
        let wanted = "- decision (memory 5, 3 days ago, task 12):\n  > Use axum.\n  > - not hyper";
        assert!(notice.text.ends_with(wanted), "{}", notice.text);
    }

    #[test]
    fn there_is_a_bound_and_what_is_short_still_fits_in() {
        let long = "x".repeat(5000);
        let all = [told(&long), told(&long), told(&long), told(&long), told("short")];
        let notice = briefing(all).expect("something to tell");
        assert!(notice.text.len() <= MAX_BYTES, "{}", notice.text.len());
        assert!(notice.text.contains("> short") && notice.text.contains('…'));
        assert_eq!(briefing([]), None);
    }
}
