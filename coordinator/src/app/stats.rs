//! How much there is, and what it has used.

use super::{App, Error};
use crate::store;

#[derive(Debug)]
pub struct Stats {
    pub tasks: store::Stats,
    /// Connected.
    pub workers: u32,
    /// Theirs.
    pub slots: u32,
    /// Of these, taken.
    pub busy: u32,
    /// The feed's before this was read.
    pub cursor: u64,
}

impl App {
    /// Of the tasks of one repository, exact as given at the submit, or of all. The fleet serves all of them.
    pub async fn stats(&self, repo: Option<String>) -> Result<Stats, Error> {
        let cursor = self.cursor();
        let tasks = self.store.stats(repo).await?;
        let connected: Vec<_> = self
            .workers()
            .await?
            .into_iter()
            .filter(|worker| worker.connected)
            .map(|worker| worker.row)
            .collect();
        Ok(Stats {
            tasks,
            workers: u32::try_from(connected.len()).unwrap_or(u32::MAX),
            slots: connected.iter().map(|worker| worker.entry.slots).fold(0, u32::saturating_add),
            busy: connected.iter().map(|worker| worker.busy).fold(0, u32::saturating_add),
            cursor,
        })
    }
}
