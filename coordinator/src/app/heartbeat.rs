//! A worker says that it is there, and what it holds.

use factory_domain::{AttemptId, SessionId, WorkerId};

use super::{App, Error};
use crate::store::{Held, Holding, Renewal};

#[derive(Debug)]
pub struct Beat {
    pub worker: WorkerId,
    pub session: SessionId,
    pub held: Vec<Held>,
    /// Bytes.
    pub free_disk: u64,
}

impl App {
    /// Extends the worker's leases. The answer has a verdict for each attempt held.
    pub async fn heartbeat(&self, beat: Beat) -> Result<Vec<(AttemptId, Holding)>, Error> {
        let Beat { worker, session, held, free_disk } = beat;
        let renewal = Renewal { worker, session, held, free_disk };
        let verdicts = self.store.renew(renewal, self.clock.now()).await?;
        for (attempt, holding) in verdicts.iter().filter(|(_, holding)| *holding == Holding::Superseded) {
            tracing::info!(%attempt, %worker, ?holding, "a worker holds what is no longer its own");
        }
        Ok(verdicts)
    }
}
