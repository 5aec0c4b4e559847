//! One page of one attempt's log.

use factory_domain::TaskId;
use factory_proto::v1::LogRecord;

use super::log_fences::{LogEnd, has_log};
use super::{App, Error};
use crate::logs::Page;
use crate::store::AttemptEntry;

const DEFAULT_RECORDS: u32 = 1000;
const MAX_RECORDS: u32 = 10_000;
/// Bytes of a page.
pub(super) const MAX_BYTES: usize = 1024 * 1024;

#[derive(Debug, Clone, Copy)]
pub enum LogPlace {
    From(u64),
    /// The last so many records.
    Tail(u32),
}

#[derive(Debug, Default)]
pub struct LogPage {
    pub attempt_number: u32,
    pub records: Vec<LogRecord>,
    pub next_offset: u64,
    /// Nothing comes after `next_offset`, now or later.
    pub complete: bool,
    /// The log ends at `next_offset` for now.
    pub at_end: bool,
}

/// Records of a page; `limit` 0: the default.
pub(super) fn page_length(limit: u32) -> usize {
    if limit == 0 { DEFAULT_RECORDS as usize } else { limit.min(MAX_RECORDS) as usize }
}

impl App {
    /// A page of the attempt numbered `number`; `None`: of the latest that has lines. `limit` 0: the default.
    pub async fn read_log(
        &self,
        name: &str,
        number: Option<u32>,
        place: LogPlace,
        limit: u32,
    ) -> Result<LogPage, Error> {
        let id = self.store.resolve(name).await?;
        let (task, _) = self.task(id).await?;
        let Some(attempt) = self.attempt_to_read(id, number).await? else {
            // No attempt has a log yet; an ended task will not get one.
            return Ok(LogPage { complete: task.state.is_terminal(), at_end: true, ..LogPage::default() });
        };
        let from = match place {
            LogPlace::From(offset) => offset,
            LogPlace::Tail(count) => {
                self.logs.extent(attempt.id).await?.next_offset.saturating_sub(u64::from(count))
            }
        };
        let page = self.log_page(&attempt, from, page_length(limit), MAX_BYTES).await?;
        let at_end = page.next_offset >= page.end;
        Ok(LogPage {
            attempt_number: attempt.number,
            records: page.records,
            next_offset: page.next_offset,
            // The attempt was looked at before its log was: an end known then is in the page.
            complete: at_end && self.log_end(&attempt).is_reached(page.end),
            at_end,
        })
    }

    /// Reads a log, or says that it was removed.
    pub(super) async fn log_page(
        &self,
        attempt: &AttemptEntry,
        from: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Page, Error> {
        let page = self.logs.read(attempt.id, from, max_records, max_bytes).await;
        let is_there = page.as_ref().is_ok_and(|page| page.end > 0);
        if !is_there
            && !attempt.state.is_live()
            && let Some(removed) = self.log_was_removed(attempt).await?
        {
            return Err(removed);
        }
        Ok(page?)
    }

    async fn attempt_to_read(
        &self,
        task: TaskId,
        number: Option<u32>,
    ) -> Result<Option<AttemptEntry>, Error> {
        let mut attempts = self.store.attempts(task).await?;
        if let Some(number) = number {
            let wanted = attempts.into_iter().find(|attempt| attempt.number == number);
            return wanted.map(Some).ok_or(Error::NoSuchAttempt { task, number });
        }
        attempts.retain(has_log);
        let mut latest = None;
        for attempt in attempts.into_iter().rev() {
            if self.logs.extent(attempt.id).await?.next_offset > 0 {
                return Ok(Some(attempt));
            }
            latest = latest.or(Some(attempt));
        }
        Ok(latest)
    }

    /// Where a reader may take the log for ended. A worker that reported and has been
    /// gone for as long as an attempt may be out of contact brings no more lines:
    /// its log ends where it is for those who read, though it could still be continued.
    pub(super) fn log_end(&self, attempt: &AttemptEntry) -> LogEnd {
        let end = LogEnd::of(attempt);
        let given_up = attempt.ended_at.is_some_and(|ended| {
            let patience = ended.after(self.terms.lost_after);
            patience <= self.clock.now() && !self.fleet.is_connected(attempt.worker)
        });
        if matches!(end, LogEnd::After(_)) && given_up { LogEnd::Here } else { end }
    }
}
