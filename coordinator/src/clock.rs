//! The coordinator's one clock, read at the edge and passed inward as values.

use std::time::{SystemTime, UNIX_EPOCH};

use factory_domain::Timestamp;
use tokio::time::Instant;

/// The system's time at the start, carried on by the monotonic clock: setting
/// the host's clock forward expires no lease, and setting it back keeps none alive.
/// That is the runtime's own clock, so that sleeps and deadlines never disagree.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_at: Timestamp,
}

impl Clock {
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::starting_at(Timestamp::default().after(since_epoch))
    }

    /// A clock that shows `now`, and goes on from there.
    pub fn starting_at(now: Timestamp) -> Self {
        Self { started: Instant::now(), started_at: now }
    }

    pub fn now(&self) -> Timestamp {
        self.started_at.after(self.started.elapsed())
    }
}
