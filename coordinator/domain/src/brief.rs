//! What an agent is given beside its task.

use serde::{Deserialize, Serialize};

use crate::{AttemptId, TaskId};

/// What the coordinator adds to a task, as it was at the submit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// The role's; appended to the agent's own.
    pub system_prompt: Option<String>,
    /// The task's template, filled in: stands in the place of its prompt.
    pub prompt: Option<String>,
}

/// Something the agent is told beside its task, in Markdown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub kind: NoticeKind,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// To a question it asked.
    Answer,
    /// On the board, to it, to its role or to all.
    Message,
    Handoff,
    /// What an earlier task learned.
    Memory,
    ChildEnded,
    /// The outcome of a task it waited for.
    Dependency,
}

/// The notices that an attempt begins with, and where those that come later go on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    pub notices: Vec<Notice>,
    pub cursor: u64,
}

/// The work of a task that another starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    pub task: TaskId,
    pub number: u64,
    pub title: String,
    pub attempt: AttemptId,
    pub branch: String,
    /// Full commit id of its newest commit.
    pub commit: String,
    /// It is in the origin; otherwise the coordinator keeps it as a bundle of its attempt.
    pub pushed: bool,
}
