//! One page of the logs of all of a task's attempts, one after the other.

use factory_domain::TaskId;
use factory_proto::v1::LogRecord;

use super::log_fences::has_log;
use super::read_log::{MAX_BYTES, page_length};
use super::{App, Error};
use crate::store::AttemptEntry;

/// Number of an attempt, and a record of its log.
type Place = (u32, u64);

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
pub enum TaskLogPlace {
    From(Place),
    /// The last so many records of the latest attempt that has any.
    Tail(u32),
}

#[derive(Debug)]
pub struct TaskLogPage {
    /// The attempt whose records these are; `None`: there are none to read.
    pub attempt: Option<u32>,
    pub records: Vec<LogRecord>,
    /// Where to read on.
    pub next: Place,
    /// There is nothing more for now.
    pub at_end: bool,
    /// Nor will there be.
    pub complete: bool,
}

impl App {
    /// A page; of the attempt numbered `only` alone, where given. `limit` 0: the default.
    pub async fn read_task_log(
        &self,
        name: &str,
        place: TaskLogPlace,
        only: Option<u32>,
        limit: u32,
    ) -> Result<TaskLogPage, Error> {
        let id = self.store.resolve(name).await?;
        // The task first: if it has ended, the attempts read after it are all there will be.
        let has_ended = self.task(id).await?.0.state.is_terminal();
        let attempts = self.attempts_with_logs(id, only).await?;
        let place = match place {
            TaskLogPlace::From(place) => {
                self.check_place(id, place).await?;
                place
            }
            TaskLogPlace::Tail(count) => self.tail(&attempts, count).await?,
        };
        let mut page = TaskLogPage {
            attempt: None,
            records: Vec::new(),
            next: place,
            at_end: true,
            complete: has_ended,
        };
        let first = attempts.partition_point(|attempt| attempt.number < place.0);
        let mut rest = attempts[first..].iter().peekable();
        while let Some(attempt) = rest.next() {
            let from = if attempt.number == place.0 { place.1 } else { 0 };
            let read = self.log_page(attempt, from, page_length(limit), MAX_BYTES).await?;
            let at_end = read.next_offset >= read.end;
            // The attempt was looked at before its log was: an end known then is in the page.
            let is_whole = at_end && self.log_end(attempt).is_reached(read.end);
            page.attempt = Some(attempt.number);
            page.next = (attempt.number, read.next_offset);
            page.at_end = at_end && (!is_whole || rest.peek().is_none());
            page.complete = is_whole && rest.peek().is_none() && (has_ended || only.is_some());
            page.records = read.records;
            if !page.records.is_empty() || !is_whole {
                break;
            }
        }
        Ok(page)
    }

    /// In order of number.
    async fn attempts_with_logs(&self, task: TaskId, only: Option<u32>) -> Result<Vec<AttemptEntry>, Error> {
        let mut attempts = self.store.attempts(task).await?;
        if let Some(number) = only {
            attempts.retain(|attempt| attempt.number == number);
            if attempts.is_empty() {
                return Err(Error::NoSuchAttempt { task, number });
            }
        }
        attempts.retain(has_log);
        Ok(attempts)
    }

    async fn tail(&self, attempts: &[AttemptEntry], count: u32) -> Result<Place, Error> {
        for attempt in attempts.iter().rev() {
            let end = self.logs.extent(attempt.id).await?.next_offset;
            if end > 0 {
                return Ok((attempt.number, end.saturating_sub(u64::from(count))));
            }
        }
        Ok((attempts.last().map_or(1, |attempt| attempt.number), 0))
    }
}
