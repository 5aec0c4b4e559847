//! What goes, decided from what is there and the time.

use std::fmt;
use std::time::Duration;

use factory_domain::Timestamp;

use crate::kept::Why;

/// What a worker keeps, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For kept workspaces in which the next attempt could go on.
    pub keep_workspaces: Duration,
    /// For clones in which nothing is checked out, from their last use.
    pub keep_repositories: Duration,
    /// For workspaces and files of which nothing is known, in case that changes.
    pub keep_unowned: Duration,
    /// Bytes that should be free, so that work is not declined soon.
    pub free: u64,
}

/// Something on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thing {
    /// A kept workspace. Saved: it holds nothing that is not in the origin or with the coordinator.
    Kept { why: Why, saved: bool, since: Timestamp, bytes: u64 },
    /// A workspace of no attempt known here.
    Unowned { since: Timestamp, saved: bool },
    /// A clone. It is needed where a worktree or a commit is in it that is nowhere else.
    Clone { used: Timestamp, needed: bool },
    /// A file or directory that only its making needed.
    Temporary { since: Timestamp },
}

/// Why something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    Old(Duration),
    /// What was nowhere else when it was kept has been brought to the origin.
    SavedSince(Duration),
    /// Bytes free, as far as is known, when it was its turn.
    DiskShort {
        free: u64,
        wanted: u64,
    },
    Unowned,
    Unused(Duration),
    Abandoned,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = |span: &Duration| span.as_secs() / 3600;
        match self {
            Self::Old(age) => write!(f, "kept for {} h, and saved with the coordinator", hours(age)),
            Self::SavedSince(age) => {
                write!(f, "kept for {} h, and all of it is in the origin now", hours(age))
            }
            Self::DiskShort { free, wanted } => {
                write!(
                    f,
                    "{} MiB are free and {} MiB should be; it is saved with the coordinator",
                    free >> 20,
                    wanted >> 20
                )
            }
            Self::Unowned => f.write_str("no attempt owns it, and nothing in it is unsaved"),
            Self::Unused(age) => write!(f, "not used for {} days", hours(age) / 24),
            Self::Abandoned => f.write_str("left by something that was ended while it made it"),
        }
    }
}

/// What goes of `things`, by their places in the list, in this order. `free` is what is free now.
pub fn plan(things: &[Thing], free: u64, limits: &Limits, now: Timestamp) -> Vec<(usize, Because)> {
    let mut plan: Vec<(usize, Because)> = Vec::new();
    for (at, thing) in things.iter().enumerate() {
        plan.extend(outlived(thing, limits, now).map(|because| (at, because)));
    }
    let bytes = |at: usize| match things[at] {
        Thing::Kept { bytes, .. } => bytes,
        _ => 0,
    };
    let mut free = plan.iter().fold(free, |free, (at, _)| free.saturating_add(bytes(*at)));
    let mut spare: Vec<(Timestamp, usize)> = (things.iter().enumerate())
        .filter_map(|(at, thing)| match thing {
            Thing::Kept { why: Why::Resumable, since, .. } => Some((*since, at)),
            _ => None,
        })
        .filter(|(_, at)| !plan.iter().any(|(planned, _)| planned == at))
        .collect();
    spare.sort();
    for (_, at) in spare {
        if free >= limits.free {
            break;
        }
        plan.push((at, Because::DiskShort { free, wanted: limits.free }));
        free = free.saturating_add(bytes(at));
    }
    plan
}

/// Whether it goes whatever is free.
fn outlived(thing: &Thing, limits: &Limits, now: Timestamp) -> Option<Because> {
    match *thing {
        Thing::Kept { why: Why::Resumable, since, .. } => {
            let age = now.since(since);
            (age >= limits.keep_workspaces).then_some(Because::Old(age))
        }
        Thing::Kept { why: Why::Unsaved | Why::LeftChanges, saved, since, .. } => {
            let age = now.since(since);
            (saved && age >= limits.keep_workspaces).then_some(Because::SavedSince(age))
        }
        Thing::Unowned { since, saved } => {
            (saved && now.since(since) >= limits.keep_unowned).then_some(Because::Unowned)
        }
        Thing::Clone { used, needed } => {
            let age = now.since(used);
            (!needed && age >= limits.keep_repositories).then_some(Because::Unused(age))
        }
        Thing::Temporary { since } => (now.since(since) >= limits.keep_unowned).then_some(Because::Abandoned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        keep_workspaces: Duration::from_secs(100),
        keep_repositories: Duration::from_secs(300),
        keep_unowned: Duration::from_secs(10),
        free: 1000,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn kept(why: Why, since: i64, bytes: u64) -> Thing {
        Thing::Kept { why, saved: why == Why::Resumable, since: at(since), bytes }
    }

    #[test]
    fn each_thing_goes_in_its_time() {
        let things = [
            kept(Why::Resumable, 0, 1),
            kept(Why::Resumable, 1, 1),
            Thing::Kept { why: Why::Unsaved, saved: true, since: at(0), bytes: 1 },
            Thing::Kept { why: Why::LeftChanges, saved: false, since: at(0), bytes: 1 },
            Thing::Unowned { since: at(90), saved: true },
            Thing::Unowned { since: at(91), saved: true },
            Thing::Clone { used: at(-200), needed: false },
            Thing::Clone { used: at(-199), needed: false },
            Thing::Temporary { since: at(90) },
            Thing::Temporary { since: at(91) },
        ];
        let gone: Vec<usize> = plan(&things, 1000, &LIMITS, at(100)).into_iter().map(|(at, _)| at).collect();
        assert_eq!(gone, [0, 2, 4, 6, 8]);
    }

    #[test]
    fn where_disk_is_short_the_oldest_go_and_no_more_than_it_takes() {
        let things = [
            kept(Why::Resumable, 30, 400),
            kept(Why::Unsaved, 1, 5000),
            kept(Why::Resumable, 20, 300),
            kept(Why::Resumable, 40, 400),
        ];
        let short = |free| Because::DiskShort { free, wanted: 1000 };
        assert_eq!(plan(&things, 400, &LIMITS, at(50)), [(2, short(400)), (0, short(700))]);
        assert_eq!(plan(&things, 1000, &LIMITS, at(50)), []);
    }

    fn thing() -> impl Strategy<Value = Thing> {
        let why = prop_oneof![Just(Why::Resumable), Just(Why::Unsaved), Just(Why::LeftChanges)];
        let since = (-500i64..200).prop_map(at);
        prop_oneof![
            (why, any::<bool>(), since.clone(), 0u64..600).prop_map(|(why, known, since, bytes)| {
                let saved = why == Why::Resumable || known;
                Thing::Kept { why, saved, since, bytes }
            }),
            (since.clone(), any::<bool>()).prop_map(|(since, saved)| Thing::Unowned { since, saved }),
            (since.clone(), any::<bool>()).prop_map(|(used, needed)| Thing::Clone { used, needed }),
            since.prop_map(|since| Thing::Temporary { since }),
        ]
    }

    proptest! {
        #[test]
        fn nothing_unsaved_goes_and_a_second_look_changes_nothing(
            things in prop::collection::vec(thing(), 0..20), free in 0u64..2000,
        ) {
            let now = at(100);
            let plan = plan(&things, free, &LIMITS, now);
            let mut gone: Vec<usize> = plan.iter().map(|(at, _)| *at).collect();
            for at in &gone {
                let is_elsewhere = match things[*at] {
                    Thing::Kept { saved, .. } => saved,
                    Thing::Unowned { saved, .. } => saved,
                    Thing::Clone { needed, .. } => !needed,
                    Thing::Temporary { .. } => true,
                };
                prop_assert!(is_elsewhere, "{:?}", things[*at]);
            }
            gone.sort_unstable();
            let planned = gone.len();
            gone.dedup();
            prop_assert_eq!(gone.len(), planned, "each goes once");

            let mut freed = free;
            let mut left = Vec::new();
            for (at, thing) in things.iter().enumerate() {
                match thing {
                    Thing::Kept { bytes, .. } if gone.contains(&at) => freed += bytes,
                    _ if gone.contains(&at) => {}
                    _ => left.push(*thing),
                }
            }
            prop_assert!(super::plan(&left, freed, &LIMITS, now).is_empty());
            let spare = left.iter().any(|thing| matches!(thing, Thing::Kept { why: Why::Resumable, .. }));
            prop_assert!(freed >= LIMITS.free || !spare, "it stops early");
        }
    }
}
