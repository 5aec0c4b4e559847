//! Workspaces that outlive their attempt: kept for the next attempt of the task, or because what is in
//! them is nowhere else.
//!
//! A kept attempt is its former spool directory under `<root>/kept/`, with the assignment, which names
//! the workspace, and the agent's home; the workspace itself stays where it was made. Whoever has that
//! directory owns the workspace, and it changes hands by being renamed: from the spool to here, from
//! here into the spool of the attempt that goes on, or away to be removed. So a crash at any moment
//! leaves one owner, and of two that want it one gets it.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use factory_domain::{AttemptId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::attempt::assignment::{Assignment, Place};
use crate::blocking;
use crate::spool::{SpoolDir, rename_durably};
use crate::{repo, workspace};

const RECORD: &str = "kept.json";
/// What stays of a spool directory; the rest has done its service.
const STAYS: [&str; 3] = [RECORD, "assignment.json", AGENT_HOME];
const AGENT_HOME: &str = "agent-home";
/// Where an attempt has the directory of the one it goes on from, in its own spool.
const TAKEN: &str = "taken";
const REMOVING: &str = "removing-";

/// Why a workspace is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The next attempt can go on in it. What is in it is also with the coordinator, so it may go.
    Resumable,
    /// The work could not be saved anywhere else. Only removed once someone has brought all of it to the origin.
    Unsaved,
    /// The task wished its uncommitted changes kept there. Only removed as above.
    LeftChanges,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    why: Why,
    /// By this host's clock.
    kept_at: Timestamp,
}

/// The kept workspaces of one worker. Its methods block.
#[derive(Debug, Clone)]
pub struct KeptWorkspaces {
    directory: PathBuf,
}

/// One of them.
#[derive(Debug)]
pub struct Kept {
    pub assignment: Assignment,
    pub why: Why,
    pub kept_at: Timestamp,
    path: PathBuf,
}

/// All of them, as far as they can be read.
#[derive(Debug, Default)]
pub struct Listing {
    pub kept: Vec<Kept>,
    /// Nobody knows what these hold, so they stay.
    pub unreadable: Vec<(PathBuf, io::Error)>,
    /// Their removal had begun.
    pub doomed: Vec<Doomed>,
}

impl KeptWorkspaces {
    /// Those under the worker's root, in `kept/`.
    pub fn new(root: &Path) -> Self {
        Self { directory: root.join("kept") }
    }

    /// Keeps an attempt that has ended: its spool directory is here afterwards. Nothing of it may run.
    ///
    /// # Errors
    /// Where the disk fails: the attempt is still in the spool then, and can be kept by another try.
    pub fn keep(&self, spool: &SpoolDir, why: Why, now: Timestamp) -> io::Result<()> {
        let record = serde_json::to_vec(&Record { why, kept_at: now })?;
        spool.write(&spool.path().join(RECORD), &record)?;
        self.make_directory()?;
        let path = self.path(spool.attempt());
        rename_durably(spool.path(), &path)?;
        // It is kept; what a failure or a crash leaves here of the rest, the next sweep removes.
        if let Err(error) = trim(&path) {
            tracing::warn!(%error, path = %path.display(), "a kept workspace has more files than it needs");
        }
        Ok(())
    }

    /// The workspace kept of this attempt, if there is one and its directory is still there.
    pub fn find(&self, attempt: AttemptId) -> io::Result<Option<Kept>> {
        match Kept::read(&self.path(attempt)) {
            Ok(kept) => Ok(Some(kept).filter(Kept::has_workspace)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the workspace kept of `attempt` to the one that goes on from it. `None`: there is none.
    pub fn take(&self, attempt: AttemptId, into: &SpoolDir) -> io::Result<Option<Taken>> {
        if self.find(attempt)?.is_none() {
            return Ok(None);
        }
        match rename_durably(&self.path(attempt), &into.path().join(TAKEN)) {
            Ok(()) => Taken::of(into),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes back what an attempt had taken and did not use.
    pub fn give_back(&self, taken: Taken) -> io::Result<()> {
        let home = taken.spool.path().join(AGENT_HOME);
        if taken.home_moved() && home.exists() {
            rename_durably(&home, &taken.path.join(AGENT_HOME))?;
        }
        rename_durably(&taken.path, &self.path(taken.assignment.attempt))
    }

    /// Everything that is here.
    pub fn list(&self) -> io::Result<Listing> {
        let mut listing = Listing::default();
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(listing),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with(REMOVING) {
                listing.doomed.push(Doomed { path });
                continue;
            }
            match Kept::read(&path) {
                Ok(kept) => listing.kept.push(kept),
                // Taken meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound && !path.exists() => {}
                Err(error) => listing.unreadable.push((path, error)),
            }
        }
        Ok(listing)
    }

    /// Takes it out of everyone's reach, to be removed. `None`: it has been taken meanwhile.
    pub fn doom(&self, kept: &Kept) -> io::Result<Option<Doomed>> {
        match self.set_aside(&kept.path, kept.assignment.attempt) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            doomed => doomed.map(Some),
        }
    }

    /// The same for an attempt that has ended, and whose work is saved or wanted by nobody: its spool
    /// directory is gone with it. What a failure or a crash leaves of the removal, the next sweep removes.
    /// A workspace it had taken and not used yet is kept again.
    pub fn doom_spool(&self, spool: &SpoolDir) -> io::Result<Doomed> {
        if let Some(taken) = Taken::of(spool)?
            && Assignment::read(spool)?.place().is_none()
        {
            self.give_back(taken)?;
        }
        self.set_aside(spool.path(), spool.attempt())
    }

    fn set_aside(&self, from: &Path, attempt: AttemptId) -> io::Result<Doomed> {
        self.make_directory()?;
        let path = self.directory.join(format!("{REMOVING}{attempt}"));
        rename_durably(from, &path)?;
        Ok(Doomed { path })
    }

    fn make_directory(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }

    fn path(&self, attempt: AttemptId) -> PathBuf {
        self.directory.join(attempt.to_string())
    }
}

impl Kept {
    fn read(path: &Path) -> io::Result<Self> {
        let spool = SpoolDir::open(path)?;
        let Record { why, kept_at } = serde_json::from_slice(&fs::read(path.join(RECORD))?)?;
        Ok(Self { assignment: Assignment::read(&spool)?, why, kept_at, path: path.to_owned() })
    }

    pub fn place(&self) -> Option<&Place> {
        self.assignment.place()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn has_workspace(&self) -> bool {
        self.place().is_some_and(|place| place.path().is_dir())
    }

    /// Removes what a crash left here of the spool.
    pub fn trim(&self) -> io::Result<()> {
        trim(&self.path)
    }
}

/// The workspace of an earlier attempt in the hands of the one that goes on from it.
#[derive(Debug)]
pub struct Taken {
    /// The earlier attempt's; its place is the new owner's now.
    pub assignment: Assignment,
    spool: SpoolDir,
    path: PathBuf,
}

impl Taken {
    /// What this attempt has taken, also before a restart.
    pub fn of(spool: &SpoolDir) -> io::Result<Option<Self>> {
        let path = spool.path().join(TAKEN);
        match fs::read(path.join("assignment.json")) {
            Ok(json) => {
                let assignment = serde_json::from_slice(&json)?;
                Ok(Some(Self { assignment, spool: spool.clone(), path }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub fn place(&self) -> Option<&Place> {
        self.assignment.place()
    }

    /// Makes the earlier agent's home this attempt's own, which has none yet. Doing it again changes nothing.
    pub fn move_home(&self) -> io::Result<()> {
        if self.home_moved() {
            return Ok(());
        }
        rename_durably(&self.path.join(AGENT_HOME), &self.spool.path().join(AGENT_HOME))
    }

    fn home_moved(&self) -> bool {
        !self.path.join(AGENT_HOME).exists()
    }
}

/// A kept workspace that nobody can take any more.
#[derive(Debug)]
pub struct Doomed {
    path: PathBuf,
}

impl Doomed {
    /// Removes the workspace, then what is known of it, so that a crash in between loses nothing but
    /// time. `workspaces` is where those are that an attempt was still making.
    pub async fn remove(self, repos: &repo::Cache, workspaces: &Path) -> io::Result<()> {
        let assignment = match blocking::read(self.path.join("assignment.json")).await {
            Ok(json) => Some(serde_json::from_slice::<Assignment>(&json)?),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if let Some(assignment) = assignment {
            match assignment.place() {
                Some(Place::Worktree(worktree)) => worktree.remove().await,
                Some(Place::Directory { path }) => repos.discard(path).await,
                None => repos.discard(&workspaces.join(assignment.attempt.to_string())).await,
            }
            .map_err(io::Error::other)?;
        }
        workspace::remove(self.path).await
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn trim(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if STAYS.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            workspace::remove_tree(&entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
