//! How busy the workers' hosts are. Only ever shown: no offer depends on it.

use factory_domain::{SessionId, WorkerId};

use super::Fleet;

/// How busy a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLoad {
    /// Runnable processes, averaged over one minute, in hundredths.
    pub average_hundredths: u32,
    /// Processors.
    pub cpus: u32,
    /// Bytes, all of them.
    pub memory_total: u64,
    pub memory_available: u64,
    /// Of the disk that workspaces are on.
    pub disk_total: u64,
}

impl Fleet {
    /// A heartbeat told it. One of a process before the one that is seated says nothing of now.
    pub fn set_load(&self, worker: WorkerId, session: SessionId, load: Option<HostLoad>) {
        let mut inner = self.lock();
        if let Some(connected) = inner.seats.get_mut(&worker).filter(|seated| seated.session == session) {
            connected.load = load;
        }
    }

    /// As the worker said last; `None`: it is away, or its host does not tell.
    pub fn load(&self, worker: WorkerId) -> Option<HostLoad> {
        self.lock().seats.get(&worker).and_then(|connected| connected.load)
    }
}
