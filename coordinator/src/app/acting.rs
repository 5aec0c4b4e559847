//! An agent that acts beside its own work: known by its attempt, and allowed nothing beyond that.

use std::time::Duration;

use factory_domain::{AttemptId, Notices, TaskId, WorkerId};

use super::{App, Error};

/// A live attempt, by the worker that holds it.
#[derive(Debug, Clone, Copy)]
pub struct Acting {
    pub worker: WorkerId,
    pub task: TaskId,
    pub attempt: AttemptId,
}

/// How long an agent's worker is kept waiting at most before it asks again.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl App {
    /// The fence of everything an agent does: its attempt is the task's live one, and that worker's.
    pub async fn acting(&self, worker: WorkerId, task: TaskId, attempt: AttemptId) -> Result<Acting, Error> {
        let found = self.store.attempt(attempt).await?;
        let holds = |found: &crate::store::AttemptEntry| {
            found.task == task && found.worker == worker && found.state.is_live()
        };
        match found {
            Some(found) if holds(&found) => Ok(Acting { worker, task, attempt }),
            _ => Err(Error::NotYours(attempt)),
        }
    }

    /// What the agent has not been told; waits so long for something, where there is nothing.
    pub async fn notices(&self, acting: &Acting, told_up_to: u64, wait: Duration) -> Result<Notices, Error> {
        if told_up_to > 0 {
            self.store.note_told(acting.task, told_up_to).await?;
        }
        let deadline = tokio::time::Instant::now() + wait.min(LONGEST_WAIT);
        loop {
            let told = self.told.notified();
            let found = self.store.notices(acting.task, told_up_to).await?;
            if !found.notices.is_empty() {
                return Ok(found);
            }
            tokio::select! {
                () = told => {}
                () = tokio::time::sleep_until(deadline) => return Ok(found),
                () = self.stopping.cancelled() => return Err(Error::Stopping),
            }
        }
    }
}
