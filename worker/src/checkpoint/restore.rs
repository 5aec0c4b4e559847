//! Going on from a snapshot in a fresh worktree, perhaps on another host.

use std::path::Path;

use factory_domain::AttemptId;

use super::Snapshot;
use super::snapshot::REFS;
use crate::environment::ATTEMPT_MARKER;
use crate::git::{Call, Git, GitError};
use crate::worktree::Worktree;

/// Why a snapshot could not be brought back. The worktree is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error("the saved work begins at commit {base}, which the repository does not have any more")]
    BaseMissing { base: String },
    #[error("the saved work cannot be read: {said}")]
    Broken { said: String },
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Brings the snapshot in `bundle` into a fresh worktree of the same repository: the branch goes to the
/// snapshot's tip, the index with it, and what differs from the tip are uncommitted changes again. The
/// worktree's base is the snapshot's from then on, so that its commits are counted from there.
///
/// `attempt` goes on with it; git runs as a process of that attempt, and ends with it.
pub async fn restore(
    worktree: &mut Worktree,
    bundle: &Path,
    snapshot: &Snapshot,
    attempt: AttemptId,
) -> Result<(), RestoreError> {
    let repository = worktree.git_in_repository().env(ATTEMPT_MARKER, attempt.to_string());
    let (Some(base), Some(tip)) = (&snapshot.base, &snapshot.tip) else {
        return Err(RestoreError::Broken { said: "it is not of a repository".to_owned() });
    };
    let unpacked = unpack(&repository, bundle, snapshot, &worktree.checkpoint_ref()).await;
    // A base that the factory merged comes with the bundle; any other must be here for it to be read.
    if repository.commit_of(base).await?.is_none() {
        return Err(RestoreError::BaseMissing { base: base.clone() });
    }
    unpacked?;

    let git = worktree.git().env(ATTEMPT_MARKER, attempt.to_string());
    let before = git.run(Call::new(["rev-parse", "HEAD"])).await?.line();
    if let Err(error) = spread(&git, &snapshot.commit, tip).await {
        // The error told is the first one.
        if let Err(left) = take_back(&git, &before).await {
            tracing::warn!(error = %left, "a worktree half restored could not be brought back");
        }
        return Err(error.into());
    }
    worktree.base_commit.clone_from(base);
    Ok(())
}

/// Takes the bundle's commits into the repository, and puts the snapshot on the ref `name`.
pub(super) async fn unpack(
    repository: &Git,
    bundle: &Path,
    snapshot: &Snapshot,
    name: &str,
) -> Result<(), RestoreError> {
    // Its refs are there named by the attempt that made it; any will do, since the commit is known.
    let incoming = name.replacen(REFS, "refs/factory/incoming", 1);
    let call = Call::new(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--"])
        .arg(bundle)
        .arg(format!("+{REFS}/*:{incoming}/*"));
    match repository.run(call).await {
        Ok(_) => {}
        Err(
            error @ (GitError::Start(_)
            | GitError::Io { .. }
            | GitError::DiskFull { .. }
            | GitError::Cancelled { .. }
            | GitError::TimedOut { .. }),
        ) => return Err(error.into()),
        Err(error) => return Err(RestoreError::Broken { said: error.to_string() }),
    }
    let whole = repository.commit_of(&snapshot.commit).await?.is_some();
    if whole {
        repository.run(Call::new(["update-ref", name, &snapshot.commit])).await?;
    }
    let listing = Call::new(["for-each-ref", "--format=delete %(refname)", &incoming]);
    let listing = repository.run(listing).await?.stdout;
    if !listing.is_empty() {
        repository.run(Call::new(["update-ref", "--stdin"]).stdin(listing)).await?;
    }
    if whole { Ok(()) } else { Err(RestoreError::Broken { said: "the snapshot is not in it".to_owned() }) }
}

/// Files as in the snapshot, then branch and index back to the tip with the files left as they are.
async fn spread(git: &Git, commit: &str, tip: &str) -> Result<(), GitError> {
    git.run(Call::new(["reset", "--hard", "--quiet", "--no-recurse-submodules", commit])).await?;
    git.run(Call::new(["reset", "--mixed", "--quiet", "--no-recurse-submodules", tip])).await.map(drop)
}

/// A fresh worktree has nothing of its own that is untracked and not ignored.
async fn take_back(git: &Git, before: &str) -> Result<(), GitError> {
    git.run(Call::new(["reset", "--hard", "--quiet", "--no-recurse-submodules", before])).await?;
    git.run(Call::new(["clean", "-ffdq"])).await.map(drop)
}
