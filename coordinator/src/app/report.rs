//! The end of an attempt, by its worker's word.

use super::log_fences::LogEnd;
use super::{App, Error};
use crate::store::{Reported, ReportedAttempt};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportVerdict {
    Accepted,
    Duplicate,
    Superseded,
}

impl App {
    /// Takes a report once. The same again is a duplicate; one of an attempt that
    /// is no longer the task's is dropped without noise.
    pub async fn report(&self, reported: ReportedAttempt) -> Result<ReportVerdict, Error> {
        let ReportedAttempt { task, attempt, worker, .. } = reported;
        let log_records = reported.report.log_records;
        let verdict = match self.store.report(reported, self.clock.now()).await? {
            Reported::Accepted(applied) => {
                tracing::info!(%task, %attempt, %worker, state = applied.state.name(), "attempt ended");
                self.settle(&applied);
                ReportVerdict::Accepted
            }
            Reported::Duplicate => ReportVerdict::Duplicate,
            Reported::Superseded => {
                tracing::info!(%task, %attempt, %worker, "dropped the report of a superseded attempt");
                return Ok(ReportVerdict::Superseded);
            }
        };
        // Its last lines may still be on the way; whoever brings the last of them seals the log.
        self.seal_if_whole(attempt, LogEnd::After(log_records)).await;
        Ok(verdict)
    }
}
