//! Draining a worker: nothing new for it, while what it holds goes on, or is handed over at a deadline.

use std::time::Duration;

use factory_domain::{Timestamp, WorkerId};

use super::{App, Error, WorkerDetail};

/// A drain, as its worker is told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// From now until what still runs is handed over; `None`: it may take its time.
    pub hand_over_after: Option<Duration>,
}

impl Drain {
    pub(super) fn until(hand_over_at: Option<Timestamp>, now: Timestamp) -> Self {
        Self { hand_over_after: hand_over_at.map(|at| at.since(now)) }
    }
}

impl App {
    /// Durable when this returns, and no lease is given to the worker after it: what it was
    /// offered before is its to finish, within `hand_over_after` where that is given. Wishing
    /// it again sets that anew and changes nothing else.
    ///
    /// The deadline is a request to the worker, which ends its agents and saves their work. One that
    /// does not obey keeps its leases as any other does, and nothing is given away under it.
    pub async fn drain_worker(
        &self,
        name: &str,
        hand_over_after: Option<Duration>,
    ) -> Result<WorkerDetail, Error> {
        let worker = self.find_worker(name).await?.entry.id;
        let _in_order = self.drains.lock().await;
        let now = self.clock.now();
        let hand_over_at = hand_over_after.map(|span| now.after(span));
        self.must_be_there(worker, self.store.drain_worker(worker, hand_over_at, now).await?)?;
        self.tell_of_drain(worker, Some(Drain::until(hand_over_at, now)));
        tracing::info!(%worker, ?hand_over_after, "worker drains: it is offered nothing new");
        self.worker_detail(worker).await
    }

    /// Ends a drain. A worker that does not drain stays as it is.
    pub async fn resume_worker(&self, name: &str) -> Result<WorkerDetail, Error> {
        let worker = self.find_worker(name).await?.entry.id;
        let _in_order = self.drains.lock().await;
        self.must_be_there(worker, self.store.resume_worker(worker).await?)?;
        self.tell_of_drain(worker, None);
        tracing::info!(%worker, "worker resumed");
        self.worker_detail(worker).await
    }

    fn must_be_there(&self, worker: WorkerId, found: bool) -> Result<(), Error> {
        if found { Ok(()) } else { Err(Error::NoSuchWorker(worker.to_string())) }
    }

    fn tell_of_drain(&self, worker: WorkerId, drain: Option<Drain>) {
        self.fleet.set_drain(worker, drain);
        // Also for a drain: a claim that found nothing for this worker alone must not
        // count as one that found nothing for others like it.
        self.schedule.notify_one();
    }
}
