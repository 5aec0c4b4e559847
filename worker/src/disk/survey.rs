//! What lies on the worker's disk, and whose it is. Blocking.

use std::collections::HashSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::attempt::assignment::{Assignment, Place};
use crate::by_hand::{ByHand, Record, take};
use crate::kept::{Kept, KeptWorkspaces, Listing, Taken};
use crate::spool::SpoolDir;

/// Where a worker's things are.
#[derive(Debug, Clone)]
pub struct Layout {
    pub spools: PathBuf,
    pub workspaces: PathBuf,
    pub kept: KeptWorkspaces,
    pub by_hand: ByHand,
}

impl Layout {
    /// Under the worker's root.
    pub fn new(root: &Path) -> Self {
        Self {
            spools: root.join("spool"),
            workspaces: root.join("workspaces"),
            kept: KeptWorkspaces::new(root),
            by_hand: ByHand::new(root),
        }
    }

    /// The workspaces that none of `owned` is.
    pub fn unowned(&self, owned: &Owned) -> io::Result<Vec<PathBuf>> {
        let mut paths = entries(&self.workspaces)?;
        paths.retain(|path| !owned.workspaces.contains(path));
        Ok(paths)
    }
}

/// What the attempts known on this host have.
#[derive(Debug, Default)]
pub struct Owned {
    workspaces: HashSet<PathBuf>,
    /// Full names.
    branches: HashSet<String>,
}

impl Owned {
    /// Reads what is owned. A workspace changes hands by a rename between the spool and the kept ones;
    /// so the spool is read before and after those, and none is missed on its way.
    ///
    /// Whoever wants to know what is *not* owned lists that first: an attempt is in the spool before
    /// anything is made for it.
    pub fn read(layout: &Layout) -> io::Result<Self> {
        let mut owned = Self::default();
        owned.add_spools(layout)?;
        let Listing { kept, unreadable, doomed } = layout.kept.list()?;
        for kept in &kept {
            owned.add(&kept.assignment, layout);
        }
        for path in unreadable.iter().map(|(path, _)| path.as_path()).chain(doomed.iter().map(|d| d.path())) {
            owned.add_directory(path, layout);
        }
        for record in layout.by_hand.list()? {
            owned.add_by_hand(record);
        }
        owned.add_spools(layout)?;
        Ok(owned)
    }

    fn add_spools(&mut self, layout: &Layout) -> io::Result<()> {
        for path in entries(&layout.spools)? {
            self.add_directory(&path, layout);
            let taken = SpoolDir::open(&path).and_then(|spool| Taken::of(&spool));
            if let Ok(Some(taken)) = taken {
                self.add(&taken.assignment, layout);
            }
            if let Ok(Some(record)) = SpoolDir::open(&path).and_then(|spool| take::taken_by(&spool)) {
                self.add_by_hand(record);
            }
        }
        Ok(())
    }

    fn add_by_hand(&mut self, record: Record) {
        self.workspaces.insert(record.path);
        self.branches.insert(format!("refs/heads/{}", record.branch));
    }

    /// By its assignment, or as far as its name tells.
    fn add_directory(&mut self, path: &Path, layout: &Layout) {
        let json = fs::read(path.join("assignment.json"));
        if let Some(assignment) = json.ok().and_then(|json| serde_json::from_slice::<Assignment>(&json).ok())
        {
            self.add(&assignment, layout);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A doomed one's has more in front of the attempt's id.
        let id = name.get(name.len().saturating_sub(36)..).unwrap_or(&name);
        self.workspaces.insert(layout.workspaces.join(id));
    }

    fn add(&mut self, assignment: &Assignment, layout: &Layout) {
        self.workspaces.insert(layout.workspaces.join(assignment.attempt.to_string()));
        let Some(place) = assignment.place() else { return };
        self.workspaces.insert(place.path().to_owned());
        if let Place::Worktree(worktree) = place {
            self.branches.insert(format!("refs/heads/{}", worktree.branch));
        }
    }

    pub fn has_workspace(&self, path: &Path) -> bool {
        self.workspaces.contains(path)
    }

    /// By the last part of its path, which is the id of the attempt it was made for.
    pub fn has_workspace_named(&self, name: &str) -> bool {
        self.workspaces.iter().any(|path| path.file_name().is_some_and(|last| last == name))
    }

    pub fn has_branch(&self, name: &str) -> bool {
        self.branches.contains(name)
    }
}

/// Bytes on the disk that removing a kept workspace gives back.
pub fn bytes_of(kept: &Kept) -> u64 {
    kept.place().map_or(0, |place| bytes_in(place.path())).saturating_add(bytes_in(kept.path()))
}

fn bytes_in(path: &Path) -> u64 {
    const BLOCK: u64 = 512;
    // What cannot be read is not counted: at worst one more is removed than had to be.
    let Ok(metadata) = fs::symlink_metadata(path) else { return 0 };
    let own = metadata.blocks() * BLOCK;
    if !metadata.is_dir() {
        return own;
    }
    let inside = entries(path).unwrap_or_default();
    inside.iter().fold(own, |sum, path| sum.saturating_add(bytes_in(path)))
}

/// The paths in a directory; none where it is not there.
pub fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}
