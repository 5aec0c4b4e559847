//! Why a repository could not be made ready for a task.

use std::io;
use std::path::PathBuf;

use factory_domain::{BranchName, Failure, FailureReason, RevisionName};

use crate::git::GitError;

/// Commands that wait for a remote.
const OVER_NETWORK: [&str; 3] = ["ls-remote", "clone", "fetch"];

/// `repo` is the source as the task names it, without credentials. Each message is whole: it holds its cause.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    #[error("{} is not on this worker's host. Run the task on the host that has it, or give a URL that every worker can fetch", path.display())]
    NotOnThisHost { path: PathBuf },
    #[error(
        "{repo} is not a git repository, or the worker's user may not see it ({said}). Check the name, and the worker's access to it"
    )]
    NotARepository { repo: String, said: String },
    #[error("{repo} has no commits yet. Commit something first; an agent's branch needs a base")]
    Empty { repo: String },
    #[error("{repo} has no default branch. Name a base; it has {}", list(branches))]
    NoDefaultBranch { repo: String, branches: Vec<String> },
    #[error("base `{base}` is no branch, tag or commit of {repo}. It has the branches {}", list(branches))]
    BaseNotFound { base: RevisionName, repo: String, branches: Vec<String> },
    #[error(
        "branch `{branch}` is already in {repo} and does not contain base `{base}`. Leave out the base to go on from the branch, or name another branch"
    )]
    BranchWithoutBase { branch: BranchName, base: RevisionName, repo: String },
    #[error("branch `{branch}` is checked out already, in {}. Name another branch, or wait until whoever works there is done", path.display())]
    BranchInUse { branch: BranchName, path: PathBuf },
    #[error("{repo} could not be reached ({said}). Check the network and the address from the worker's host")]
    Unreachable { repo: String, said: String },
    #[error(
        "{repo} refused the worker's login ({said}). Give the worker's user a git credential helper or an ssh key for it"
    )]
    AuthenticationFailed { repo: String, said: String },
    #[error(
        "{repo} belongs to another user of this host, and git refuses to read it. To trust it, run as the worker's user: git config --global --add safe.directory {repo}"
    )]
    ForeignOwner { repo: String },
    #[error("the clone of {repo} has worktrees: {}. Remove them first, or let their tasks end", shown(paths))]
    HasWorktrees { repo: String, paths: Vec<PathBuf> },
    #[error("the clone of {repo} has commits that are in no branch of the origin: {}. Push them first", refs.join(", "))]
    HoldsWork { repo: String, refs: Vec<String> },
    #[error("{branch}, which the task starts from, cannot be had: commit {commit} is not in {repo} ({said})")]
    UpstreamMissing { repo: String, branch: String, commit: String, said: String },
    #[error("{branch} and {with} do not merge in {repo}. In conflict: {}", files.join(", "))]
    MergeConflict { repo: String, branch: String, with: String, files: Vec<String> },
    #[error("making a worktree of {repo} was cancelled")]
    Cancelled { repo: String },
    #[error("{} could not be used: {cause}", path.display())]
    Disk { path: PathBuf, cause: io::Error },
    #[error("{repo}: {cause}")]
    Git { repo: String, cause: GitError },
}

impl RepoError {
    /// Reads a git error that came up while talking to the repository or its cache.
    pub(super) fn from_git(repo: &str, error: GitError) -> Self {
        let repo = repo.to_owned();
        match error {
            GitError::NotARepository { said } => Self::NotARepository { repo, said },
            GitError::Unreachable { said } => Self::Unreachable { repo, said },
            GitError::AuthenticationFailed { said } => Self::AuthenticationFailed { repo, said },
            GitError::ForeignOwner { .. } => Self::ForeignOwner { repo },
            GitError::Cancelled { .. } => Self::Cancelled { repo },
            GitError::TimedOut { ref command, .. } if OVER_NETWORK.contains(&command.as_str()) => {
                Self::Unreachable { repo, said: error.to_string() }
            }
            cause => Self::Git { repo, cause },
        }
    }

    /// The failure to report of the attempt.
    pub fn failure(&self) -> Failure {
        Failure { reason: self.reason(), message: self.to_string() }
    }

    const fn reason(&self) -> FailureReason {
        match self {
            Self::BaseNotFound { .. } => FailureReason::BaseNotFound,
            Self::MergeConflict { .. } => FailureReason::MergeConflict,
            // What no worker and no later time will change.
            Self::Empty { .. } | Self::NoDefaultBranch { .. } | Self::BranchWithoutBase { .. } => {
                FailureReason::Rejected
            }
            Self::NotOnThisHost { .. }
            | Self::NotARepository { .. }
            | Self::Unreachable { .. }
            | Self::AuthenticationFailed { .. }
            | Self::UpstreamMissing { .. }
            | Self::ForeignOwner { .. } => FailureReason::RepositoryUnavailable,
            Self::HasWorktrees { .. }
            | Self::HoldsWork { .. }
            | Self::BranchInUse { .. }
            | Self::Cancelled { .. }
            | Self::Disk { .. }
            | Self::Git { .. } => FailureReason::WorkerError,
        }
    }

    /// The token was cancelled; there is nothing wrong with the repository.
    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

fn shown(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn list(branches: &[String]) -> String {
    if branches.is_empty() { "no branches".to_owned() } else { branches.join(", ") }
}
