//! Draining a worker: nothing new for it, while what it holds goes on.

use factory_domain::WorkerId;

use super::{App, Error, WorkerDetail};

impl App {
    /// Durable when this returns, and no lease is given to the worker after it: what it was
    /// offered before is its to finish. Wishing it again changes nothing.
    pub async fn drain_worker(&self, name: &str) -> Result<WorkerDetail, Error> {
        let worker = self.find_worker(name).await?.entry.id;
        self.set_drain(worker, true).await?;
        tracing::info!(%worker, "worker drains: it is offered nothing new");
        self.worker_detail(worker).await
    }

    /// Ends a drain. A worker that does not drain stays as it is.
    pub async fn resume_worker(&self, name: &str) -> Result<WorkerDetail, Error> {
        let worker = self.find_worker(name).await?.entry.id;
        self.set_drain(worker, false).await?;
        tracing::info!(%worker, "worker resumed");
        self.worker_detail(worker).await
    }

    async fn set_drain(&self, worker: WorkerId, draining: bool) -> Result<(), Error> {
        let _in_order = self.drains.lock().await;
        let found = if draining {
            self.store.drain_worker(worker, self.clock.now()).await?
        } else {
            self.store.resume_worker(worker).await?
        };
        if !found {
            return Err(Error::NoSuchWorker(worker.to_string()));
        }
        self.fleet.set_draining(worker, draining);
        // Also for a drain: a claim that found nothing for this worker alone must not
        // count as one that found nothing for others like it.
        self.schedule.notify_one();
        Ok(())
    }
}
