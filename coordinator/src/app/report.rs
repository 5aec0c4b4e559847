//! The end of an attempt, by its worker's word.

use factory_domain::{Report, TaskId};

use super::log_fences::LogEnd;
use super::{App, Error};
use crate::store::{Reported, ReportedAttempt};

/// Bytes of an agent's closing words that are kept; its log has them all.
const MAX_RESULT: usize = 256 * 1024;

/// What a worker is told of its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportAnswer {
    pub verdict: ReportVerdict,
    /// The task has ended: no attempt will go on from this one.
    pub task_ended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportVerdict {
    Accepted,
    Duplicate,
    Superseded,
}

impl App {
    /// Takes a report once. The same again is a duplicate; one of an attempt that
    /// is no longer the task's is dropped without noise.
    pub async fn report(&self, mut reported: ReportedAttempt) -> Result<ReportAnswer, Error> {
        bound(&mut reported.report);
        let ReportedAttempt { task, attempt, worker, .. } = reported;
        let log_records = reported.report.log_records;
        let answer = match self.store.report(reported, self.clock.now()).await? {
            Reported::Accepted(applied) => {
                self.settle(&applied);
                let task_ended = applied.state.is_terminal();
                ReportAnswer { verdict: ReportVerdict::Accepted, task_ended }
            }
            Reported::Duplicate => {
                let task_ended = self.has_ended(task).await?;
                ReportAnswer { verdict: ReportVerdict::Duplicate, task_ended }
            }
            Reported::Superseded => {
                tracing::info!(%task, %attempt, %worker, "dropped the report of a superseded attempt");
                let task_ended = self.has_ended(task).await?;
                return Ok(ReportAnswer { verdict: ReportVerdict::Superseded, task_ended });
            }
        };
        // Its last lines may still be on the way; whoever brings the last of them seals the log.
        self.seal_if_whole(attempt, LogEnd::After(log_records)).await;
        Ok(answer)
    }

    async fn has_ended(&self, task: TaskId) -> Result<bool, Error> {
        Ok(self.store.task(task).await?.is_some_and(|task| task.state.is_terminal()))
    }
}

/// Cuts what is too long rather than refuse it: the worker could only send the same again.
fn bound(report: &mut Report) {
    report.commits.truncate(Report::MAX_COMMITS);
    let text = &mut report.result_text;
    if text.len() > MAX_RESULT {
        text.truncate(text.floor_char_boundary(MAX_RESULT));
        text.push('…');
    }
}
