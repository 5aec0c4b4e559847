//! A worker says that it is there, and what it holds.

use std::sync::atomic::Ordering;

use factory_domain::{AttemptId, SessionId, TaskState, WorkerId};

use super::{App, Error, HostLoad};
use crate::store::{Held, Holding, Renewal, StoreError};

#[derive(Debug)]
pub struct Beat {
    pub worker: WorkerId,
    pub session: SessionId,
    pub held: Vec<Held>,
    /// Bytes.
    pub free_disk: u64,
    /// `None`: its host does not tell.
    pub load: Option<HostLoad>,
}

impl App {
    /// Extends the worker's leases. The answer has a verdict for each attempt held.
    pub async fn heartbeat(&self, beat: Beat) -> Result<Vec<(AttemptId, Holding)>, Error> {
        let Beat { worker, session, held, free_disk, load } = beat;
        self.fleet.set_load(worker, session, load);
        let renewal = Renewal { worker, session, held, free_disk };
        let verdicts = match self.store.renew(renewal.clone(), self.clock.now()).await {
            Err(StoreError::Full { .. }) => self.promise(renewal).await?,
            renewed => renewed?,
        };
        for (attempt, holding) in verdicts.iter().filter(|(_, holding)| *holding == Holding::Superseded) {
            tracing::info!(%attempt, %worker, ?holding, "a worker holds what is no longer its own");
        }
        Ok(verdicts)
    }

    /// The verdicts where the leases cannot be extended for want of room. That is no fault of the
    /// workers', and must not end what they run: they are told to go on, and before anything can be
    /// written again that would take an attempt from them, every lease gets a full term, as after a restart.
    async fn promise(&self, renewal: Renewal) -> Result<Vec<(AttemptId, Holding)>, Error> {
        self.owed.store(true, Ordering::SeqCst);
        let newest = self.store.worker(renewal.worker).await?;
        let is_newest = newest.is_some_and(|row| row.entry.session == renewal.session);
        let mut verdicts = Vec::with_capacity(renewal.held.len());
        for held in renewal.held {
            let attempt = self.store.attempt(held.attempt).await?.filter(|attempt| {
                attempt.worker == renewal.worker && attempt.task == held.task && attempt.state.is_live()
            });
            let holding = match attempt {
                Some(attempt) if is_newest => {
                    let task = self.store.task(attempt.task).await?;
                    match task.map(|task| task.state) {
                        Some(TaskState::Cancelling { .. }) => Holding::Cancel,
                        _ => Holding::CarryOn,
                    }
                }
                _ => Holding::Superseded,
            };
            verdicts.push((held.attempt, holding));
        }
        Ok(verdicts)
    }
}
