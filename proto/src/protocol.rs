//! The version of the worker protocol: what this build speaks, and what it and its peer settle on.
//!
//! A new field, message or value that a peer may leave aside is no new version: both sides ignore
//! what they do not know. A version is due where a peer that does not know the new thing would go
//! wrong by it. Whoever adds one says here what it brings, and what is done for a peer without it:
//!
//! 1. Leases, logs, artifacts, reports.
//! 2. Handing over (`OUTCOME_KIND_HANDED_OVER`), which a coordinator of version 1 refuses in a
//!    report: there, the worker reports a failure of its own, which costs the task no try either.
//! 3. Agents that act beside their own work (`AgentService`), and that may end by asking
//!    (`OUTCOME_KIND_ASKED`). For a coordinator that does not know it, the worker gives agents no
//!    endpoint, so that none can ask.
//! 4. What lies on a worker's disk, and jobs about repositories (`Inventory`, `RepoJob`). A coordinator
//!    that does not know them is told of no disk; a worker that does not is given no job.
//!
//! A worker says the range it speaks in Hello, the oldest where a coordinator of version 1 looks
//! for the only one; the coordinator takes the newest that both speak and says it in Welcome.

use std::fmt;

use crate::v1;

/// The newest version of the worker protocol this build speaks.
pub const PROTOCOL_VERSION: u32 = 4;
/// The oldest it still speaks.
pub const OLDEST_PROTOCOL_VERSION: u32 = 1;
/// From this version on, an attempt can end by being handed over.
pub const HANDS_OVER: u32 = 2;
/// From this version on, agents can act beside their own work.
pub const AGENTS_ACT: u32 = 3;
/// From this version on, a worker tells what lies on its disk, and does jobs about repositories.
pub const KEEPS_REPOS: u32 = 4;

/// The versions one peer speaks: all from the oldest to the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub oldest: u32,
    pub newest: u32,
}

/// Two peers have no version in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// The other speaks only older versions than any spoken here.
    TheyAreOlder,
    /// The other speaks only newer ones.
    TheyAreNewer,
}

impl Versions {
    /// Of this build.
    pub const SPOKEN: Self = Self { oldest: OLDEST_PROTOCOL_VERSION, newest: PROTOCOL_VERSION };

    /// Of the worker that says `hello`; one that names no newest speaks one version.
    pub fn of(hello: &v1::Hello) -> Self {
        Self { oldest: hello.protocol, newest: hello.newest_protocol.max(hello.protocol) }
    }

    /// The newest version that both speak.
    pub fn settle(self, theirs: Self) -> Result<u32, Skew> {
        let newest = self.newest.min(theirs.newest);
        if newest >= self.oldest.max(theirs.oldest) {
            Ok(newest)
        } else if theirs.newest < self.oldest {
            Err(Skew::TheyAreOlder)
        } else {
            Err(Skew::TheyAreNewer)
        }
    }

    /// The version that `welcome` settles on, where it is one spoken here. A coordinator that
    /// names none is of version 1.
    pub fn settled_by(self, welcome: &v1::Welcome) -> Option<u32> {
        let version = welcome.protocol.max(1);
        (self.oldest..=self.newest).contains(&version).then_some(version)
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { oldest, newest } = self;
        if oldest == newest { write!(f, "{newest}") } else { write!(f, "{oldest} to {newest}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn versions() -> impl Strategy<Value = Versions> {
        (0u32..8, 0u32..8).prop_map(|(a, b)| Versions { oldest: a.min(b), newest: a.max(b) })
    }

    proptest! {
        #[test]
        fn peers_settle_on_the_newest_they_share_or_know_who_is_behind(a in versions(), b in versions()) {
            let shared = (a.oldest..=a.newest).filter(|version| (b.oldest..=b.newest).contains(version)).max();
            prop_assert_eq!(a.settle(b).ok(), shared);
            prop_assert_eq!(a.settle(b) == Err(Skew::TheyAreOlder), b.newest < a.oldest);
            prop_assert_eq!(a.settle(b) == Err(Skew::TheyAreNewer), a.newest < b.oldest);
        }
    }
}
