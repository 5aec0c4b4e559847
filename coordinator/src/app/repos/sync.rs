//! Bringing clones up to date now, rather than when the next task needs them.

use factory_domain::RepoSource;
use futures_util::future::join_all;

use super::jobs::JobError;
use super::list::RepoView;
use crate::app::fleet::Keeper;
use crate::app::{App, Error};
use crate::store::DiskChange;

/// What became of it: the clones as they are now, and at which workers it did not work.
#[derive(Debug)]
pub struct Synced {
    pub repo: RepoView,
    pub failed: Vec<SyncFailure>,
}

#[derive(Debug)]
pub struct SyncFailure {
    pub worker: Keeper,
    /// For people.
    pub why: JobError,
}

impl App {
    /// At the workers named, or at all that are connected and have it; at one, where none has. An error
    /// where it worked at none of them.
    pub async fn sync_repo(&self, name: &str, workers: &[String]) -> Result<Synced, Error> {
        let source = self.find_repo(name)?;
        let places = self.places_to_sync(&source, workers).await?;
        let fetched = join_all(places.iter().map(|(keeper, remote)| self.fetch_at(keeper, remote))).await;
        let mut failed = Vec::new();
        let places_in_all = places.len();
        for ((worker, remote), fetched) in places.into_iter().zip(fetched) {
            match fetched {
                Ok(()) => {}
                Err(Error::RepoJob(why)) => {
                    self.note_failed_fetch(&worker, &remote, &why).await?;
                    failed.push(SyncFailure { worker, why });
                }
                Err(error) => return Err(error),
            }
        }
        if failed.len() == places_in_all {
            return Err(failed.swap_remove(0).why.into());
        }
        Ok(Synced { repo: self.repo_of(&source).await?, failed })
    }

    /// Each with what that worker's clone fetches from: it may be written in another way there.
    async fn places_to_sync(
        &self,
        source: &RepoSource,
        workers: &[String],
    ) -> Result<Vec<(Keeper, RepoSource)>, Error> {
        let copies = self.store.repo_copies(Some(source.identity())).await?;
        let remote = |keeper: &Keeper| {
            let copy = copies.iter().find(|copy| copy.worker == keeper.worker);
            copy.and_then(|copy| RepoSource::parse(&copy.entry.source).ok()).unwrap_or_else(|| source.clone())
        };
        let mut keepers = Vec::new();
        for name in workers {
            let row = self.find_worker(name).await?;
            let keeper = self.fleet.keeper_of(row.entry.id, &row.entry.name)?;
            if !keepers.contains(&keeper) {
                keepers.push(keeper);
            }
        }
        if keepers.is_empty() {
            let mut all = self.fleet.keepers();
            let (have, others): (Vec<_>, Vec<_>) =
                all.drain(..).partition(|keeper| copies.iter().any(|copy| copy.worker == keeper.worker));
            keepers = if have.is_empty() { others.into_iter().take(1).collect() } else { have };
        }
        if keepers.is_empty() {
            return Err(JobError::NobodyThere.into());
        }
        Ok(keepers.into_iter().map(|keeper| (keeper.clone(), remote(&keeper))).collect())
    }

    /// Seen with the clone, until a fetch works.
    async fn note_failed_fetch(
        &self,
        worker: &Keeper,
        remote: &RepoSource,
        why: &JobError,
    ) -> Result<(), Error> {
        let copies = self.store.repo_copies(Some(remote.identity())).await?;
        if let Some(mut copy) = copies.into_iter().find(|copy| copy.worker == worker.worker) {
            copy.entry.error = why.to_string();
            self.store.note_on_disk(worker.worker, DiskChange::Copy(copy.entry)).await?;
        }
        Ok(())
    }
}
