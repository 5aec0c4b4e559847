//! What is needed to go on with an attempt elsewhere: a snapshot of its workspace.
//!
//! A snapshot is a commit of the whole workspace (tracked and untracked, uncommitted changes included,
//! ignored files not), whose parent is the newest of the agent's own commits, the *tip*. It stands on a
//! hidden ref and travels as a git bundle that begins at the base. Taking one disturbs nobody: the
//! agent's index, `HEAD` and files are only read, and the agent goes on writing meanwhile.

mod directory;
mod gather;
mod restore;
mod snapshot;

use std::fmt;
use std::path::PathBuf;

pub use directory::DirectorySnapshots;
pub use factory_domain::Snapshot;
pub use gather::Bounds;
pub use restore::{RestoreError, restore};

/// A snapshot, and what is not in it.
#[derive(Debug)]
pub struct Taken {
    pub snapshot: Snapshot,
    pub left_out: LeftOut,
}

/// Paths of a workspace that a snapshot lacks, relative.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Beyond the [`Bounds`].
    pub too_large: Vec<PathBuf>,
    /// Not readable for the worker.
    pub unreadable: Vec<PathBuf>,
    /// Repositories the agent made inside. A commit could only hold a dangling link to them.
    pub nested: Vec<PathBuf>,
}

impl LeftOut {
    pub fn is_empty(&self) -> bool {
        self.too_large.is_empty() && self.unreadable.is_empty() && self.nested.is_empty()
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let kinds = [
            ("too large", &self.too_large),
            ("unreadable", &self.unreadable),
            ("repositories of their own", &self.nested),
        ];
        let mut separator = "left out of the snapshot: ";
        for (why, paths) in kinds.into_iter().filter(|(_, paths)| !paths.is_empty()) {
            let names: Vec<_> = paths.iter().take(SHOWN).map(|path| path.display().to_string()).collect();
            write!(f, "{separator}{} ({why}", names.join(", "))?;
            match paths.len().saturating_sub(SHOWN) {
                0 => f.write_str(")")?,
                more => write!(f, "; {more} more)")?,
            }
            separator = "; ";
        }
        Ok(())
    }
}
