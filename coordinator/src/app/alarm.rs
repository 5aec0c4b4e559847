//! The earliest time at which something is due, known in memory so that
//! the loop that waits for it is not woken for every later one.

use std::sync::{Mutex, MutexGuard, PoisonError};

use factory_domain::Timestamp;
use tokio::sync::Notify;

const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

#[derive(Debug)]
pub struct Alarm {
    earliest: Mutex<Timestamp>,
    earlier: Notify,
}

impl Default for Alarm {
    fn default() -> Self {
        Self { earliest: Mutex::new(NEVER), earlier: Notify::new() }
    }
}

impl Alarm {
    /// Rings at `time`, unless it rings before.
    pub fn set(&self, time: Timestamp) {
        let mut earliest = self.lock();
        if time < *earliest {
            *earliest = time;
            self.earlier.notify_one();
        }
    }

    /// Forgets the time. What is set from here on counts, so clear before asking what is due next.
    pub fn clear(&self) {
        *self.lock() = NEVER;
    }

    pub fn time(&self) -> Timestamp {
        *self.lock()
    }

    /// Returns when the time has become an earlier one.
    pub async fn changed(&self) {
        self.earlier.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Timestamp> {
        self.earliest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_an_earlier_time_wakes() {
        let at = Timestamp::from_millis;
        let alarm = Alarm::default();
        alarm.set(at(10));
        alarm.changed().await;
        alarm.set(at(20));
        assert_eq!(alarm.time(), at(10));
        let later = tokio::time::timeout(std::time::Duration::ZERO, alarm.changed()).await;
        assert!(later.is_err(), "a later time is no news");
        alarm.clear();
        alarm.set(at(30));
        assert_eq!(alarm.time(), at(30));
    }
}
