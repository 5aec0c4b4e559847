//! Lines from a worker, appended to the logs of its attempts.

use factory_domain::{AttemptId, TaskId, WorkerId};
use factory_proto::v1::LogRecord;
use futures_util::future::try_join_all;

use super::log_fences::LogEnd;
use super::{App, Error};

/// Consecutive records of one attempt.
#[derive(Debug)]
pub struct LogBatch {
    pub task: TaskId,
    pub attempt: AttemptId,
    pub records: Vec<LogRecord>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct LogAck {
    pub attempt: AttemptId,
    /// Everything before it is kept. The worker goes on from here, wherever it was.
    pub next_offset: u64,
    /// Nothing more is wanted.
    pub closed: bool,
}

impl App {
    /// Appends each batch to its log. An attempt that is not this worker's, or
    /// was given up, takes nothing; the worker is told so and stops sending.
    pub async fn push_logs(&self, worker: WorkerId, batches: Vec<LogBatch>) -> Result<Vec<LogAck>, Error> {
        try_join_all(batches.into_iter().map(|batch| self.push_batch(worker, batch))).await
    }

    async fn push_batch(&self, worker: WorkerId, batch: LogBatch) -> Result<LogAck, Error> {
        let LogBatch { task, attempt, records } = batch;
        let fence = self.log_fence(task, attempt).await?.filter(|fence| fence.worker == worker);
        let extent = match fence.map(|fence| fence.end) {
            None => return Ok(LogAck { attempt, next_offset: 0, closed: true }),
            Some(LogEnd::Here) => self.logs.seal(attempt).await?,
            Some(LogEnd::Open | LogEnd::After(_)) => self.logs.append(attempt, records).await?,
        };
        // Asked again: a report that came meanwhile found the log without these records.
        let end = self.log_fence(task, attempt).await?.map_or(LogEnd::Here, |fence| fence.end);
        let closed = extent.sealed || end.is_reached(extent.next_offset);
        if closed && !extent.sealed {
            self.logs.seal(attempt).await?;
            tracing::debug!(%task, %attempt, %worker, records = extent.next_offset, "log complete");
        }
        Ok(LogAck { attempt, next_offset: extent.next_offset, closed })
    }

    /// Seals an ended attempt's log if it is whole. A log that cannot be sealed now
    /// costs nothing but its packing, and must not fail what was decided.
    pub(super) async fn seal_if_whole(&self, attempt: AttemptId, end: LogEnd) {
        let sealed = match self.logs.extent(attempt).await {
            Ok(extent) if end.is_reached(extent.next_offset) => self.logs.seal(attempt).await.map(drop),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = sealed {
            tracing::warn!(%attempt, error = %anyhow::Error::new(error), "could not seal a log");
        }
    }
}
