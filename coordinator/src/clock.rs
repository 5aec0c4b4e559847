//! The coordinator's one clock, read at the edge and passed inward as values.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use factory_domain::Timestamp;

/// The system's time at the start, carried on by the monotonic clock: setting
/// the host's clock forward expires no lease, and setting it back keeps none alive.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_at: Timestamp,
}

impl Clock {
    pub fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_at: Timestamp::default().after(since_epoch) }
    }

    pub fn now(&self) -> Timestamp {
        self.started_at.after(self.started.elapsed())
    }
}
