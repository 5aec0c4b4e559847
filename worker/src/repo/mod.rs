//! The worker's cache of repositories, and worktrees made from it.
//!
//! Each remote has one bare clone under `<root>/repos/`. A task gets a worktree of that clone, so the
//! second task of a repository costs a fetch and a checkout, not a clone. Everything that changes the
//! clone happens under the repository's lock; the checkout of files happens beside it, so that tasks
//! that start together wait for each other only briefly.

mod base;
mod discard;
mod error;
mod facts;
mod include;
pub(crate) mod lock;
mod merge;
mod registry;
mod sync;
mod upkeep;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use factory_domain::{AttemptId, BranchName, RepoSource, RevisionName};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use error::RepoError;
pub use facts::CloneFacts;
pub(crate) use facts::shown;
pub use merge::{Incoming, Merge};
pub(crate) use merge::{REFS as UPSTREAM_REFS, without_users_settings};

use crate::environment::ATTEMPT_MARKER;
use crate::git::{Call, Git, GitError};
use crate::worktree::Worktree;
use base::Start;
use sync::{Repository, Ticket};

/// What a task needs made ready.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub source: &'a RepoSource,
    /// `None`: the remote's default branch.
    pub base: Option<&'a RevisionName>,
    /// Whose worktree it is: the long part of making it is known as a process of this attempt, so that
    /// it is ended with it where the worker is killed meanwhile.
    pub attempt: AttemptId,
    /// Made at the base, or gone on from where the remote has it already.
    pub branch: &'a BranchName,
    /// The work of other tasks that is merged into the base.
    pub merge: Merge<'a>,
    /// Where the worktree goes: a path that does not exist yet, or an empty directory.
    pub workspace: &'a Path,
    /// Goes on from what the clone itself has on the branch beside the origin: a person's, where no worktree
    /// has it any more. A task's branch is made anew.
    pub goes_on: bool,
    /// Ends the work when cancelled.
    pub token: &'a CancellationToken,
}

/// Receives what people following the task should know, a sentence at a time.
pub type Note<'a> = &'a (dyn Fn(String) + Sync);

/// The bare clones of one worker.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
    git: Git,
    repositories: Mutex<HashMap<String, Arc<Repository>>>,
    /// Counts checkouts that have begun: whatever else holds a clone for long gives way to them.
    arrivals: watch::Sender<u64>,
}

impl Cache {
    /// A cache under the worker's root, in `repos/`.
    pub fn new(root: &Path) -> Self {
        Self::with_git(root, Git::new())
    }

    /// The same, with a git of the caller's making.
    pub fn with_git(root: &Path, git: Git) -> Self {
        Self {
            directory: root.join("repos"),
            git,
            repositories: Mutex::default(),
            arrivals: watch::Sender::new(0),
        }
    }

    /// Brings the cache up to date and makes a worktree on a branch of its own. When it fails, or is
    /// cancelled, nothing of the worktree is left.
    pub async fn checkout(&self, request: &Request<'_>, note: Note<'_>) -> Result<Worktree, RepoError> {
        let repository = self.repository(request.source);
        let ticket = repository.ticket();
        self.arrivals.send_modify(|arrivals| *arrivals += 1);
        let git = self.git.until(request.token);
        require_on_this_host(request.source)?;
        self.make_directories(request).await?;
        let made = self.make(&repository, ticket, request, &git, note).await;
        if made.is_err()
            // Also where git was ended while it registered: it may have been done by then.
            && let Err(left) = self.withdraw(request).await
        {
            let path = request.workspace.display();
            tracing::warn!(%path, error = %left, "a half-made worktree could not be removed");
        }
        made
    }

    async fn withdraw(&self, request: &Request<'_>) -> Result<(), GitError> {
        match request.goes_on {
            true => self.discard_by_hand(request.source, request.workspace).await,
            false => self.discard(request.workspace).await,
        }
    }

    async fn make(
        &self,
        repository: &Repository,
        ticket: Ticket,
        request: &Request<'_>,
        git: &Git,
        note: Note<'_>,
    ) -> Result<Worktree, RepoError> {
        let mut made = self.register(repository, ticket, request, git, note).await?;
        made.populate(request, git, &repository.label, note).await?;
        Ok(made.worktree)
    }

    async fn make_directories(&self, request: &Request<'_>) -> Result<(), RepoError> {
        self.make_directory().await?;
        match request.workspace.parent() {
            Some(parent) => make(parent).await,
            None => Ok(()),
        }
    }

    async fn make_directory(&self) -> Result<(), RepoError> {
        make(&self.directory).await
    }

    /// Everything that touches the shared clone: fetch, find the start, merge into it what the task waited
    /// for, add the (still empty) worktree.
    async fn register(
        &self,
        repository: &Repository,
        ticket: Ticket,
        request: &Request<'_>,
        git: &Git,
        note: Note<'_>,
    ) -> Result<Made, RepoError> {
        let label = &repository.label;
        let (mut synced, _lock) = tokio::select! {
            locked = repository.lock() => locked?,
            () = request.token.cancelled() => return Err(RepoError::Cancelled { repo: label.clone() }),
        };
        repository.bring_up_to_date(&mut synced, ticket, git, note).await?;
        let start = base::find(repository, &synced, request, git).await?;
        let start = if request.goes_on { base::go_on(start, repository, request, git).await? } else { start };
        if let Start::Continued { tip } = &start {
            let tip = tip.get(..12).unwrap_or(tip);
            note(format!("branch {} is already in {label}; going on from {tip}", request.branch));
        }
        let merged = merge::merge(repository, start.commit(), request, git, note).await?;
        registry::add(label, request, &merged.commit, &git.in_repository(&repository.path)).await?;
        // Not the request's git: the worktree outlives the token.
        let base = start.base().map_or(merged.commit, str::to_owned);
        let mut worktree = Worktree::at(request, &repository.path, base, self.git.clone())
            .await
            .map_err(|cause| RepoError::Disk { path: request.workspace.to_owned(), cause })?;
        worktree.lineage = merged.lineage;
        Ok(Made { worktree, identity_missing: synced.identity_missing })
    }

    fn repository(&self, source: &RepoSource) -> Arc<Repository> {
        // A lock poisoned by a panic elsewhere still guards a whole map.
        let mut repositories = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        let remote = remote_of(source);
        let entry = repositories.entry(name_of(source));
        let path = self.directory.join(format!("{}.git", entry.key()));
        Arc::clone(entry.or_insert_with(|| Arc::new(Repository::new(remote, path))))
    }

    /// Drops what was known of a clone that has been removed.
    fn forget(&self, clone: &Path) {
        let name = clone.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
    }
}

/// What git fetches from; a slash at its end makes no other repository.
fn remote_of(source: &RepoSource) -> String {
    let remote = source.remote();
    match remote.trim_end_matches('/') {
        "" => remote,
        trimmed => trimmed.to_owned(),
    }
}

/// The name of a source's clone, without its ending.
pub(crate) fn name_of(source: &RepoSource) -> String {
    hex::encode(&Sha256::digest(remote_of(source).as_bytes())[..16])
}

async fn make(directory: &Path) -> Result<(), RepoError> {
    let made = tokio::fs::create_dir_all(directory).await;
    made.map_err(|cause| RepoError::Disk { path: directory.to_owned(), cause })
}

/// A path only means something on the host that has it.
fn require_on_this_host(source: &RepoSource) -> Result<(), RepoError> {
    let RepoSource::Path(path) = source else { return Ok(()) };
    let path = PathBuf::from(path);
    match path.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(RepoError::NotOnThisHost { path }),
        Err(cause) => Err(RepoError::Disk { path, cause }),
    }
}

/// A worktree registered, and without files yet.
struct Made {
    worktree: Worktree,
    identity_missing: bool,
}

impl Made {
    /// Checks the files out, and copies the untracked ones that the source asks to be copied.
    async fn populate(
        &mut self,
        request: &Request<'_>,
        git: &Git,
        label: &str,
        note: Note<'_>,
    ) -> Result<(), RepoError> {
        let worktree = &mut self.worktree;
        if self.identity_missing {
            worktree
                .use_factory_identity()
                .await
                .map_err(|cause| RepoError::Disk { path: worktree.path.clone(), cause })?;
        }
        let checkout = Call::new(["reset", "--hard", "--quiet", "--no-recurse-submodules"]);
        let git_of_attempt =
            worktree.git().until(request.token).env(ATTEMPT_MARKER, request.attempt.to_string());
        let checked_out = git_of_attempt.run(checkout).await;
        checked_out.map_err(|error| RepoError::from_git(label, error))?;
        worktree.begin_merge().await.map_err(|error| RepoError::from_git(label, error))?;
        if let RepoSource::Path(path) = request.source {
            worktree.included = include::copy(git, Path::new(path), &worktree.path, note).await?;
        }
        Ok(())
    }
}
