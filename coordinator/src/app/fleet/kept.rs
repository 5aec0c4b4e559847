//! Workers that woken tasks are kept for. A hint: the tasks' rows say which they are, and lose nothing without it.

use std::collections::{BTreeSet, HashMap};

use factory_domain::{Capacity, Preference, Requirements, Timestamp, WorkerId};

use super::{Connected, Fleet, Inner, Opening};

/// For each worker the ends of the times in which tasks are kept for it.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeSet<(Timestamp, WorkerId)>);

impl Kept {
    pub(super) fn forget_past(&mut self, now: Timestamp) {
        self.0.retain(|(until, _)| *until > now);
    }

    pub(super) fn next_end(&self) -> Option<Timestamp> {
        self.0.first().map(|(until, _)| *until)
    }

    /// Those that could take something now: a worker that is away, full or draining keeps no task waiting.
    pub(super) fn able(&self, seats: &HashMap<WorkerId, Connected>) -> Vec<(WorkerId, Capacity)> {
        let workers: BTreeSet<WorkerId> = self.0.iter().map(|(_, worker)| *worker).collect();
        let able = |worker: WorkerId| {
            let connected = seats.get(&worker).filter(|connected| connected.takes())?;
            Some((worker, connected.capacity()))
        };
        workers.into_iter().filter_map(able).collect()
    }
}

impl Opening {
    /// Whether what it left to others is still theirs to take.
    pub(super) fn leaves_it_to(&self, able: &[(WorkerId, Capacity)]) -> bool {
        self.left_to.iter().all(|(left_to, _)| able.iter().any(|(worker, _)| worker == left_to))
    }
}

impl Fleet {
    /// Others leave the worker what prefers it, for as long as it could take it.
    pub fn keep_for(&self, preference: Preference) {
        self.lock().kept.0.insert((preference.until, preference.worker));
    }

    /// The name of the worker that a task is left to now.
    pub fn keeper(
        &self,
        preference: Preference,
        requirements: &Requirements,
        now: Timestamp,
    ) -> Option<String> {
        let inner: &Inner = &self.lock();
        let connected = inner.seats.get(&preference.worker)?;
        let keeps = preference.until > now && connected.takes() && requirements.met_by(&connected.capacity());
        keeps.then(|| connected.name.clone())
    }
}
