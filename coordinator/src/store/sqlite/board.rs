//! Messages: posting them, reading them, and how far each agent has read.

use async_trait::async_trait;
use factory_domain::board::MessageSaid;
use factory_domain::{MessageId, MessageType, Recipient, Slug, TaskId, Timestamp};
use sqlx::SqlitePool;
use tokio::sync::watch;

use super::job::{Tx, Verb};
use super::rows::{self, corrupt, to_json};
use super::statements::board as statements;
use super::{SqliteStore, handoff, messages};
use crate::store::StoreError;
use crate::store::board::{
    BoardStore, HandoffEntry, HandoffFilter, HandoffName, MessageEntry, MessageFilter, MessageLink,
    MessageName, NewHandoff, NewMessage, TOLD_AT_MOST, TaskName,
};

/// States in which a task's agent is told what is said to its role; those at work come first.
pub(super) const LIVE: &[&str] = &["running", "leased", "waiting", "parked", "queued", "blocked"];

#[async_trait]
impl BoardStore for SqliteStore {
    async fn post(&self, message: NewMessage, now: Timestamp) -> Result<MessageEntry, StoreError> {
        self.write(Post { message, now }).await
    }

    async fn message(&self, name: MessageName) -> Result<Option<MessageEntry>, StoreError> {
        message(&self.readers, name).await
    }

    async fn messages(&self, filter: MessageFilter) -> Result<Vec<MessageEntry>, StoreError> {
        messages::messages(&self.readers, &filter).await
    }

    async fn thread(&self, first: u64, limit: u32) -> Result<Vec<MessageEntry>, StoreError> {
        thread(&self.readers, first, limit).await
    }

    async fn unread(&self, task: TaskId, limit: u32) -> Result<Vec<MessageEntry>, StoreError> {
        unread(&self.readers, task, limit).await
    }

    async fn note_read(&self, task: TaskId, messages: Vec<u64>) -> Result<(), StoreError> {
        self.write(NoteRead { task, messages }).await
    }

    fn board(&self) -> watch::Receiver<u64> {
        self.messages.clone()
    }

    async fn hand_off(&self, handoff: NewHandoff, now: Timestamp) -> Result<HandoffEntry, StoreError> {
        self.write(handoff::HandOff { handoff, now }).await
    }

    async fn handoff(&self, name: HandoffName) -> Result<Option<HandoffEntry>, StoreError> {
        handoff::handoff(&self.readers, name).await
    }

    async fn handoffs(&self, filter: HandoffFilter) -> Result<Vec<HandoffEntry>, StoreError> {
        handoff::handoffs(&self.readers, &filter).await
    }
}

struct Post {
    pub message: NewMessage,
    pub now: Timestamp,
}

impl Verb for Post {
    type Output = MessageEntry;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<MessageEntry, StoreError> {
        if let Some(earlier) = self.earlier(tx).await? {
            return Ok(earlier);
        }
        let number = self.add(tx).await?;
        tx.message = rows::unsigned(number)?;
        let row: MessageRow =
            sqlx::query_as(statements::MESSAGE_NUMBERED).bind(number).fetch_one(&mut *tx.connection).await?;
        let entry = row.read()?;
        self.tell(tx, &entry).await?;
        Ok(entry)
    }
}

impl Post {
    /// The message already posted under this key.
    async fn earlier(&self, tx: &mut Tx<'_>) -> Result<Option<MessageEntry>, StoreError> {
        let Some(key) = &self.message.key else { return Ok(None) };
        let row: Option<MessageRow> = sqlx::query_as(statements::MESSAGE_UNDER_KEY)
            .bind(key)
            .fetch_optional(&mut *tx.connection)
            .await?;
        row.map(MessageRow::read).transpose()
    }

    /// Answers with its number.
    async fn add(&self, tx: &mut Tx<'_>) -> Result<i64, StoreError> {
        let message = &self.message;
        let (recipient, to_task) = recipient_columns(&message.to);
        Ok(sqlx::query_scalar(statements::POST)
            .bind(&message.id.as_bytes()[..])
            .bind(self.now.as_millis())
            .bind(&message.from)
            .bind(message.from_task.as_ref().map(|task| &task.as_bytes()[..]))
            .bind(message.from_attempt.as_ref().map(|attempt| &attempt.as_bytes()[..]))
            .bind(recipient)
            .bind(to_task)
            .bind(message.kind.name())
            .bind(&message.content)
            .bind(message.reply_to.map(position))
            .bind(&message.key)
            .fetch_one(&mut *tx.connection)
            .await?)
    }

    async fn tell(&self, tx: &mut Tx<'_>, entry: &MessageEntry) -> Result<(), StoreError> {
        let to = entry.recipient();
        let said = MessageSaid {
            number: entry.number,
            from: &entry.from,
            from_task: entry.from_task.map(|task| task.number),
            to: &to,
            kind: entry.kind,
            content: &entry.content,
            reply_to: entry.reply_to.map(|message| message.number),
        };
        let poster = entry.from_attempt.and(self.message.from_task);
        let (named, states, role): (_, &[&str], _) = match &entry.to {
            Recipient::All => (None, LIVE, None),
            Recipient::User => (None, &[], None),
            Recipient::Role(role) => (None, LIVE, Some(role.as_str())),
            Recipient::Task(task) => (Some(&task.as_bytes()[..]), &[], None),
        };
        sqlx::query(statements::TELL_OF_MESSAGE)
            .bind(self.now.as_millis())
            .bind(to_json(&said.notice()))
            .bind(poster.as_ref().map(|task| &task.as_bytes()[..]))
            .bind(named)
            .bind(entry.thread.map(|first| position(first.number)))
            .bind(to_json(&states))
            .bind(role)
            .bind(TOLD_AT_MOST)
            .bind(position(entry.number))
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

/// The agent of `task` has read these.
struct NoteRead {
    task: TaskId,
    messages: Vec<u64>,
}

impl Verb for NoteRead {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let Some(last) = self.messages.iter().max() else { return Ok(()) };
        sqlx::query(statements::NOTE_READ)
            .bind(&self.task.as_bytes()[..])
            .bind(position(*last))
            .execute(&mut *tx.connection)
            .await?;
        sqlx::query(statements::FORGET_NOTICES)
            .bind(&self.task.as_bytes()[..])
            .bind(to_json(&self.messages))
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

async fn message(readers: &SqlitePool, name: MessageName) -> Result<Option<MessageEntry>, StoreError> {
    let row: Option<MessageRow> = match name {
        MessageName::Id(id) => {
            let wanted = sqlx::query_as(statements::MESSAGE_WITH_ID).bind(&id.as_bytes()[..]);
            wanted.fetch_optional(readers).await?
        }
        MessageName::Number(number) => {
            let wanted = sqlx::query_as(statements::MESSAGE_NUMBERED).bind(position(number));
            wanted.fetch_optional(readers).await?
        }
    };
    row.map(MessageRow::read).transpose()
}

async fn thread(readers: &SqlitePool, first: u64, limit: u32) -> Result<Vec<MessageEntry>, StoreError> {
    let rows: Vec<MessageRow> =
        sqlx::query_as(statements::THREAD).bind(position(first)).bind(limit).fetch_all(readers).await?;
    rows.into_iter().rev().map(MessageRow::read).collect()
}

async fn unread(readers: &SqlitePool, task: TaskId, limit: u32) -> Result<Vec<MessageEntry>, StoreError> {
    let rows: Vec<MessageRow> =
        sqlx::query_as(statements::UNREAD).bind(&task.as_bytes()[..]).bind(limit).fetch_all(readers).await?;
    rows.into_iter().map(MessageRow::read).collect()
}

/// Number of the newest message; zero where there is none.
pub(super) async fn last(readers: &SqlitePool) -> Result<u64, StoreError> {
    let number: i64 = sqlx::query_scalar(statements::LAST_MESSAGE).fetch_one(readers).await?;
    rows::unsigned(number)
}

/// Numbers beyond what SQLite counts to are of nothing it holds.
pub(super) fn position(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// How a recipient is kept: in words, and the task it names.
pub(super) fn recipient_columns(to: &Recipient) -> (&str, Option<&[u8]>) {
    match to {
        Recipient::All => (Recipient::ALL, None),
        Recipient::User => (Recipient::USER, None),
        Recipient::Role(role) => (role.as_str(), None),
        Recipient::Task(task) => ("task", Some(&task.as_bytes()[..])),
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct MessageRow {
    number: i64,
    id: Vec<u8>,
    at: i64,
    sender: String,
    from_task: Option<Vec<u8>>,
    from_number: Option<i64>,
    from_attempt: Option<Vec<u8>>,
    recipient: String,
    to_task: Option<Vec<u8>>,
    to_number: Option<i64>,
    #[sqlx(rename = "type")]
    kind: String,
    content: String,
    reply_to: Option<i64>,
    reply_to_id: Option<Vec<u8>>,
    thread: Option<i64>,
    thread_id: Option<Vec<u8>>,
    replies: u32,
}

impl MessageRow {
    pub(super) fn read(self) -> Result<MessageEntry, StoreError> {
        let to = match (self.to_task.as_deref(), self.recipient.as_str()) {
            (Some(task), _) => Recipient::Task(rows::task_id(task)?),
            (None, Recipient::ALL) => Recipient::All,
            (None, Recipient::USER) => Recipient::User,
            (None, role) => Recipient::Role(Slug::parse(role).map_err(corrupt)?),
        };
        Ok(MessageEntry {
            id: MessageId::from_slice(&self.id).map_err(corrupt)?,
            number: rows::unsigned(self.number)?,
            at: Timestamp::from_millis(self.at),
            from: self.sender,
            from_task: task_name(self.from_task.as_deref(), self.from_number)?,
            from_attempt: self.from_attempt.as_deref().map(rows::attempt_id).transpose()?,
            to,
            to_number: self.to_number.map(rows::unsigned).transpose()?,
            kind: self.kind.parse::<MessageType>().map_err(corrupt)?,
            content: self.content,
            reply_to: link(self.reply_to_id.as_deref(), self.reply_to)?,
            thread: link(self.thread_id.as_deref(), self.thread)?,
            replies: self.replies,
        })
    }
}

pub(super) fn task_name(id: Option<&[u8]>, number: Option<i64>) -> Result<Option<TaskName>, StoreError> {
    let Some((id, number)) = id.zip(number) else { return Ok(None) };
    Ok(Some(TaskName { id: rows::task_id(id)?, number: rows::unsigned(number)? }))
}

fn link(id: Option<&[u8]>, number: Option<i64>) -> Result<Option<MessageLink>, StoreError> {
    let Some((id, number)) = id.zip(number) else { return Ok(None) };
    let id = MessageId::from_slice(id).map_err(corrupt)?;
    Ok(Some(MessageLink { id, number: rows::unsigned(number)? }))
}
