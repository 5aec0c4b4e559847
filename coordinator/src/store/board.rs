//! What agents and people say to one another: messages and handoffs.

use async_trait::async_trait;
use factory_domain::{
    AttemptId, HandoffId, MessageId, MessageType, Recipient, Slug, TaskId, Timestamp, WorkflowId,
};
use tokio::sync::watch;

use super::StoreError;

/// Messages and handoffs are never changed and never deleted, as little as the tasks they speak of.
#[async_trait]
pub trait BoardStore: Send + Sync {
    /// Puts a message on the board and tells the agents it is for, in one transaction. A key used
    /// before finds that first message, and nobody is told again.
    ///
    /// Told are, of those that have not ended: the task it is for; the tasks of the role; for
    /// [`Recipient::All`] those whose agents have begun, since one that begins later would be told
    /// of everything ever said; and with a reply, whoever posted in its thread. Never the
    /// agent that posts. Of a role or of all it is [`TOLD_AT_MOST`], those at work first.
    async fn post(&self, message: NewMessage, now: Timestamp) -> Result<MessageEntry, StoreError>;

    async fn message(&self, name: MessageName) -> Result<Option<MessageEntry>, StoreError>;

    /// A page of those that pass the filter, in its order.
    async fn messages(&self, filter: MessageFilter) -> Result<Vec<MessageEntry>, StoreError>;

    /// The thread that the message numbered `first` begins, oldest first; of a longer one the last `limit`.
    async fn thread(&self, first: u64, limit: u32) -> Result<Vec<MessageEntry>, StoreError>;

    /// What is on the board for the agent of `task` that it has neither read nor been told of, oldest
    /// first; none of what was said to its role or to all before the task was submitted.
    async fn unread(&self, task: TaskId, limit: u32) -> Result<Vec<MessageEntry>, StoreError>;

    /// The agent of `task` has read these, and all unread ones before the last: it is told of them no more.
    async fn note_read(&self, task: TaskId, messages: Vec<u64>) -> Result<(), StoreError>;

    /// Number of the board's newest committed message; changes with every commit that adds some.
    fn board(&self) -> watch::Receiver<u64>;

    /// Keeps a handoff and tells the agents it is for, in one transaction: the task named; or the
    /// tasks of the role named that have not ended, [`HANDED_AT_MOST`]; or else the tasks that
    /// depend on the one it comes from. A key used before finds that first handoff.
    async fn hand_off(&self, handoff: NewHandoff, now: Timestamp) -> Result<HandoffEntry, StoreError>;

    async fn handoff(&self, name: HandoffName) -> Result<Option<HandoffEntry>, StoreError>;

    /// Newest first.
    async fn handoffs(&self, filter: HandoffFilter) -> Result<Vec<HandoffEntry>, StoreError>;
}

/// Agents that one message is told to at most; others find it on the board.
pub const TOLD_AT_MOST: u32 = 1000;
/// Tasks of a role that one handoff comes to at most: each is given all of its context.
pub const HANDED_AT_MOST: u32 = 50;

#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Minted by the caller.
    pub id: MessageId,
    /// For people: a role, a person's name, or `factory`.
    pub from: String,
    pub from_task: Option<TaskId>,
    /// The attempt whose agent posts it.
    pub from_attempt: Option<AttemptId>,
    pub to: Recipient,
    pub kind: MessageType,
    pub content: String,
    /// Number of the message it replies to.
    pub reply_to: Option<u64>,
    pub key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageEntry {
    pub id: MessageId,
    pub number: u64,
    pub at: Timestamp,
    pub from: String,
    pub from_task: Option<TaskName>,
    pub from_attempt: Option<AttemptId>,
    pub to: Recipient,
    /// Number of the task it is for.
    pub to_number: Option<u64>,
    pub kind: MessageType,
    pub content: String,
    pub reply_to: Option<MessageLink>,
    /// The first of its thread; `None`: it begins one.
    pub thread: Option<MessageLink>,
    /// Of one that begins a thread: how many others are in it.
    pub replies: u32,
}

impl MessageEntry {
    /// Number of the message that begins its thread.
    pub fn first_of_thread(&self) -> u64 {
        self.thread.map_or(self.number, |first| first.number)
    }

    /// Whom it is for, as people write it: `all`, `user`, a role's name or `task:7`.
    pub fn recipient(&self) -> String {
        match (&self.to, self.to_number) {
            (Recipient::All, _) => Recipient::ALL.to_owned(),
            (Recipient::User, _) => Recipient::USER.to_owned(),
            (Recipient::Role(role), _) => role.to_string(),
            (Recipient::Task(_), Some(number)) => format!("task:{number}"),
            (Recipient::Task(task), None) => format!("task:{task}"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskName {
    pub id: TaskId,
    pub number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLink {
    pub id: MessageId,
    pub number: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageName {
    Id(MessageId),
    Number(u64),
}

#[derive(Debug, Clone)]
pub struct MessageFilter {
    pub range: MessageRange,
    /// Posted by, or for, this task.
    pub task: Option<TaskId>,
    /// Empty: all.
    pub types: Vec<MessageType>,
    pub to: Option<Recipient>,
    pub from: Option<String>,
    /// What a person types: words, "phrases", beginnings*. All of it must be there, in any order.
    pub search: Option<String>,
    pub limit: u32,
}

#[derive(Debug, Clone, Copy)]
pub enum MessageRange {
    /// Newest first, from the one before this number, or from the newest.
    Before(Option<u64>),
    /// Oldest first, from the one after this number.
    After(u64),
}

#[derive(Debug, Clone)]
pub struct NewHandoff {
    /// Minted by the caller.
    pub id: HandoffId,
    pub from_task: TaskId,
    pub from_attempt: Option<AttemptId>,
    pub to: HandoffTo,
    /// The workflow it belongs to, and its iteration.
    pub workflow: Option<(WorkflowId, u32)>,
    /// In Markdown.
    pub context: String,
    pub artifacts: Vec<String>,
    pub branch: Option<String>,
    pub key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandoffTo {
    Task(TaskId),
    Role(Slug),
    /// Whatever depends on the task it comes from, also what is submitted later.
    Dependents,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandoffEntry {
    pub id: HandoffId,
    pub number: u64,
    pub at: Timestamp,
    pub from: TaskName,
    pub from_title: String,
    pub from_role: Option<String>,
    pub from_attempt: Option<AttemptId>,
    pub to: HandoffTo,
    /// Number of the task it is for, where it names one.
    pub to_number: Option<u64>,
    pub workflow: Option<(WorkflowId, u32)>,
    pub context: String,
    pub artifacts: Vec<String>,
    pub branch: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandoffName {
    Id(HandoffId),
    Number(u64),
}

#[derive(Debug, Clone, Default)]
pub struct HandoffFilter {
    /// From this task, or come to it.
    pub task: Option<TaskId>,
    pub workflow: Option<WorkflowId>,
    /// Only those with a smaller number: where the page before ended.
    pub before: Option<u64>,
    pub limit: u32,
}
