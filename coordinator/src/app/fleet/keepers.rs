//! Connected workers that do jobs about repositories.

use factory_domain::WorkerId;
use factory_proto::protocol::KEEPS_REPOS;
use tokio_util::sync::CancellationToken;

use super::{Connected, Fleet, ToWorker};
use crate::app::repos::JobError;

/// A worker that can be asked now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeper {
    pub worker: WorkerId,
    pub name: String,
    stream: u64,
}

impl Connected {
    fn keeps_repos(&self) -> bool {
        self.welcomed && self.protocol >= KEEPS_REPOS
    }

    fn keeper(&self, worker: WorkerId) -> Keeper {
        Keeper { worker, name: self.name.clone(), stream: self.stream }
    }
}

impl Fleet {
    /// All of them: first those that take tasks, then by name.
    pub fn keepers(&self) -> Vec<Keeper> {
        let inner = self.lock();
        let able = inner.seats.iter().filter(|(_, connected)| connected.keeps_repos());
        let mut keepers: Vec<_> = able
            .map(|(worker, connected)| {
                let idle = connected.is_draining() || connected.capacity.agents.is_empty();
                (idle, connected.keeper(*worker))
            })
            .collect();
        keepers.sort_by(|(idle, a), (other, b)| (idle, &a.name, a.worker).cmp(&(other, &b.name, b.worker)));
        keepers.into_iter().map(|(_, keeper)| keeper).collect()
    }

    /// This one; `name` is for people, where it is not there.
    pub fn keeper_of(&self, worker: WorkerId, name: &str) -> Result<Keeper, JobError> {
        let inner = self.lock();
        let connected = inner.seats.get(&worker).filter(|connected| connected.welcomed);
        let connected = connected.ok_or_else(|| JobError::Away(name.to_owned()))?;
        if connected.keeps_repos() {
            Ok(connected.keeper(worker))
        } else {
            Err(JobError::TooOld(connected.name.clone()))
        }
    }

    /// Says it to that very session, and answers with what tells of the session's end.
    pub fn tell_keeper(&self, keeper: &Keeper, words: ToWorker) -> Result<CancellationToken, JobError> {
        let inner = self.lock();
        let seated = inner.seats.get(&keeper.worker).filter(|connected| connected.stream == keeper.stream);
        let connected = seated.ok_or_else(|| JobError::Lost(keeper.name.clone()))?;
        let sent = connected.outbox.try_send(Ok(words));
        sent.map_err(|_| JobError::Lost(keeper.name.clone()))?;
        Ok(connected.over.clone())
    }
}
