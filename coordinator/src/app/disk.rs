//! The room left on the disk of the coordinator's root, as was last seen.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Bytes below which it is said that room is running out.
const LOW: u64 = 1024 * 1024 * 1024;
/// Bytes above which there is enough again: more, so that what hovers is not told again and again.
const ENOUGH: u64 = LOW + LOW / 4;

/// Bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub root: PathBuf,
    pub free: u64,
    pub total: u64,
}

/// Little room is left.
#[derive(Debug, Default)]
pub struct Disk(Mutex<Option<Room>>);

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    RunsLow,
    HasRoom,
}

impl Disk {
    /// Takes note of what was seen, and says if that is news.
    pub fn seen(&self, room: Room) -> Option<Change> {
        let mut low = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let was_low = low.is_some();
        let is_low = room.free < if was_low { ENOUGH } else { LOW };
        *low = is_low.then_some(room);
        match (was_low, is_low) {
            (false, true) => Some(Change::RunsLow),
            (true, false) => Some(Change::HasRoom),
            _ => None,
        }
    }

    /// The room left, where it is little.
    pub fn low(&self) -> Option<Room> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MIB: u64 = 1024 * 1024;
        let Self { root, free, total } = self;
        write!(
            f,
            "the coordinator's disk has {} MiB left of {} MiB, at {}",
            free / MIB,
            total / MIB,
            root.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hovers_is_told_once() {
        let disk = Disk::default();
        let seen = |free| disk.seen(Room { root: "/srv".into(), free, total: 10 * LOW });
        assert_eq!(seen(LOW), None);
        assert_eq!(seen(LOW - 1), Some(Change::RunsLow));
        assert_eq!((seen(LOW + 1), seen(0)), (None, None));
        assert_eq!(disk.low().map(|room| room.free), Some(0));
        assert_eq!(seen(ENOUGH), Some(Change::HasRoom));
        assert_eq!((seen(LOW + 1), disk.low()), (None, None));
    }
}
