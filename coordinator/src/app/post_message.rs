//! Posting on the message board, for people and programs, and for agents.

use factory_domain::board::{MAX_CONTENT, MAX_KEY, MAX_SENDER};
use factory_domain::{MessageId, MessageType, Recipient, Slug};
use uuid::Uuid;

use super::{Acting, App, Error, Once};
use crate::store::{MessageEntry, NewMessage};

/// A message as it was asked for.
#[derive(Debug)]
pub struct WantedMessage {
    /// `all`, `user`, a role's name or `task:<id, prefix or number>`; empty: whoever wrote what it
    /// replies to, else all.
    pub to: String,
    pub kind: MessageType,
    pub content: String,
    /// Id or number of a message; empty: it begins a thread.
    pub reply_to: String,
    /// Empty: none.
    pub key: String,
}

/// Who it is, for people, where nobody says.
const ANYBODY: &str = "user";
/// An agent without a role.
const AGENT: &str = "agent";

impl App {
    /// Posts in the name of a person or a program: `from` is for people, `task` the one it is about.
    pub async fn post_message(
        &self,
        wanted: WantedMessage,
        from: String,
        task: String,
    ) -> Result<Once<MessageEntry>, Error> {
        check_sender(&from)?;
        let from = if from.is_empty() { ANYBODY.to_owned() } else { from };
        let task = match task.as_str() {
            "" => None,
            name => Some(self.store.resolve(name).await?),
        };
        let key = keyed("", &wanted.key);
        self.post(NewMessage { from, from_task: task, key, ..self.read_message(wanted).await? }).await
    }

    /// Posts in the name of an agent, which is known by its role.
    pub async fn post_as_agent(&self, acting: &Acting, wanted: WantedMessage) -> Result<MessageEntry, Error> {
        let (task, _) = self.task(acting.task).await?;
        let from = task.spec.role.map_or_else(|| AGENT.to_owned(), String::from);
        let (from_task, from_attempt) = (Some(acting.task), Some(acting.attempt));
        let key = keyed(&acting.attempt.to_string(), &wanted.key);
        let new = NewMessage { from, from_task, from_attempt, key, ..self.read_message(wanted).await? };
        Ok(self.post(new).await?.thing)
    }

    async fn post(&self, message: NewMessage) -> Result<Once<MessageEntry>, Error> {
        let wanted = message.clone();
        let posted = self.store.post(message, self.clock.now()).await?;
        self.told.notify_waiters();
        let existed = posted.id != wanted.id;
        if existed && !says_the_same(&posted, &wanted) {
            return Err(key_used(wanted.key, "message", posted.number));
        }
        Ok(Once { thing: posted, existed })
    }

    /// Everything but the sender.
    async fn read_message(&self, wanted: WantedMessage) -> Result<NewMessage, Error> {
        check_text("message.content", &wanted.content, MAX_CONTENT)?;
        check_key(&wanted.key)?;
        let parent = match wanted.reply_to.as_str() {
            "" => None,
            name => Some(self.message(name).await?),
        };
        let to = match (wanted.to.as_str(), &parent) {
            ("", None) => Recipient::All,
            ("", Some(parent)) => author(parent),
            (to, _) => self.read_recipient("message.to", to).await?,
        };
        Ok(NewMessage {
            id: MessageId::from_uuid(Uuid::now_v7()),
            from: String::new(),
            from_task: None,
            from_attempt: None,
            to,
            kind: wanted.kind,
            content: wanted.content,
            reply_to: parent.map(|parent| parent.number),
            key: None,
        })
    }

    /// Whom a text means. A role need not be known here: tasks bring their own.
    pub(super) async fn read_recipient(&self, field: &'static str, text: &str) -> Result<Recipient, Error> {
        match text {
            Recipient::ALL => Ok(Recipient::All),
            Recipient::USER => Ok(Recipient::User),
            "task" => Err(Error::invalid(field, "names no task; write task:7")),
            text => match text.strip_prefix("task:") {
                Some(name) => Ok(Recipient::Task(self.store.resolve(name).await?)),
                None => match Slug::parse(text) {
                    Ok(role) => Ok(Recipient::Role(role)),
                    Err(error) => {
                        Err(Error::invalid(field, format!("{error}; write all, user, a role or task:7")))
                    }
                },
            },
        }
    }
}

fn says_the_same(posted: &MessageEntry, wanted: &NewMessage) -> bool {
    posted.content == wanted.content
        && posted.kind == wanted.kind
        && posted.to == wanted.to
        && posted.from == wanted.from
        && posted.from_task.map(|task| task.id) == wanted.from_task
        && posted.reply_to.map(|message| message.number) == wanted.reply_to
}

/// Whoever wrote it: its task, where an agent did.
fn author(message: &MessageEntry) -> Recipient {
    match (message.from_attempt, message.from_task) {
        (Some(_), Some(task)) => Recipient::Task(task.id),
        _ => Recipient::User,
    }
}

/// Text that must be there, and of a bounded length.
pub(super) fn check_text(field: &'static str, text: &str, most: usize) -> Result<(), Error> {
    if text.trim().is_empty() {
        return Err(Error::invalid(field, "is empty"));
    }
    if text.len() > most {
        return Err(Error::invalid(field, format!("is {} bytes long; at most {most}", text.len())));
    }
    if text.contains('\0') {
        return Err(Error::invalid(field, "holds a NUL character"));
    }
    Ok(())
}

pub(super) fn check_key(key: &str) -> Result<(), Error> {
    if key.len() > MAX_KEY {
        return Err(Error::invalid("idempotency_key", format!("is longer than {MAX_KEY} bytes")));
    }
    if key.chars().any(char::is_control) {
        return Err(Error::invalid("idempotency_key", "holds a control character"));
    }
    Ok(())
}

/// Keys are apart by who brings them: one agent's do not meet another's.
pub(super) fn keyed(owner: &str, key: &str) -> Option<String> {
    (!key.is_empty()).then(|| format!("{owner}/{key}"))
}

/// The refusal of a [`keyed`] call that asks for something else than the first with its key.
pub(super) fn key_used(keyed: Option<String>, what: &'static str, number: u64) -> Error {
    let keyed = keyed.unwrap_or_default();
    let key = keyed.split_once('/').map_or("", |(_, key)| key).to_owned();
    Error::KeyUsed { key, what, number }
}

fn check_sender(from: &str) -> Result<(), Error> {
    if from.len() > MAX_SENDER {
        return Err(Error::invalid("message.from", format!("is longer than {MAX_SENDER} bytes")));
    }
    if from.chars().any(char::is_control) {
        return Err(Error::invalid("message.from", "holds a control character"));
    }
    Ok(())
}
