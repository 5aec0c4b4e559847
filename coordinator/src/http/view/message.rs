use factory_domain::{self as domain, Recipient};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::utc;
use crate::store::MessageEntry;

/// A message on the board.
#[derive(Debug, Serialize, ToSchema)]
pub struct Message {
    id: String,
    /// Counted from 1 over the whole board.
    number: u64,
    at: String,
    /// A person's name for themselves, or the role of an agent.
    from: String,
    /// The task whose agent it is from, or that it is about.
    task_id: Option<String>,
    task_number: Option<u64>,
    /// Of an agent's message.
    attempt_id: Option<String>,
    /// all, user, a role, or task:7.
    to: String,
    to_task_id: Option<String>,
    to_task_number: Option<u64>,
    message_type: MessageType,
    content: String,
    /// The message that it answers.
    reply_to: Option<String>,
    reply_to_number: Option<u64>,
    /// The message that begins its thread; `null`: it begins one.
    thread_id: Option<String>,
    thread_number: Option<u64>,
    /// Of one that begins a thread: how many others are in it.
    replies: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    Info,
    Question,
    Handoff,
    Status,
    Error,
}

impl From<MessageType> for domain::MessageType {
    fn from(kind: MessageType) -> Self {
        match kind {
            MessageType::Info => Self::Info,
            MessageType::Question => Self::Question,
            MessageType::Handoff => Self::Handoff,
            MessageType::Status => Self::Status,
            MessageType::Error => Self::Error,
        }
    }
}

impl From<domain::MessageType> for MessageType {
    fn from(kind: domain::MessageType) -> Self {
        match kind {
            domain::MessageType::Info => Self::Info,
            domain::MessageType::Question => Self::Question,
            domain::MessageType::Handoff => Self::Handoff,
            domain::MessageType::Status => Self::Status,
            domain::MessageType::Error => Self::Error,
        }
    }
}

impl From<MessageEntry> for Message {
    fn from(entry: MessageEntry) -> Self {
        let to_task_id = match &entry.to {
            Recipient::Task(task) => Some(task.to_string()),
            Recipient::All | Recipient::User | Recipient::Role(_) => None,
        };
        Self {
            to: entry.recipient(),
            to_task_id,
            to_task_number: entry.to_number,
            id: entry.id.to_string(),
            number: entry.number,
            at: utc(entry.at),
            from: entry.from,
            task_id: entry.from_task.map(|task| task.id.to_string()),
            task_number: entry.from_task.map(|task| task.number),
            attempt_id: entry.from_attempt.map(|attempt| attempt.to_string()),
            message_type: entry.kind.into(),
            content: entry.content,
            reply_to: entry.reply_to.map(|message| message.id.to_string()),
            reply_to_number: entry.reply_to.map(|message| message.number),
            thread_id: entry.thread.map(|message| message.id.to_string()),
            thread_number: entry.thread.map(|message| message.number),
            replies: entry.replies,
        }
    }
}
