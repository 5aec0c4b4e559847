//! A task takes a worktree over, with everything that is in it, and gives it back where no agent came to work in it.
//!
//! First the record changes hands by a rename, from beside the worktree into the attempt's spool; then the
//! directory moves, and with it the clone is told where it is now. Until the last of these, the attempt's start
//! is nothing but half a taking, which the next start gives back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use factory_domain::{BranchName, RepoSource};

use super::{ByHand, Record, read};
use crate::blocking;
use crate::repo::lock::RepositoryLock;
use crate::spool::{SpoolDir, rename_durably};
use crate::worktree::Worktree;

/// The record in the spool of the attempt that took the worktree.
const TAKEN: &str = "by-hand.json";

fn taken_path(spool: &SpoolDir) -> PathBuf {
    spool.path().join(TAKEN)
}

/// The record of the worktree that this attempt has taken, also before a restart.
pub fn taken_by(spool: &SpoolDir) -> io::Result<Option<Record>> {
    read(&taken_path(spool))
}

impl ByHand {
    /// The worktree of a branch, where there is one and it is whole.
    pub async fn find(&self, source: &RepoSource, branch: &BranchName) -> io::Result<Option<Worktree>> {
        let path = self.record_path(&self.path_of(source, branch));
        let record = blocking::run(move || read(&path)).await?;
        Ok(record.and_then(|record| record.worktree().filter(|worktree| worktree.path.is_dir()).cloned()))
    }

    /// Makes the worktree an attempt's, at `workspace`. `None`: it is gone meanwhile.
    pub async fn take(
        &self,
        worktree: &Worktree,
        spool: &SpoolDir,
        workspace: &Path,
    ) -> io::Result<Option<Worktree>> {
        let record_path = self.record_path(&worktree.path);
        let _turn = self.turn(&record_path).await;
        let lock = RepositoryLock::acquire(worktree.repository()).await?;
        let (spool, mut worktree, workspace) = (spool.clone(), worktree.clone(), workspace.to_owned());
        // To its end, even where nobody waits for it any more.
        blocking::run(move || {
            let _lock = lock;
            match rename_durably(&record_path, &taken_path(&spool)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                renamed => renamed?,
            }
            fs::create_dir_all(workspace.parent().unwrap_or(Path::new(".")))?;
            relocate(&worktree, &workspace)?;
            worktree.path = workspace;
            Ok(Some(worktree))
        })
        .await
    }

    /// Puts a worktree back to where it was taken from, with its record. `false`: this attempt has taken none.
    pub async fn give_back(&self, spool: &SpoolDir, workspace: &Path) -> io::Result<bool> {
        let of = spool.clone();
        let Some(record) = blocking::run(move || taken_by(&of)).await? else { return Ok(false) };
        let record_path = self.record_path(&record.path);
        let _turn = self.turn(&record_path).await;
        let Some(mut moved) = record.worktree().cloned() else {
            return Err(io::Error::other(
                "the record of a worktree that was taken says that it was never whole",
            ));
        };
        let lock = RepositoryLock::acquire(moved.repository()).await?;
        let spool = spool.clone();
        moved.path = workspace.to_owned();
        blocking::run(move || {
            let _lock = lock;
            if moved.path.try_exists()? {
                fs::create_dir_all(record.path.parent().unwrap_or(Path::new(".")))?;
                relocate(&moved, &record.path)?;
            }
            rename_durably(&taken_path(&spool), &record_path)
        })
        .await?;
        Ok(true)
    }
}

/// Tells a clone where a worktree is that an attempt was just taking, or giving back, when the worker was
/// ended. Before anything else looks at the clone: it takes a worktree for gone that is not where it was told.
pub fn settle_interrupted(spool: &SpoolDir, workspace: &Path) -> io::Result<()> {
    let Some(record) = taken_by(spool)? else { return Ok(()) };
    let Some(worktree) = record.worktree() else { return Ok(()) };
    match workspace.try_exists()? {
        true => worktree.tell_of(workspace),
        false => worktree.tell_of(&record.path),
    }
}

/// By hand: `git worktree move` refuses a worktree with submodules.
fn relocate(worktree: &Worktree, to: &Path) -> io::Result<()> {
    rename_durably(&worktree.path, to)?;
    worktree.tell_of(to)
}
