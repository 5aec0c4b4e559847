//! The message board, live, from a number on.

use std::collections::VecDeque;
use std::sync::Arc;

use factory_domain::MessageType;
use tokio::sync::watch;

use super::{App, Error, page};
use crate::store::{MessageEntry, MessageFilter, MessageName, MessageRange, StoreError};

/// Messages read at once, and bytes of them that are kept for their reader, or one message.
const PAGE: u32 = 20;
const MAX_BYTES: usize = 256 * 1024;

/// Reads the board at its caller's pace; it holds nothing but a place in it, so that one who reads
/// slowly costs nobody anything.
pub struct MessageFollower {
    app: Arc<App>,
    board: watch::Receiver<u64>,
    filter: MessageFilter,
    after: u64,
    read: VecDeque<MessageEntry>,
}

impl App {
    /// Messages with greater numbers than `after`, or from now on; of one task or of some types only, where
    /// they are given.
    pub async fn follow_messages(
        self: &Arc<Self>,
        after: Option<u64>,
        task: &str,
        types: Vec<MessageType>,
    ) -> Result<MessageFollower, Error> {
        let task = self.named_task(task).await?;
        let board = self.store.board();
        let head = *board.borrow();
        // A number beyond the board's end is of another factory. The head is told a moment after its commit.
        if let Some(after) = after
            && after > head
            && self.store.message(MessageName::Number(after)).await?.is_none()
        {
            let why = format!("is {after}, and the newest message is {head}");
            return Err(Error::invalid("after", why));
        }
        let after = after.unwrap_or(head);
        let filter = MessageFilter {
            range: MessageRange::After(after),
            task,
            types,
            to: None,
            from: None,
            search: None,
            limit: PAGE,
        };
        Ok(MessageFollower { app: Arc::clone(self), board, filter, after, read: VecDeque::new() })
    }
}

impl MessageFollower {
    /// The number after which it goes on.
    pub fn place(&self) -> u64 {
        self.after
    }

    /// The next message, once there is one.
    pub async fn next(&mut self) -> Result<MessageEntry, Error> {
        loop {
            if let Some(message) = self.read.pop_front() {
                self.after = message.number;
                return Ok(message);
            }
            let head = *self.board.borrow_and_update();
            let filter = MessageFilter { range: MessageRange::After(self.after), ..self.filter.clone() };
            let mut read = self.app.store.messages(filter).await?;
            // What does not fit is read when its turn comes: a reader who is slow keeps little of it.
            read.truncate(
                page::fitting_in(MAX_BYTES, read.iter().map(|message| message.content.len())).max(1),
            );
            self.read = read.into();
            if self.read.is_empty() {
                // Nothing like this lies before `head`: the next read need not look there again.
                self.after = self.after.max(head);
                self.board.changed().await.map_err(|_| StoreError::Closed)?;
            }
        }
    }
}
