//! A task's worktree: where its agent works, and what is read from it afterwards.
//!
//! An agent may do anything to its worktree: switch branches, detach `HEAD`, rewrite history, delete
//! `.git`. So nothing here trusts the directory to lead git anywhere; the git directory is remembered
//! from the start.

mod changes;
mod leftovers;
mod lineage;
mod standing;

use std::io;
use std::path::{Path, PathBuf};

use factory_domain::{BranchName, RepoSource};
use serde::{Deserialize, Serialize};

pub use changes::{MAX_PATCH, Work};
pub use leftovers::{Fate, Found};
pub use lineage::{Conflict, Lineage};
pub use standing::Standing;

use crate::git::{Call, Git, GitError};
use crate::repo::lock::RepositoryLock;
use crate::repo::{self, Request, UPSTREAM_REFS};
use crate::spool::write_atomically;
use crate::workspace;

/// Who commits where nobody else is named.
pub const FACTORY_NAME: &str = "Factory";
pub const FACTORY_EMAIL: &str = "factory@localhost";

/// Lets git commit as the factory.
pub(crate) fn as_factory(git: &Git) -> Git {
    git.clone()
        .env("GIT_AUTHOR_NAME", FACTORY_NAME)
        .env("GIT_AUTHOR_EMAIL", FACTORY_EMAIL)
        .env("GIT_COMMITTER_NAME", FACTORY_NAME)
        .env("GIT_COMMITTER_EMAIL", FACTORY_EMAIL)
}

/// Plain data: kept with the attempt, it means the same after the worker's restart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Worktree {
    pub path: PathBuf,
    /// The branch made for the task, and delivered under this name.
    pub branch: BranchName,
    /// Full id of the commit the branch started from.
    pub base_commit: String,
    pub source: RepoSource,
    /// The work of other tasks that is in the base, or is to be merged.
    #[serde(default)]
    pub lineage: Lineage,
    /// Files copied in by `.worktreeinclude`, relative; never committed by the factory.
    pub included: Vec<PathBuf>,
    /// The bare clone.
    repository: PathBuf,
    /// The worktree's own git directory, inside the clone.
    git_dir: PathBuf,
    /// How to run git; the plain way after a restart.
    #[serde(skip)]
    git: Git,
}

impl Worktree {
    /// The repository's source as it may be shown, without a login.
    pub fn shown_source(&self) -> String {
        repo::shown(&self.source.remote())
    }

    /// Reads what `git worktree add` has just made.
    pub(crate) async fn at(
        request: &Request<'_>,
        repository: &Path,
        base_commit: String,
        git: Git,
    ) -> io::Result<Self> {
        let link = tokio::fs::read_to_string(request.workspace.join(".git")).await?;
        let git_dir = link.trim_end_matches('\n').strip_prefix("gitdir: ").map(PathBuf::from);
        let git_dir = git_dir.ok_or_else(|| io::Error::other("its .git names no git directory"))?;
        Ok(Self {
            path: request.workspace.to_owned(),
            branch: request.branch.clone(),
            base_commit,
            source: request.source.clone(),
            lineage: Lineage::default(),
            included: Vec::new(),
            repository: repository.to_owned(),
            git_dir,
            git,
        })
    }

    /// Git in this worktree.
    pub(crate) fn git(&self) -> Git {
        self.git.in_worktree(&self.git_dir, &self.path)
    }

    /// Git in the bare clone.
    pub(crate) fn git_in_repository(&self) -> Git {
        self.git.in_repository(&self.repository)
    }

    /// Git with these files and the clone's own `HEAD`, whatever became of the worktree's git directory.
    pub(crate) fn git_by_clone(&self) -> Git {
        self.git.in_worktree(&self.repository, &self.path)
    }

    /// The agent's index; it may be gone or damaged.
    pub(crate) fn index_path(&self) -> PathBuf {
        self.git_dir.join("index")
    }

    /// The bare clone.
    pub(crate) fn repository(&self) -> &Path {
        &self.repository
    }

    /// Writes down in the clone that the worktree is there. Blocking.
    pub(crate) fn tell_of(&self, path: &Path) -> io::Result<()> {
        if !self.git_dir.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} is gone", self.git_dir.display()),
            ));
        }
        let mut link = path.join(".git").into_os_string().into_encoded_bytes();
        link.push(b'\n');
        write_atomically(&self.git_dir.join("gitdir"), &link)
    }

    fn branch_ref(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// Lets git commit in this worktree, and in no other, as the factory: for hosts where nobody has
    /// told git who they are.
    pub(crate) async fn use_factory_identity(&self) -> io::Result<()> {
        let config = format!("[user]\n\tname = {FACTORY_NAME}\n\temail = {FACTORY_EMAIL}\n");
        tokio::fs::write(self.git_dir.join("config.worktree"), config).await
    }

    /// The commit to deliver: where `HEAD` is, however the agent brought it there. Where the agent went
    /// back to an older commit, or `HEAD` is gone, the task's branch.
    pub async fn tip(&self) -> Result<String, GitError> {
        let repository = self.git_in_repository();
        let head = match self.git().commit_of("HEAD").await {
            Ok(head) => head,
            Err(GitError::NotARepository { .. } | GitError::Io { .. } | GitError::Start(_)) => None,
            Err(error) => return Err(error),
        };
        let branch = repository.commit_of(&self.branch_ref()).await?;
        match (head, branch) {
            (Some(head), Some(branch)) if head != branch => {
                let behind = Call::new(["merge-base", "--is-ancestor", &head, &branch]);
                Ok(if repository.ask(behind).await? { branch } else { head })
            }
            (Some(tip), _) | (None, Some(tip)) => Ok(tip),
            (None, None) => Err(GitError::RefNotFound {
                said: format!("the worktree has no HEAD, and branch {} is gone", self.branch),
            }),
        }
    }

    /// Removes the refs that keep the commits it started from.
    async fn let_upstreams_go(&self) -> Result<(), GitError> {
        if self.lineage.upstreams.is_empty() {
            return Ok(());
        }
        let repository = self.git_in_repository();
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let listing = Call::new(["for-each-ref", "--format=delete %(refname)"]);
        let listing = repository.run(listing.arg(format!("{UPSTREAM_REFS}/{name}/"))).await?.stdout;
        if listing.is_empty() {
            return Ok(());
        }
        repository.run(Call::new(["update-ref", "--stdin"]).stdin(listing)).await.map(drop)
    }

    /// Removes the directory, its registration, the branch in the clone and the hidden refs of its
    /// snapshots and of what it started from. The work must be saved before. Doing it again changes nothing.
    pub async fn remove(&self) -> Result<(), GitError> {
        let io = || GitError::io("worktree remove");
        let (path, git_dir) = (self.path.clone(), self.git_dir.clone());
        // The files need no lock, and there may be many.
        workspace::remove(path).await.map_err(io())?;
        if !self.repository.try_exists().map_err(io())? {
            return Ok(());
        }
        let _lock = RepositoryLock::acquire(&self.repository).await.map_err(io())?;
        // By hand: `git worktree remove` refuses a worktree whose agent has damaged its `.git`.
        workspace::remove(git_dir).await.map_err(io())?;
        for name in [self.branch_ref(), self.checkpoint_ref()] {
            self.git_in_repository().run(Call::new(["update-ref", "-d", &name])).await?;
        }
        self.let_upstreams_go().await
    }
}
