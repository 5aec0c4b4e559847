//! What is kept of tasks that have ended, for how long, and what goes first.
//!
//! One rule stands above the others: nothing unsaved is ever removed. What a task left
//! that has not ended is not looked at; commits that are nowhere else stay whatever
//! their age and size; and what a failed task left for a person to save it by stays for
//! a week. Of the rest, what is too old goes, and then the oldest until the rest fits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{TaskId, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a checkpoint of a task that failed is kept.
pub const RESCUE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    pub logs: Keep,
    pub artifacts: Keep,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            logs: Keep { age: Some(30 * DAY), bytes: None },
            artifacts: Keep { age: Some(90 * DAY), bytes: None },
        }
    }
}

/// How much is kept of one sort of thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Counted from the end of its task; `None`: for ever.
    pub age: Option<Duration>,
    /// In all, what live tasks have included; `None`: as much as there is.
    pub bytes: Option<u64>,
}

/// Something that a task which has ended left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    pub task: TaskId,
    /// When its task ended.
    pub ended_at: Timestamp,
    pub bytes: u64,
    pub worth: Worth,
}

/// What would be lost with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// A record: a log, a patch, a file that was delivered by being kept, the checkpoint of a task
    /// that others may go on from.
    Record,
    /// Work that is nowhere else.
    OnlyCopy,
    /// A checkpoint of a task that failed: a person may want to go on from it.
    Rescue,
    /// A checkpoint of a task that succeeded or was cancelled: nothing goes on from it.
    Spent,
}

/// The rule by which something was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum Because {
    /// Its task had ended so long ago.
    Age { most_ms: u64 },
    /// There was more than this in all, and it was among the oldest.
    Size { most_bytes: u64 },
    /// Nothing goes on from a checkpoint of a task that has ended; of one that failed, after a week.
    Spent,
}

/// Whether a bundle has commits that are nowhere else, by the newest commit that its attempt
/// reported and all those that attempts of its task brought to the origin. What no report
/// tells of counts as the only copy.
pub fn is_only_copy(newest: Option<&str>, pushed: &[String]) -> bool {
    newest.is_none_or(|newest| !pushed.iter().any(|commit| commit == newest))
}

/// What of `left` is to be removed, by its index: the oldest first, as long as they are too old,
/// or there is too much. `total` is the size of everything there is of its sort, in bytes.
///
/// Of one task that has to make room all goes at once: half a history explains nothing.
pub fn removals(left: &[Left], total: u64, keep: Keep, now: Timestamp) -> Vec<(usize, Because)> {
    let mut order: Vec<usize> = (0..left.len()).collect();
    order.sort_by_key(|&index| (left[index].ended_at, left[index].task));
    let (mut removed, mut candidates) = (Vec::new(), Vec::new());
    let mut kept = total;
    for index in order {
        match left[index].outlived(keep, now) {
            Some(because) => {
                kept = kept.saturating_sub(left[index].bytes);
                removed.push((index, because));
            }
            None if left[index].worth == Worth::Record => candidates.push(index),
            None => {}
        }
    }
    let Some(most_bytes) = keep.bytes else { return removed };
    let mut last = None;
    for index in candidates {
        if kept <= most_bytes && last != Some(left[index].task) {
            break;
        }
        kept = kept.saturating_sub(left[index].bytes);
        last = Some(left[index].task);
        removed.push((index, Because::Size { most_bytes }));
    }
    removed
}

impl Left {
    /// Whether its time is over, however little there is.
    fn outlived(&self, keep: Keep, now: Timestamp) -> Option<Because> {
        let ended = now.since(self.ended_at);
        match self.worth {
            Worth::OnlyCopy => None,
            Worth::Spent => Some(Because::Spent),
            Worth::Rescue => (ended >= RESCUE).then_some(Because::Spent),
            Worth::Record => keep
                .age
                .filter(|most| ended >= *most)
                .map(|most| Because::Age { most_ms: u64::try_from(most.as_millis()).unwrap_or(u64::MAX) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000_000);

    /// Something of task `n` that ended so many days ago.
    fn left(n: u128, days_ago: i64, bytes: u64, worth: Worth) -> Left {
        let ended_at = Timestamp::from_millis(NOW.as_millis() - days_ago * 86_400_000);
        Left { task: TaskId::from_uuid(Uuid::from_u128(n)), ended_at, bytes, worth }
    }

    fn removed(left: &[Left], keep: Keep) -> Vec<usize> {
        let total = left.iter().map(|left| left.bytes).sum();
        removals(left, total, keep, NOW).into_iter().map(|(index, _)| index).collect()
    }

    fn age(days: u32) -> Keep {
        Keep { age: Some(days * DAY), bytes: None }
    }

    fn size(bytes: u64) -> Keep {
        Keep { age: None, bytes: Some(bytes) }
    }

    #[test]
    fn what_is_too_old_goes_and_the_rest_stays() {
        let all =
            [left(1, 29, 1, Worth::Record), left(2, 30, 1, Worth::Record), left(3, 99, 1, Worth::Record)];
        assert_eq!(removed(&all, age(30)), [2, 1]);
        assert_eq!(removed(&all, Keep { age: None, bytes: None }), [0; 0]);
    }

    #[test]
    fn the_oldest_make_room_and_no_more_of_them_than_needed() {
        let all =
            [left(1, 1, 50, Worth::Record), left(2, 3, 50, Worth::Record), left(3, 2, 50, Worth::Record)];
        assert_eq!(removed(&all, size(100)), [1]);
        assert_eq!(removed(&all, size(99)), [1, 2]);
        assert_eq!(removed(&all, size(150)), [0; 0]);
        assert_eq!(removals(&all, 200, size(150), NOW).len(), 1, "what live tasks have takes room as well");
    }

    #[test]
    fn a_task_makes_room_with_all_of_its_own() {
        let all =
            [left(1, 2, 50, Worth::Record), left(1, 2, 50, Worth::Record), left(2, 1, 50, Worth::Record)];
        assert_eq!(removed(&all, size(120)), [0, 1]);
    }

    #[test]
    fn the_only_copy_stays_whatever_its_age_and_size() {
        let all = [left(1, 9999, 1000, Worth::OnlyCopy), left(2, 1, 1, Worth::Record)];
        assert_eq!(removed(&all, Keep { age: Some(DAY), bytes: Some(0) }), [1]);
    }

    #[test]
    fn a_checkpoint_goes_with_its_use_and_no_sooner() {
        let all = [left(1, 0, 9, Worth::Spent), left(2, 6, 9, Worth::Rescue), left(3, 7, 9, Worth::Rescue)];
        assert_eq!(removed(&all, Keep { age: Some(DAY), bytes: Some(0) }), [2, 0]);
    }

    #[test]
    fn commits_are_saved_when_the_newest_of_them_is_in_the_origin() {
        let pushed = ["a".to_owned(), "b".to_owned()];
        assert!(!is_only_copy(Some("b"), &pushed));
        assert!(is_only_copy(Some("c"), &pushed));
        assert!(is_only_copy(None, &pushed), "an attempt that never reported");
        assert!(is_only_copy(Some("a"), &[]));
    }
}
