//! Removing one, where nothing is lost by it.

use std::path::PathBuf;

use factory_domain::{BranchName, RepoSource};
use tokio_util::sync::CancellationToken;

use super::{ByHand, Record, State, read};
use crate::git::GitError;
use crate::repo::{Cache, RepoError};
use crate::shims::Shims;
use crate::worktree::{Standing, Worktree};

/// Why a worktree is not removed. Each message is whole.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    #[error("{} holds {}; commit and push them first", path.display(), unsaved(standing))]
    Unsaved { path: PathBuf, standing: Standing },
    #[error("whether {} holds work that is nowhere else cannot be told ({cause}); look into it first", path.display())]
    Unreadable { path: PathBuf, cause: GitError },
    #[error("{} could not be removed: {cause}", path.display())]
    Failed { path: PathBuf, cause: GitError },
}

fn unsaved(standing: &Standing) -> String {
    let count = |number: u32, what: &str| (number > 0).then(|| format!("{number} {what}"));
    let parts = [
        count(standing.uncommitted, "changed or new file(s) that no commit has"),
        count(standing.unsaved_commits, "commit(s) that are not in the origin"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

impl ByHand {
    /// Removes the worktree of a branch with its branch, and says how it stood. `None`: there is none. Without
    /// force it stays where work in it is nowhere else.
    pub async fn delete(
        &self,
        (source, branch): (&RepoSource, &BranchName),
        force: bool,
        repos: &Cache,
        shims: &dyn Shims,
        token: &CancellationToken,
    ) -> Result<Option<(Worktree, Standing)>, DeleteError> {
        let path = self.path_of(source, branch);
        let failed = |cause| DeleteError::Failed { path: path.clone(), cause };
        let io = |cause| failed(GitError::io("worktree remove")(cause));
        let record_path = self.record_path(&path);
        let _turn = self.turn(&record_path).await;
        let Some(record) = read(&record_path).map_err(io)? else { return Ok(None) };
        let State::Made { worktree } = record.state.clone() else {
            // It was half made, or its removal had begun.
            return self.settle(record, repos, shims).await.map_err(failed).map(|()| None);
        };
        if !path.is_dir() {
            // Its branch stays, where it holds work.
            self.settle(record, repos, shims).await.map_err(failed)?;
            return Ok(Some((*worktree, Standing::default())));
        }
        let standing = may_go(&worktree, source, force, repos, token).await?;
        let record = Record { state: State::Removing { worktree: worktree.clone() }, ..record };
        self.put(record.clone()).await.map_err(io)?;
        self.settle(record, repos, shims).await.map_err(failed)?;
        Ok(Some((*worktree, standing)))
    }
}

/// How a worktree stands, where it may be removed.
pub async fn may_go(
    worktree: &Worktree,
    source: &RepoSource,
    force: bool,
    repos: &Cache,
    token: &CancellationToken,
) -> Result<Standing, DeleteError> {
    let path = || worktree.path.clone();
    let mut standing = match worktree.standing().await {
        Ok(standing) => standing,
        Err(_) if force => return Ok(Standing::default()),
        Err(cause) => return Err(DeleteError::Unreadable { path: path(), cause }),
    };
    if !force && standing.uncommitted == 0 && standing.unsaved_commits > 0 {
        // They may have been pushed from elsewhere since the last fetch. An origin that cannot be asked has none of them.
        let fetched: Result<_, RepoError> = repos.fetch(source, token).await;
        if fetched.is_ok() {
            standing =
                worktree.standing().await.map_err(|cause| DeleteError::Unreadable { path: path(), cause })?;
        }
    }
    if force || standing.is_saved() {
        Ok(standing)
    } else {
        Err(DeleteError::Unsaved { path: path(), standing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_would_be_lost_and_the_next_step() {
        let standing = Standing { uncommitted: 2, unsaved_commits: 1, ..Standing::default() };
        let said = DeleteError::Unsaved { path: "/w/x".into(), standing }.to_string();
        assert!(said.contains("/w/x holds 2 changed") && said.contains(" and 1 commit(s)"), "{said}");
        assert!(said.ends_with("push them first"), "{said}");
    }
}
