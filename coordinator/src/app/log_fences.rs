//! Who may push which log, and up to where: read from the store once, and kept
//! until the task next moves, so that a batch of lines costs no query.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use factory_domain::{AttemptId, AttemptState, TaskId, WorkerId};

use super::{App, Error};
use crate::store::AttemptEntry;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFence {
    pub worker: WorkerId,
    pub task: TaskId,
    pub end: LogEnd,
}

/// Where an attempt's log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEnd {
    /// Nobody knows yet: the attempt is live.
    Open,
    /// After so many records, by its worker's report. They may still be on the way.
    After(u64),
    /// Where it is: nothing more is taken.
    Here,
}

impl LogEnd {
    pub fn of(attempt: &AttemptEntry) -> Self {
        match (&attempt.report, attempt.state) {
            (Some(report), _) => Self::After(report.log_records),
            (None, state) if state.is_live() => Self::Open,
            (None, _) => Self::Here,
        }
    }

    /// Whether a log that holds `records` is whole.
    pub fn is_reached(self, records: u64) -> bool {
        match self {
            Self::Open => false,
            Self::After(end) => records >= end,
            Self::Here => true,
        }
    }
}

/// Whether the attempt was ever accepted, and so has a log, if perhaps an empty one.
pub fn has_log(attempt: &AttemptEntry) -> bool {
    !matches!(attempt.state, AttemptState::Offered | AttemptState::Returned)
}

#[derive(Debug, Default)]
pub struct LogFences(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    fences: HashMap<TaskId, (AttemptId, LogFence)>,
    /// Counts what was forgotten: what was read before and arrives after is not kept.
    generation: u64,
}

impl LogFences {
    /// To be called once a task has moved, or its logs were removed.
    pub fn forget(&self, task: TaskId) {
        let mut known = self.lock();
        known.fences.remove(&task);
        known.generation += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// The fence of an attempt; `None` for one that this task never had, or whose log was removed.
    pub(super) async fn log_fence(
        &self,
        task: TaskId,
        attempt: AttemptId,
    ) -> Result<Option<LogFence>, Error> {
        let generation = {
            let known = self.fences.lock();
            match known.fences.get(&task) {
                Some((of, fence)) if *of == attempt => return Ok(Some(*fence)),
                _ => known.generation,
            }
        };
        let entry = self.store.attempt(attempt).await?.filter(|entry| entry.task == task);
        if let Some(entry) = &entry
            && !entry.state.is_live()
            && self.log_was_removed(entry).await?.is_some()
        {
            return Ok(None);
        }
        let fence = entry.map(|entry| LogFence { worker: entry.worker, task, end: LogEnd::of(&entry) });
        if let Some(fence) = fence {
            let mut known = self.fences.lock();
            if known.generation == generation {
                known.fences.insert(task, (attempt, fence));
            }
        }
        Ok(fence)
    }
}
