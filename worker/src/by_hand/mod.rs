//! Worktrees made by hand: for a person, or for a task to come.
//!
//! They lie at readable paths, `<root>/worktrees/<repository>/<branch>`, and belong to the same bare clones
//! as those of attempts. Each has a record beside them, written before anything is made and removed after
//! everything is gone: whoever has the record owns the worktree. A task that is to work on the branch
//! takes the record into its spool, and the worktree with it ([`take`]). So a crash at any moment leaves one
//! owner, and a record whose worktree was half made or half removed is put right by the next start, or by
//! whoever asks for the same again.

mod delete;
mod make;
mod name;
mod record;
pub mod take;

use std::collections::HashMap;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use factory_domain::{BranchName, RepoSource};
use tokio::sync::OwnedMutexGuard;

pub use delete::{DeleteError, may_go};
pub use make::Wish;
pub use record::{Record, State};

use crate::blocking;
use crate::git::GitError;
use crate::repo::Cache;
use crate::shims::Shims;
use crate::spool::write_atomically;

/// Where the records are, beside the worktrees. No repository's directory begins with a dot.
const RECORDS: &str = ".records";

type Turn = Arc<tokio::sync::Mutex<()>>;

/// The worktrees made by hand on one host. Methods that are not async block.
#[derive(Debug, Clone)]
pub struct ByHand {
    directory: PathBuf,
    /// One that makes, takes or removes a worktree at a time, by its record.
    turns: Arc<Mutex<HashMap<PathBuf, Turn>>>,
}

impl ByHand {
    /// Those under the worker's root, in `worktrees/`.
    pub fn new(root: &Path) -> Self {
        Self { directory: root.join("worktrees"), turns: Arc::default() }
    }

    /// Where the worktree of a branch is, or would be.
    pub fn path_of(&self, source: &RepoSource, branch: &BranchName) -> PathBuf {
        self.directory.join(name::of_repository(source)).join(name::of_branch(branch))
    }

    fn record_path(&self, worktree: &Path) -> PathBuf {
        let name = name::of_record(worktree.strip_prefix(&self.directory).unwrap_or(worktree));
        self.directory.join(RECORDS).join(name)
    }

    /// Waits until nobody else makes, takes or removes this worktree.
    async fn turn(&self, record: &Path) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody has or waits for.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(record.to_owned()).or_default())
        };
        turn.lock_owned().await
    }

    /// All there are. One that cannot be read is said, and its worktree stays as it is.
    pub fn list(&self) -> io::Result<Vec<Record>> {
        let entries = match fs::read_dir(self.directory.join(RECORDS)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension() != Some("json".as_ref()) {
                continue;
            }
            match read(&path) {
                Ok(record) => records.extend(record),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the record of a worktree made by hand cannot be read; the worktree stays")
                }
            }
        }
        Ok(records)
    }

    fn write(&self, record: &Record) -> io::Result<()> {
        let path = self.record_path(&record.path);
        let directory = path.parent().unwrap_or(&self.directory);
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        write_atomically(&path, &serde_json::to_vec(record)?)
    }

    /// The last thing that is done of a worktree that is gone.
    fn strike(&self, record: &Record) -> io::Result<()> {
        if let Some(parent) = record.path.parent() {
            // Others of the repository may be in it.
            let _ = fs::remove_dir(parent);
        }
        match fs::remove_file(self.record_path(&record.path)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts right what a crash left half made or half removed. Runs once, beside everything else.
    pub async fn recover(&self, repos: &Cache, shims: &dyn Shims) {
        let listing = self.clone();
        let records = match blocking::run(move || listing.list()).await {
            Ok(records) => records,
            Err(error) => {
                tracing::error!(%error, path = %self.directory.display(), "worktrees made by hand cannot be listed");
                return;
            }
        };
        for record in records.into_iter().filter(|record| !matches!(record.state, State::Made { .. })) {
            let path = record.path.clone();
            if let Err(error) = self.recover_one(record, repos, shims).await {
                tracing::warn!(path = %path.display(), %error, "a worktree half made or half removed stays for now");
            }
        }
    }

    async fn recover_one(&self, seen: Record, repos: &Cache, shims: &dyn Shims) -> Result<(), GitError> {
        let path = self.record_path(&seen.path);
        let _turn = self.turn(&path).await;
        match read(&path).map_err(GitError::io("worktree"))? {
            Some(record) if !matches!(record.state, State::Made { .. }) => {
                self.settle(record, repos, shims).await
            }
            _ => Ok(()),
        }
    }

    /// Ends what was begun, so that nothing of the worktree is left but a branch that holds work.
    async fn settle(&self, record: Record, repos: &Cache, shims: &dyn Shims) -> Result<(), GitError> {
        let io = || GitError::io("worktree remove");
        tracing::info!(path = %record.path.display(), "removing what is left of a worktree made by hand");
        match &record.state {
            State::Removing { worktree } => worktree.remove().await?,
            State::Making => {
                // A git of the worker before this one may still be writing files.
                shims.sweep(record.maker).await.map_err(io())?;
                repos.discard_by_hand(&record.source, &record.path).await?;
            }
            // Someone has removed its files.
            State::Made { .. } => repos.discard_by_hand(&record.source, &record.path).await?,
        }
        let this = self.clone();
        blocking::run(move || this.strike(&record)).await.map_err(io())
    }
}

/// `None`: there is none.
fn read(path: &Path) -> io::Result<Option<Record>> {
    match fs::read(path) {
        Ok(json) => Ok(Some(serde_json::from_slice(&json)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
