//! The message board: whom a message is for, what it may say, and how agents are told of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Notice, NoticeKind, Slug, TaskId};

/// Bytes of a message.
pub const MAX_CONTENT: usize = 64 * 1024;
/// Bytes of what one task gives another.
pub const MAX_CONTEXT: usize = 256 * 1024;
/// Bytes of the name of a person who posts.
pub const MAX_SENDER: usize = 64;
/// Bytes of an idempotency key.
pub const MAX_KEY: usize = 200;
/// Paths and names that a handoff can list, and bytes of one.
pub const MAX_ARTIFACTS: usize = 200;
pub const MAX_ARTIFACT: usize = 1024;
/// Bytes of a message that an agent is shown unasked; it reads the rest where it cares to.
const EXCERPT: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    Info,
    Question,
    Handoff,
    Status,
    Error,
}

impl MessageType {
    pub const ALL: [Self; 5] = [Self::Info, Self::Question, Self::Handoff, Self::Status, Self::Error];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Question => "question",
            Self::Handoff => "handoff",
            Self::Status => "status",
            Self::Error => "error",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a type of message; there are info, question, handoff, status and error")]
pub struct UnknownMessageType(String);

impl FromStr for MessageType {
    type Err = UnknownMessageType;

    fn from_str(name: &str) -> Result<Self, UnknownMessageType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| UnknownMessageType(name.to_owned()))
    }
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recipient {
    /// Every agent at work, and whoever reads the board.
    All,
    /// The people who run the factory.
    User,
    /// The agents of all tasks with this role.
    Role(Slug),
    Task(TaskId),
}

impl Recipient {
    pub const ALL: &str = "all";
    pub const USER: &str = "user";
}

/// A message as the agents that it is for are told of it.
#[derive(Debug, Clone, Copy)]
pub struct MessageSaid<'a> {
    pub number: u64,
    pub from: &'a str,
    pub from_task: Option<u64>,
    /// As people write it: `all`, `user`, a role's name or `task:7`.
    pub to: &'a str,
    pub kind: MessageType,
    pub content: &'a str,
    /// Number of the message it replies to.
    pub reply_to: Option<u64>,
}

impl MessageSaid<'_> {
    /// The content is quoted, so that nothing in it reads as if the factory said it.
    pub fn notice(&self) -> Notice {
        let shown = &self.content[..self.content.floor_char_boundary(EXCERPT)];
        let mut text = format!("{self}:\n\n{}\n\n", Quoted(shown));
        if shown.len() < self.content.len() {
            text.push_str(&format!(
                "That is its beginning; `read_messages` with thread \"{}\" has all of it. ",
                self.number
            ));
        }
        text.push_str(&format!("To answer, use `post_message` with reply_to \"{}\".", self.number));
        Notice { kind: NoticeKind::Message, text }
    }
}

impl fmt::Display for MessageSaid<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message {} ({}) from {}", self.number, self.kind.name(), self.from)?;
        if let Some(task) = self.from_task {
            write!(f, " (task {task})")?;
        }
        write!(f, " to {}", self.to)?;
        match self.reply_to {
            Some(number) => write!(f, ", in reply to message {number}"),
            None => Ok(()),
        }
    }
}

/// A handoff as the agent that goes on is told of it.
#[derive(Debug, Clone, Copy)]
pub struct HandedOn<'a> {
    pub number: u64,
    pub from_task: u64,
    pub from_title: &'a str,
    pub from_role: Option<&'a str>,
    pub context: &'a str,
    pub artifacts: &'a [String],
    pub branch: Option<&'a str>,
    /// Of a workflow; 0 outside of one.
    pub iteration: u32,
}

impl HandedOn<'_> {
    pub fn notice(&self) -> Notice {
        let mut text = format!("Handoff {} from task {}", self.number, self.from_task);
        if let Some(role) = self.from_role {
            text.push_str(&format!(" ({role})"));
        }
        if !self.from_title.is_empty() {
            text.push_str(&format!(", \"{}\"", self.from_title));
        }
        if self.iteration > 0 {
            text.push_str(&format!(", iteration {}", self.iteration));
        }
        text.push_str(&format!(":\n\n{}", Quoted(self.context)));
        if let Some(branch) = self.branch {
            text.push_str(&format!("\n\nIts work is on the branch `{branch}`."));
        }
        if !self.artifacts.is_empty() {
            text.push_str("\n\nLook at:");
            for artifact in self.artifacts {
                text.push_str(&format!("\n- `{artifact}`"));
            }
        }
        Notice { kind: NoticeKind::Handoff, text }
    }
}

/// Text as a Markdown quotation.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.0.trim_end().lines().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            let space = if line.is_empty() { "" } else { " " };
            write!(f, "{newline}>{space}{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content: &str) -> MessageSaid<'_> {
        MessageSaid {
            number: 12,
            from: "coder",
            from_task: Some(7),
            to: "reviewer",
            kind: MessageType::Question,
            content,
            reply_to: Some(9),
        }
    }

    #[test]
    fn an_agent_is_told_who_says_what_and_how_to_answer() {
        assert_eq!(
            said("# Stop\n\nIs `x` public?\n").notice().text,
            "Message 12 (question) from coder (task 7) to reviewer, in reply to message 9:\n\n\
             > # Stop\n>\n> Is `x` public?\n\n\
             To answer, use `post_message` with reply_to \"12\"."
        );
    }

    #[test]
    fn a_long_message_is_shown_by_its_beginning() {
        let text = said(&"ж".repeat(MAX_CONTENT / 2)).notice().text;
        assert!(text.len() < EXCERPT + 400, "{}", text.len());
        assert!(text.contains("has all of it"), "{text}");
    }

    #[test]
    fn a_handoff_says_where_the_work_is() {
        let handed_on = HandedOn {
            number: 3,
            from_task: 7,
            from_title: "Add login",
            from_role: Some("coder"),
            context: "Done but for the tests.",
            artifacts: &["src/login.rs".to_owned()],
            branch: Some("factory/x"),
            iteration: 2,
        };
        assert_eq!(
            handed_on.notice().text,
            "Handoff 3 from task 7 (coder), \"Add login\", iteration 2:\n\n> Done but for the tests.\n\n\
             Its work is on the branch `factory/x`.\n\nLook at:\n- `src/login.rs`"
        );
    }

    #[test]
    fn types_are_read_by_their_names() {
        for kind in MessageType::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!("shout".parse::<MessageType>().is_err());
    }
}
