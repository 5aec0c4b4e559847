//! The workers, as people see them.

use factory_domain::WorkerId;

use super::{App, Error, HostLoad};
use crate::store::{HeldEntry, WorkerRow};

#[derive(Debug)]
pub struct WorkerView {
    pub row: WorkerRow,
    pub connected: bool,
    /// `None`: it takes what it is offered.
    pub drain: Option<DrainState>,
    /// `None`: it is away, or its host does not tell.
    pub load: Option<HostLoad>,
}

/// How far a worker is that takes nothing new: because someone asked for it, or because
/// it says that it is about to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainState {
    /// Attempts it holds go on.
    Draining,
    /// It holds no attempt any more.
    Drained,
}

/// One worker with what it holds now.
#[derive(Debug)]
pub struct WorkerDetail {
    pub worker: WorkerView,
    pub held: Vec<HeldEntry>,
}

impl App {
    /// Every worker that ever registered: connected ones first, then by name.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, Error> {
        let rows = self.store.workers().await?;
        let mut workers: Vec<_> = rows.into_iter().map(|row| self.worker_view(row)).collect();
        workers.sort_by(|a, b| {
            b.connected.cmp(&a.connected).then_with(|| a.row.entry.name.cmp(&b.row.entry.name))
        });
        Ok(workers)
    }

    /// What is to be said of the coordinator's own disk, if anything is.
    pub fn disk_warning(&self) -> Option<String> {
        self.disk.low().map(|room| room.to_string())
    }

    /// Finds a worker by name, id, or an unambiguous beginning of either.
    pub async fn worker(&self, name: &str) -> Result<WorkerDetail, Error> {
        let worker = self.find_worker(name).await?;
        self.worker_detail(worker.entry.id).await
    }

    pub(super) async fn find_worker(&self, name: &str) -> Result<WorkerRow, Error> {
        find(self.store.workers().await?, name)
    }

    pub(super) async fn worker_detail(&self, id: WorkerId) -> Result<WorkerDetail, Error> {
        let row = self.store.worker(id).await?.ok_or_else(|| Error::NoSuchWorker(id.to_string()))?;
        Ok(WorkerDetail { worker: self.worker_view(row), held: self.store.held_by(id).await? })
    }

    fn worker_view(&self, row: WorkerRow) -> WorkerView {
        let id = row.entry.id;
        let drains = row.draining_since.is_some() || self.fleet.is_stopping(id);
        let state = if row.busy == 0 { DrainState::Drained } else { DrainState::Draining };
        let (connected, load) = (self.fleet.is_connected(id), self.fleet.load(id));
        WorkerView { connected, drain: drains.then_some(state), load, row }
    }
}

/// What is meant in full comes before what is only begun: a worker `a` is found beside `ab`.
fn find(workers: Vec<WorkerRow>, name: &str) -> Result<WorkerRow, Error> {
    let none = || Error::NoSuchWorker(name.to_owned());
    if name.is_empty() {
        return Err(none());
    }
    let in_full = |worker: &WorkerRow| worker.entry.id.to_string() == name || worker.entry.name == name;
    let begun = |worker: &WorkerRow| {
        worker.entry.id.to_string().starts_with(name) || worker.entry.name.starts_with(name)
    };
    let (mut meant, others): (Vec<_>, Vec<_>) = workers.into_iter().partition(in_full);
    if meant.is_empty() {
        meant = others.into_iter().filter(begun).collect();
    }
    match meant.len() {
        0 | 1 => meant.pop().ok_or_else(none),
        _ => Err(Error::AmbiguousWorker { name: name.to_owned(), meant: names(&meant) }),
    }
}

/// Some of them, each with the id by which it can be told from the others.
fn names(workers: &[WorkerRow]) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<String> =
        workers.iter().take(SHOWN).map(|row| format!("{} ({})", row.entry.name, row.entry.id)).collect();
    if workers.len() > SHOWN {
        names.push(format!("{} more", workers.len() - SHOWN));
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use factory_domain::{Labels, SessionId, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::store::WorkerEntry;

    fn worker(name: &str, id: &str) -> WorkerRow {
        WorkerRow {
            entry: WorkerEntry {
                id: id.parse().expect("an id"),
                session: SessionId::from_uuid(Uuid::now_v7()),
                name: name.to_owned(),
                version: String::new(),
                labels: Labels::default(),
                agents: Vec::new(),
                slots: 1,
                free_disk: 0,
            },
            busy: 0,
            registered_at: Timestamp::from_millis(0),
            last_seen_at: Timestamp::from_millis(0),
            last_decline: None,
            draining_since: None,
            hand_over_at: None,
        }
    }

    const ONE: &str = "01930000-0000-7000-8000-00000000000a";
    const TWO: &str = "01930000-0000-7000-8000-00000000000b";
    const THREE: &str = "01940000-0000-7000-8000-00000000000c";

    fn found(name: &str) -> Result<String, Error> {
        let workers = vec![worker("anvil", ONE), worker("anvil-2", TWO), worker("bench", THREE)];
        find(workers, name).map(|row| row.entry.id.to_string())
    }

    #[test]
    fn a_worker_is_found_by_name_id_or_what_only_it_begins_with() {
        for (name, id) in
            [("anvil", ONE), ("anvil-", TWO), ("b", THREE), (TWO, TWO), ("0194", THREE), ("bench", THREE)]
        {
            assert_eq!(found(name).expect("found"), id, "{name}");
        }
    }

    #[test]
    fn what_means_none_or_several_is_refused_with_the_names() {
        for nobody in ["", "hammer", "anvil-22", "nvil", "0195"] {
            assert!(matches!(found(nobody), Err(Error::NoSuchWorker(_))), "{nobody}");
        }
        for several in ["an", "0193", "01930000-0000-7000-8000-00000000000"] {
            let why = found(several).expect_err("several").to_string();
            assert!(why.contains(&format!("anvil ({ONE})")) && why.contains("anvil-2"), "{why}");
        }
        let twins = find(vec![worker("a", ONE), worker("a", TWO)], "a").expect_err("several");
        assert!(twins.to_string().contains(TWO), "{twins}");
    }
}
