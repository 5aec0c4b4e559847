//! Reading the message board: one message, a thread, a page of them, what an agent has not read.

use factory_domain::{MessageType, TaskId};

use super::page::{self, Page};
use super::{Acting, App, Error};
use crate::store::{MessageEntry, MessageFilter, MessageName, MessageRange};

/// Bytes of a search.
const MAX_SEARCH: usize = 1024;
/// Messages of one thread that are shown: the last.
const MAX_THREAD: u32 = 1000;
/// Messages that an agent is given at once.
const AGENT_DEFAULT: u32 = 20;
const AGENT_MOST: u32 = 100;

#[derive(Debug)]
pub struct MessagesRequest {
    /// All of these narrow the list where they are not empty.
    pub task: String,
    pub types: Vec<MessageType>,
    pub to: String,
    pub from: String,
    pub search: String,
    /// 0: the default.
    pub page_size: u32,
    /// Empty: the first page.
    pub page_token: String,
}

#[derive(Debug)]
pub struct MessagesPage {
    pub messages: Vec<MessageEntry>,
    /// Empty on the last page.
    pub next_page_token: String,
}

/// What of the board an agent asks to read.
#[derive(Debug)]
pub enum Reading {
    /// What is for it and it has not read.
    Unread,
    /// A message and its replies, by id or number.
    Thread(String),
    /// The newest, of all; narrowed by a search where it is not empty.
    Newest { search: String },
}

impl App {
    /// Number of the newest message on the board; 0: there is none.
    pub fn newest_message(&self) -> u64 {
        *self.store.board().borrow()
    }

    /// By id or number.
    pub async fn message(&self, name: &str) -> Result<MessageEntry, Error> {
        let missing = || Error::NoSuchMessage(name.to_owned());
        let wanted = match name.parse() {
            Ok(number) => MessageName::Number(number),
            Err(_) => MessageName::Id(name.parse().map_err(|_| missing())?),
        };
        self.store.message(wanted).await?.ok_or_else(missing)
    }

    /// The whole thread of any message of it, oldest first; of a very long one its end.
    pub async fn thread(&self, name: &str) -> Result<Vec<MessageEntry>, Error> {
        let first = self.message(name).await?.first_of_thread();
        let mut thread = self.store.thread(first, MAX_THREAD).await?;
        let fitting = page::fitting(thread.iter().rev().map(|message| message.content.len()));
        thread.drain(..thread.len() - fitting.min(thread.len()));
        Ok(thread)
    }

    /// Newest first, in pages.
    pub async fn messages(&self, request: MessagesRequest) -> Result<MessagesPage, Error> {
        let filters = (&request.task, &request.types, &request.to, &request.from, &request.search);
        let page = Page::read(request.page_size, &request.page_token, &filters)?;
        let filter = MessageFilter {
            range: MessageRange::Before(page.before),
            task: self.named_task(&request.task).await?,
            to: match request.to.as_str() {
                "" => None,
                to => Some(self.read_recipient("to", to).await?),
            },
            types: request.types,
            from: Some(request.from).filter(|from| !from.is_empty()),
            search: read_search(request.search)?,
            limit: page.limit(),
        };
        let mut messages = self.store.messages(filter).await?;
        let text = |message: &MessageEntry| message.content.len();
        let next_page_token = page.cut(&mut messages, text, |message| message.number);
        Ok(MessagesPage { messages, next_page_token })
    }

    /// What an agent asks to read, newest last. What was unread counts as read from then on.
    pub async fn read_messages(
        &self,
        acting: &Acting,
        reading: Reading,
        limit: u32,
    ) -> Result<Vec<MessageEntry>, Error> {
        let limit = if limit == 0 { AGENT_DEFAULT } else { limit.min(AGENT_MOST) };
        match reading {
            Reading::Unread => {
                let mut unread = self.store.unread(acting.task, limit).await?;
                let fitting = page::fitting(unread.iter().map(|message| message.content.len())).max(1);
                unread.truncate(fitting);
                if !unread.is_empty() {
                    let read = unread.iter().map(|message| message.number).collect();
                    self.store.note_read(acting.task, read).await?;
                }
                Ok(unread)
            }
            Reading::Thread(name) => {
                let thread = self.thread(&name).await?;
                Ok(thread[thread.len().saturating_sub(limit as usize)..].to_vec())
            }
            Reading::Newest { search } => {
                let filter = MessageFilter {
                    range: MessageRange::Before(None),
                    task: None,
                    types: Vec::new(),
                    to: None,
                    from: None,
                    search: read_search(search)?,
                    limit,
                };
                let mut messages = self.store.messages(filter).await?;
                messages.truncate(page::fitting(messages.iter().map(|message| message.content.len())));
                messages.reverse();
                Ok(messages)
            }
        }
    }

    pub(super) async fn named_task(&self, name: &str) -> Result<Option<TaskId>, Error> {
        match name {
            "" => Ok(None),
            name => Ok(Some(self.store.resolve(name).await?)),
        }
    }
}

fn read_search(search: String) -> Result<Option<String>, Error> {
    if search.len() > MAX_SEARCH {
        return Err(Error::invalid(
            "search",
            format!("is {} bytes long; at most {MAX_SEARCH}", search.len()),
        ));
    }
    Ok(Some(search).filter(|search| !search.is_empty()))
}
