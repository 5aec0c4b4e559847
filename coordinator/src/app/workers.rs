//! The workers, as people see them.

use super::{App, Error};
use crate::store::WorkerRow;

#[derive(Debug)]
pub struct WorkerView {
    pub row: WorkerRow,
    pub connected: bool,
}

impl App {
    /// Every worker that ever registered: connected ones first, then by name.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, Error> {
        let rows = self.store.workers().await?;
        let mut workers: Vec<_> = rows
            .into_iter()
            .map(|row| WorkerView { connected: self.fleet.is_connected(row.entry.id), row })
            .collect();
        workers.sort_by(|a, b| {
            b.connected.cmp(&a.connected).then_with(|| a.row.entry.name.cmp(&b.row.entry.name))
        });
        Ok(workers)
    }
}
