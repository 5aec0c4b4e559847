//! The event feed, from a cursor on.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use factory_domain::TaskId;
use tokio::sync::watch;

use super::{App, Error};
use crate::store::{FeedEvent, StoreError};

/// Events read at once.
const PAGE: u32 = 500;

/// Reads the feed at its caller's pace; it holds nothing but a place in it.
pub struct EventWatcher {
    app: Arc<App>,
    feed: watch::Receiver<u64>,
    /// Of these only, where it is not empty.
    tasks: Vec<TaskId>,
    after: u64,
    read: VecDeque<FeedEvent>,
    ends: End,
}

enum End {
    /// At the feed's end.
    Now,
    /// When these have ended, too; each leaves with its last event.
    WithTasks(HashSet<TaskId>),
    /// When no task is left that has not ended.
    WhenIdle,
    Never,
}

impl App {
    /// Events after the cursor `after`, of the tasks named or of all.
    pub async fn watch(
        self: &Arc<Self>,
        names: &[String],
        after: u64,
        follow: bool,
        until_ended: bool,
    ) -> Result<EventWatcher, Error> {
        let mut tasks = Vec::with_capacity(names.len());
        for name in names {
            tasks.push(self.store.resolve(name).await?);
        }
        let feed = self.store.feed();
        let head = *feed.borrow();
        self.check_cursor(after, head).await?;
        let ends = match (until_ended, follow) {
            (true, _) if tasks.is_empty() => End::WhenIdle,
            (true, _) => End::WithTasks(self.not_ended(&tasks).await?),
            (false, true) => End::Never,
            (false, false) => End::Now,
        };
        Ok(EventWatcher { app: Arc::clone(self), feed, tasks, after, read: VecDeque::new(), ends })
    }

    /// A cursor beyond the feed's end is of another factory; whoever waited for it would wait for ever.
    async fn check_cursor(&self, after: u64, head: u64) -> Result<(), Error> {
        // The head is told a moment after its commit, in which its event can be read already.
        if after <= head || !self.store.events_after(after - 1, &[], 1).await?.is_empty() {
            return Ok(());
        }
        Err(Error::invalid("after", format!("is {after}, and the feed ends at {head}")))
    }

    async fn not_ended(&self, tasks: &[TaskId]) -> Result<HashSet<TaskId>, Error> {
        let mut pending = HashSet::new();
        for task in tasks {
            if self.store.task(*task).await?.is_some_and(|entry| !entry.state.is_terminal()) {
                pending.insert(*task);
            }
        }
        Ok(pending)
    }
}

impl EventWatcher {
    /// The next event; `None` once the watch is at its end.
    pub async fn next(&mut self) -> Result<Option<FeedEvent>, Error> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.cursor;
                if let End::WithTasks(pending) = &mut self.ends
                    && event.state.is_terminal()
                {
                    pending.remove(&event.task);
                }
                return Ok(Some(event));
            }
            // Asked before the feed is read: an end seen here has its event in the feed.
            let head = *self.feed.borrow_and_update();
            let ends = self.at_end().await?;
            self.read = self.app.store.events_after(self.after, &self.tasks, PAGE).await?.into();
            if !self.read.is_empty() {
                continue;
            }
            if ends {
                return Ok(None);
            }
            // Nothing of these tasks lies before `head`: the next read need not look there again.
            self.after = self.after.max(head);
            self.feed.changed().await.map_err(|_| StoreError::Closed)?;
        }
    }

    async fn at_end(&self) -> Result<bool, Error> {
        match &self.ends {
            End::Now => Ok(true),
            End::Never => Ok(false),
            End::WhenIdle => Ok(self.app.store.live_count().await? == 0),
            End::WithTasks(pending) => Ok(pending.is_empty()),
        }
    }
}
