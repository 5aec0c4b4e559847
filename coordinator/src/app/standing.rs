//! Where a task stands to others, in words for people.

use factory_domain::{CancelReason, TaskId, TaskState};

use crate::store::{Needed, TaskEntry};

/// For what a blocked task waits: `task 3 (running) and 2 others`.
pub(super) fn blocked_by(task: &TaskEntry) -> Option<String> {
    let release = || format!("someone to let it go: factoryctl release {}", task.number);
    match (needed_by(task), task.held) {
        (Some(needed), true) => Some(format!("{needed}, and {}", release())),
        (None, true) => Some(release()),
        (needed, false) => needed,
    }
}

fn needed_by(task: &TaskEntry) -> Option<String> {
    let mut open = task.after.iter().filter(|needed| needed.settled.is_none());
    let Needed { number, state, .. } = open.next()?;
    let first = format!("task {number} ({state})");
    Some(match open.count() {
        0 => first,
        1 => format!("{first} and 1 other"),
        others => format!("{first} and {others} others"),
    })
}

/// Why a task that was cancelled was.
pub fn cancelled_because(task: &TaskEntry) -> Option<String> {
    let TaskState::Cancelled { because } = &task.state else { return None };
    Some(match because {
        CancelReason::Requested => "someone asked for its end".to_owned(),
        CancelReason::DependencyFailed { task: needed } => {
            format!("it waited for {}", ended(task, *needed))
        }
        CancelReason::Skipped { task: needed } => {
            format!("it is left out, since it waited for {}", ended(task, *needed))
        }
    })
}

fn ended(task: &TaskEntry, needed: TaskId) -> String {
    match task.after.iter().find(|one| one.id == needed) {
        Some(Needed { number, state, .. }) => format!("task {number}, which {}", as_done(state)),
        None => format!("task {needed}, which did not succeed"),
    }
}

fn as_done(state: &str) -> &'static str {
    match state {
        "failed" => "failed",
        "cancelled" => "was cancelled",
        _ => "did not succeed",
    }
}
