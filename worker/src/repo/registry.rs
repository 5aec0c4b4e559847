//! The worktrees registered in a bare clone. All of this happens under the repository's lock.

use std::path::PathBuf;

use factory_domain::BranchName;

use super::{RepoError, Request};
use crate::git::{Call, Git, GitError};

/// A line of `git worktree list`.
#[derive(Debug, PartialEq, Eq)]
struct Registered {
    path: PathBuf,
    /// The full name of the branch it has checked out.
    branch: Option<String>,
}

impl Registered {
    /// A worktree whose directory is gone was left by a crash. In doubt it is there.
    fn is_gone(&self) -> bool {
        !self.path.try_exists().unwrap_or(true)
    }
}

/// Registers a worktree, without its files, on the branch at the start given. It is locked, so that a
/// `git worktree prune` of anyone's does not take it for gone when its agent has damaged it.
pub(super) async fn add(label: &str, request: &Request<'_>, start: &str, git: &Git) -> Result<(), RepoError> {
    require_free(label, request.branch, git).await?;
    let call = Call::new(["worktree", "add", "--quiet", "--no-checkout", "--lock", "-B"])
        .arg(request.branch.as_str())
        .arg("--")
        .arg(request.workspace)
        .arg(start);
    git.run(call).await.map(drop).map_err(|error| RepoError::from_git(label, error))
}

/// Refuses a branch that another task's worktree has checked out.
async fn require_free(label: &str, branch: &BranchName, git: &Git) -> Result<(), RepoError> {
    let refuse = |error| RepoError::from_git(label, error);
    let name = format!("refs/heads/{branch}");
    if git.commit_of(&name).await.map_err(refuse)?.is_none() {
        return Ok(());
    }
    let registered = list(git).await.map_err(refuse)?;
    match registered.into_iter().find(|worktree| worktree.branch.as_ref() == Some(&name)) {
        None => Ok(()),
        Some(holder) if holder.is_gone() => forget(&holder, git).await.map_err(refuse),
        Some(holder) => Err(RepoError::BranchInUse { branch: branch.clone(), path: holder.path }),
    }
}

/// Forgets the worktrees whose directories are gone. Their branches stay: nobody knows here whether
/// what is on them was saved.
pub(super) async fn forget_gone(git: &Git) -> Result<(), GitError> {
    for worktree in list(git).await?.iter().filter(|worktree| worktree.is_gone()) {
        forget(worktree, git).await?;
    }
    Ok(())
}

async fn forget(worktree: &Registered, git: &Git) -> Result<(), GitError> {
    // Twice `--force`: it is locked.
    let call = Call::new(["worktree", "remove", "--force", "--force", "--"]).arg(&worktree.path);
    git.run(call).await.map(drop)
}

async fn list(git: &Git) -> Result<Vec<Registered>, GitError> {
    let listing = git.run(Call::new(["worktree", "list", "--porcelain", "-z"])).await?.stdout;
    Ok(read(&listing))
}

/// Reads `git worktree list --porcelain -z`: attributes end with NUL, and worktrees with one more.
fn read(listing: &[u8]) -> Vec<Registered> {
    let mut worktrees: Vec<Registered> = Vec::new();
    for line in crate::git::paths(listing) {
        let line = line.into_os_string().into_encoded_bytes();
        if let Some(path) = line.strip_prefix(b"worktree ") {
            let path = crate::git::paths(path).into_iter().next().unwrap_or_default();
            worktrees.push(Registered { path, branch: None });
        } else if let (Some(branch), Some(last)) = (line.strip_prefix(b"branch "), worktrees.last_mut()) {
            last.branch = Some(String::from_utf8_lossy(branch).into_owned());
        }
    }
    worktrees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_is_read_with_odd_paths() {
        let listing = b"worktree /c.git\0bare\0\0worktree /w/a\nb\0HEAD 12\0branch refs/heads/x\0locked\0\0worktree /w/c\0HEAD 12\0detached\0\0";
        let worktree = |path: &str, branch: Option<&str>| Registered {
            path: path.into(),
            branch: branch.map(Into::into),
        };
        let expected =
            [worktree("/c.git", None), worktree("/w/a\nb", Some("refs/heads/x")), worktree("/w/c", None)];
        assert_eq!(read(listing), expected);
    }
}
