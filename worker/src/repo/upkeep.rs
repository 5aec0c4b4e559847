//! Keeping the cache in order: what crashes left in a clone, objects that piled up, clones nobody uses.
//!
//! A branch or hidden ref is removed only where all its commits are in the origin's branches as well.
//! All of this gives way to checkouts: a clone that is locked is left alone, and a checkout that
//! arrives ends whatever takes long.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use factory_domain::{RepoSource, Timestamp};
use tokio_util::sync::CancellationToken;

use super::discard::Registration;
use super::lock::RepositoryLock;
use super::sync::Synced;
use super::{Cache, RepoError, UPSTREAM_REFS};
use crate::disk::Owned;
use crate::git::{self, Call, Git, GitError};
use crate::workspace;

/// Git's own measure: loose objects in one of 256 directories, and packs.
const LOOSE_IN_ONE: usize = 27;
const PACKS: usize = 50;

/// How a clone stands.
#[derive(Debug)]
pub(crate) struct Condition {
    /// By the last checkout.
    pub used: Timestamp,
    /// Those of it that are there, or may be.
    pub worktrees: Vec<PathBuf>,
    /// Refs with commits that are nowhere else, or that are in use.
    pub refs: Vec<String>,
    /// Its objects should be packed.
    pub grown: bool,
}

impl Condition {
    /// A worktree or a commit is in it that is nowhere else.
    pub fn is_needed(&self) -> bool {
        !self.worktrees.is_empty() || !self.refs.is_empty()
    }
}

impl Cache {
    /// Removes what crashes left in a clone, and says how it stands. `None`: it is in use right now.
    ///
    /// `owned` is asked under the lock: an attempt is in the spool before it registers anything.
    pub(crate) async fn tidy(
        &self,
        clone: &Path,
        owned: impl FnOnce() -> io::Result<Owned>,
    ) -> Result<Option<Condition>, GitError> {
        let io = || GitError::io("for-each-ref");
        let Some(lock) = RepositoryLock::try_acquire(clone).map_err(io())? else { return Ok(None) };
        let owned = owned().map_err(io())?;
        self.tidy_locked(clone, &owned, &lock).await.map(Some)
    }

    async fn tidy_locked(
        &self,
        clone: &Path,
        owned: &Owned,
        lock: &RepositoryLock,
    ) -> Result<Condition, GitError> {
        let io = || GitError::io("worktree prune");
        let git = self.git.in_repository(clone);
        let mut registered = Vec::new();
        for registration in Registration::all_of(clone).map_err(io())? {
            if is_left_over(&registration, owned) {
                tracing::info!(path = %registration.git_dir.display(), "removing a worktree's registration: its files are gone, and no attempt owns it");
                workspace::remove(registration.git_dir).await.map_err(io())?;
            } else {
                registered.push(registration);
            }
        }
        let mut refs = Vec::new();
        let listing = Call::new(["for-each-ref", "--format=%(refname)", "refs/heads"]).args([
            "refs/factory/checkpoints",
            "refs/factory/incoming",
            UPSTREAM_REFS,
        ]);
        for name in git.run(listing).await?.line().lines() {
            match Ref::read(name, owned, &registered) {
                Ref::InUse => refs.push(name.to_owned()),
                Ref::Passing => delete(&git, name).await?,
                Ref::Left if is_in_origin(&git, name).await? => delete(&git, name).await?,
                Ref::Left => refs.push(name.to_owned()),
            }
        }
        let used = lock.used().map_err(io())?;
        let worktrees =
            registered.into_iter().map(|found| found.workspace.unwrap_or(found.git_dir)).collect();
        Ok(Condition { used, worktrees, refs, grown: has_grown(clone).map_err(io())? })
    }

    /// Packs a clone's objects and drops those that nothing has led to for two weeks. A checkout that
    /// arrives ends it; git leaves nothing half done. `false`: it did not come to its end.
    pub(crate) async fn collect_garbage(&self, clone: &Path) -> Result<bool, GitError> {
        let lock = RepositoryLock::try_acquire(clone).map_err(GitError::io("gc"))?;
        let Some(_lock) = lock else { return Ok(false) };
        let mut arrivals = self.arrivals.subscribe();
        let token = CancellationToken::new();
        let git = self.git.in_repository(clone).until(&token);
        let mut collecting = Box::pin(git.run(Call::new(["gc", "--quiet"]).in_background()));
        let ended = tokio::select! {
            ended = &mut collecting => ended,
            _ = arrivals.changed() => {
                token.cancel();
                collecting.await
            }
        };
        match ended {
            Ok(_) => Ok(true),
            Err(error) if error.is_cancelled() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes a clone in which nothing is that is needed. `false`: it is in use after all.
    pub(crate) async fn remove_clone(
        &self,
        clone: &Path,
        owned: impl FnOnce() -> io::Result<Owned>,
    ) -> Result<bool, GitError> {
        let io = || GitError::io("clone");
        let Some(lock) = RepositoryLock::try_acquire(clone).map_err(io())? else { return Ok(false) };
        let owned = owned().map_err(io())?;
        if self.tidy_locked(clone, &owned, &lock).await?.is_needed() {
            return Ok(false);
        }
        self.take_away(clone).await.map(|()| true)
    }

    /// The same for the clone of a source that someone wants gone. `false`: there was none.
    pub(crate) async fn remove_clone_of(
        &self,
        source: &RepoSource,
        owned: impl FnOnce() -> io::Result<Owned>,
        token: &CancellationToken,
    ) -> Result<bool, RepoError> {
        let repository = self.repository(source);
        let (clone, repo) = (&repository.path, || repository.label.clone());
        let disk = |cause| RepoError::Disk { path: clone.clone(), cause };
        if !clone.try_exists().map_err(disk)? {
            return Ok(false);
        }
        let (mut synced, lock) = tokio::select! {
            locked = repository.lock() => locked?,
            () = token.cancelled() => return Err(RepoError::Cancelled { repo: repo() }),
        };
        let owned = owned().map_err(disk)?;
        let refuse = |error| RepoError::from_git(&repository.label, error);
        let condition = self.tidy_locked(clone, &owned, &lock).await.map_err(refuse)?;
        if !condition.worktrees.is_empty() {
            return Err(RepoError::HasWorktrees { repo: repo(), paths: condition.worktrees });
        }
        if !condition.refs.is_empty() {
            return Err(RepoError::HoldsWork { repo: repo(), refs: condition.refs });
        }
        // Whoever waits for the lock finds that it has to clone again.
        *synced = Synced::default();
        self.take_away(clone).await.map_err(refuse).map(|()| true)
    }

    /// Removes a clone that is locked.
    async fn take_away(&self, clone: &Path) -> Result<(), GitError> {
        let io = || GitError::io("clone");
        // As a crash in the middle of cloning leaves it; the next clone begins by removing that.
        let rest = clone.with_extension("tmp");
        workspace::remove(rest.clone()).await.map_err(io())?;
        tokio::fs::rename(clone, &rest).await.map_err(io())?;
        self.forget(clone);
        workspace::remove(rest).await.map_err(io())
    }

    /// Removes what a clone that was ended left beside its place, unless one is made right now.
    pub(crate) async fn remove_half_clone(&self, path: &Path) -> io::Result<bool> {
        let Some(_lock) = RepositoryLock::try_acquire(path)? else { return Ok(false) };
        workspace::remove(path.to_owned()).await.map(|()| true)
    }

    /// Whether everything in a workspace is elsewhere too: no changes, no new files, and no commits that
    /// the origin's branches lack. What git cannot tell counts as not saved.
    pub(crate) async fn is_saved(&self, workspace: &Path) -> io::Result<bool> {
        if fs::symlink_metadata(workspace)?.is_dir() && fs::read_dir(workspace)?.next().is_none() {
            return Ok(true);
        }
        for clone in self.clones()? {
            let found = Registration::all_of(&clone)?;
            let Some(registration) = found.into_iter().find(|found| found.is_of(workspace)) else {
                continue;
            };
            let git = self.git.in_worktree(&registration.git_dir, workspace);
            return Ok(
                is_clean(&git).await.unwrap_or(false) && is_in_origin(&git, "HEAD").await.unwrap_or(false)
            );
        }
        Ok(false)
    }
}

/// What one of a clone's refs is.
#[derive(Debug, PartialEq, Eq)]
enum Ref {
    /// An attempt has it, or an agent may be using it.
    InUse,
    /// Only needed while a snapshot is brought in, or a worktree made of it is there.
    Passing,
    /// Of no attempt known here.
    Left,
}

impl Ref {
    fn read(name: &str, owned: &Owned, registered: &[Registration]) -> Self {
        let attempt = |rest: &str| rest.split('/').next().is_some_and(|name| owned.has_workspace_named(name));
        let passing = ["refs/factory/incoming", UPSTREAM_REFS].into_iter();
        let mut passing = passing.filter_map(|refs| name.strip_prefix(refs)?.strip_prefix('/'));
        if let Some(rest) = passing.next() {
            return if attempt(rest) { Self::InUse } else { Self::Passing };
        }
        if let Some(rest) = name.strip_prefix("refs/factory/checkpoints/") {
            return if attempt(rest) { Self::InUse } else { Self::Left };
        }
        let checked_out = registered.iter().any(|found| found.branch.as_deref() == Some(name));
        // Agents make branches of their own, under other names.
        let is_ours = name.starts_with("refs/heads/factory/") || registered.is_empty();
        if checked_out || owned.has_branch(name) || !is_ours { Self::InUse } else { Self::Left }
    }
}

/// Its files are gone or were never made, and nobody is going to ask for it.
fn is_left_over(registration: &Registration, owned: &Owned) -> bool {
    match &registration.workspace {
        // In doubt they are there.
        Some(path) => !path.try_exists().unwrap_or(true) && !owned.has_workspace(path),
        None => {
            let name = registration.git_dir.file_name().unwrap_or_default().to_string_lossy();
            !owned.has_workspace_named(&name)
        }
    }
}

async fn delete(git: &Git, name: &str) -> Result<(), GitError> {
    tracing::info!(name, "removing a ref of the cache: no attempt owns it, and its commits are elsewhere");
    git.run(Call::new(["update-ref", "-d", name])).await.map(drop)
}

/// Tags do not count: an agent can make them.
pub(super) async fn is_in_origin(git: &Git, name: &str) -> Result<bool, GitError> {
    let call = Call::new(["rev-list", "--max-count=1", name, "--not", "--remotes=origin"])
        .args(["--glob=refs/factory/base", "--"]);
    Ok(git.run(call).await?.stdout.is_empty())
}

/// Files missing are no work lost.
async fn is_clean(git: &Git) -> Result<bool, GitError> {
    let call = Call::new(["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"]);
    let listing = git.run(call).await?.stdout;
    Ok(git::paths(&listing).iter().all(|entry| {
        let entry = entry.as_os_str().as_encoded_bytes();
        entry.starts_with(b" D ") || entry.starts_with(b"D  ")
    }))
}

fn has_grown(clone: &Path) -> io::Result<bool> {
    let count = |directory: &str, wanted: fn(&Path) -> bool| -> io::Result<usize> {
        match fs::read_dir(clone.join("objects").join(directory)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            entries => Ok(entries?.filter_map(Result::ok).filter(|entry| wanted(&entry.path())).count()),
        }
    };
    let loose = count("17", |_| true)?;
    Ok(loose > LOOSE_IN_ONE || count("pack", |path| path.extension() == Some("pack".as_ref()))? > PACKS)
}
