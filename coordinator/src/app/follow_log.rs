//! A task's log, live, over one attempt after the other.

use std::sync::Arc;

use factory_domain::{AttemptId, TaskId};
use factory_proto::v1::LogRecord;
use tokio::sync::watch;

use super::log_fences::{LogEnd, has_log};
use super::{App, Error};
use crate::logs::{Extent, LogError};
use crate::store::{AttemptEntry, StoreError};

/// One page.
const RECORDS: usize = 1000;
const BYTES: usize = 256 * 1024;

/// Reads a task's logs at its caller's pace; it holds nothing but a place in them.
pub struct LogFollower {
    app: Arc<App>,
    task: TaskId,
    feed: watch::Receiver<u64>,
    /// The least number of the attempt to read, and where in it to begin.
    place: (u32, u64),
    /// Ends with this attempt.
    last: Option<u32>,
    reading: Option<Reading>,
}

/// The attempt whose log is read just now.
struct Reading {
    attempt: AttemptEntry,
    extent: watch::Receiver<Extent>,
    offset: u64,
}

enum Next {
    Attempt(Box<AttemptEntry>),
    /// The task may still be tried again.
    NotYet,
    None,
}

impl App {
    /// Everything from `place` (attempt number, offset) on; of the attempt numbered `only` alone, where given.
    pub async fn follow_log(
        self: &Arc<Self>,
        name: &str,
        place: (u32, u64),
        only: Option<u32>,
    ) -> Result<LogFollower, Error> {
        let task = self.store.resolve(name).await?;
        let mut place = (place.0.max(1), place.1);
        if let Some(number) = only {
            if !self.store.attempts(task).await?.iter().any(|attempt| attempt.number == number) {
                return Err(Error::NoSuchAttempt { task, number });
            }
            place = (number, if place.0 == number { place.1 } else { 0 });
        }
        self.check_place(task, place).await?;
        let feed = self.store.feed();
        Ok(LogFollower { app: Arc::clone(self), task, feed, place, last: only, reading: None })
    }

    /// A place behind a log's end is of another task; whoever waited for it might wait for ever.
    pub(super) async fn check_place(&self, task: TaskId, (number, offset): (u32, u64)) -> Result<(), Error> {
        let attempts = self.store.attempts(task).await?;
        let end = match attempts.iter().find(|attempt| attempt.number == number) {
            None if number == 1 => 0,
            None => return Err(Error::NoSuchPlace { attempt: number, offset, end: 0 }),
            Some(attempt) => {
                let end = self.logs.extent(attempt.id).await?.next_offset;
                if end == 0
                    && !attempt.state.is_live()
                    && let Some(removed) = self.log_was_removed(attempt).await?
                {
                    return Err(removed);
                }
                end
            }
        };
        if offset > end { Err(Error::NoSuchPlace { attempt: number, offset, end }) } else { Ok(()) }
    }
}

impl LogFollower {
    /// The next records, one or more, and their attempt's number; `None` once the task
    /// has ended and all its logs were read to their ends.
    pub async fn next(&mut self) -> Result<Option<(u32, Vec<LogRecord>)>, Error> {
        loop {
            if let Some(reading) = &mut self.reading {
                let page = reading.page(&self.app, &mut self.feed).await?;
                if let Some(records) = page {
                    return Ok(Some((reading.attempt.number, records)));
                }
                self.place = (reading.attempt.number + 1, 0);
                self.reading = None;
            }
            // Marked as seen before the store is asked: what comes after wakes us again.
            self.feed.borrow_and_update();
            match self.next_attempt().await? {
                Next::Attempt(attempt) => self.reading = Some(self.begin(*attempt).await?),
                Next::NotYet => self.feed.changed().await.map_err(|_| StoreError::Closed)?,
                Next::None => return Ok(None),
            }
        }
    }

    async fn next_attempt(&self) -> Result<Next, Error> {
        let (number, _) = self.place;
        if self.last.is_some_and(|last| number > last) {
            return Ok(Next::None);
        }
        // The task first: if it has ended, the attempts read after it are all there will be.
        let (task, _) = self.app.task(self.task).await?;
        let attempts = self.app.store.attempts(self.task).await?;
        let next = attempts.into_iter().find(|attempt| {
            attempt.number >= number
                && self.last.is_none_or(|last| attempt.number <= last)
                && has_log(attempt)
        });
        Ok(match next {
            Some(attempt) => Next::Attempt(Box::new(attempt)),
            None if task.state.is_terminal() => Next::None,
            None => Next::NotYet,
        })
    }

    async fn begin(&self, attempt: AttemptEntry) -> Result<Reading, Error> {
        let (number, offset) = self.place;
        let offset = if attempt.number == number { offset } else { 0 };
        let extent = self.app.logs.subscribe(attempt.id).await?;
        Ok(Reading { attempt, extent, offset })
    }
}

impl Reading {
    /// The next records; `None` at the log's end.
    async fn page(
        &mut self,
        app: &App,
        feed: &mut watch::Receiver<u64>,
    ) -> Result<Option<Vec<LogRecord>>, Error> {
        loop {
            // The end is looked at before the log, so that an end known then is in what is read.
            let end = app.log_end(&self.attempt);
            self.extent.borrow_and_update();
            let page = app.log_page(&self.attempt, self.offset, RECORDS, BYTES).await?;
            if !page.records.is_empty() {
                self.offset = page.next_offset;
                return Ok(Some(page.records));
            }
            if page.sealed || end.is_reached(page.end) {
                return Ok(None);
            }
            self.wait(app, feed, end).await?;
        }
    }

    /// Until there may be more to read, or the attempt may have ended.
    async fn wait(&mut self, app: &App, feed: &mut watch::Receiver<u64>, end: LogEnd) -> Result<(), Error> {
        tokio::select! {
            grown = self.extent.changed() => grown.map_err(|_| LogError::Closed)?,
            moved = feed.changed() => {
                moved.map_err(|_| StoreError::Closed)?;
                self.attempt = attempt(app, self.attempt.id).await?;
            }
            // Its worker may be gone for good: see `App::log_end`.
            () = tokio::time::sleep(app.terms.heartbeat), if matches!(end, LogEnd::After(_)) => {}
        }
        Ok(())
    }
}

async fn attempt(app: &App, id: AttemptId) -> Result<AttemptEntry, Error> {
    let entry = app.store.attempt(id).await?;
    entry.ok_or_else(|| StoreError::Corrupt(format!("attempt {id} is gone")).into())
}
