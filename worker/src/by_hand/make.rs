//! Making one.

use factory_domain::{AttemptId, BranchName, RepoSource, RevisionName};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ByHand, Record, State, read};
use crate::attempt;
use crate::blocking;
use crate::repo::{self, Cache, Merge, RepoError, Request};
use crate::shims::Shims;
use crate::worktree::Worktree;

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    pub source: &'a RepoSource,
    pub branch: &'a BranchName,
    /// Where a new branch starts; `None`: at the remote's default branch.
    pub base: Option<&'a RevisionName>,
}

impl ByHand {
    /// Makes a worktree, or finds the one that is there. A branch that the clone or the origin has is gone on
    /// from. When it fails, or is cancelled, nothing of the worktree is left.
    pub async fn make(
        &self,
        wish: Wish<'_>,
        repos: &Cache,
        shims: &dyn Shims,
        token: &CancellationToken,
    ) -> Result<Worktree, RepoError> {
        let path = self.path_of(wish.source, wish.branch);
        let disk = |cause| RepoError::Disk { path: path.clone(), cause };
        let record_path = self.record_path(&path);
        let _turn = self.turn(&record_path).await;
        if let Some(known) = read(&record_path).map_err(disk)? {
            if let State::Made { worktree } = &known.state
                && path.is_dir()
            {
                return Ok(worktree.as_ref().clone());
            }
            let settled = self.settle(known, repos, shims).await;
            let repo = || repo::shown(&wish.source.remote());
            settled.map_err(|cause| RepoError::Git { repo: repo(), cause })?;
        }
        let record = Record {
            source: wish.source.clone(),
            branch: wish.branch.clone(),
            path: path.clone(),
            made_at: attempt::now(),
            maker: AttemptId::from_uuid(Uuid::now_v7()),
            state: State::Making,
        };
        self.put(record.clone()).await.map_err(disk)?;
        let request = Request {
            source: wish.source,
            base: wish.base,
            attempt: record.maker,
            branch: wish.branch,
            merge: Merge::default(),
            workspace: &path,
            goes_on: true,
            token,
        };
        match repos.checkout(&request, &|_| ()).await {
            Ok(worktree) => {
                let state = State::Made { worktree: Box::new(worktree.clone()) };
                self.put(Record { state, ..record }).await.map_err(disk)?;
                Ok(worktree)
            }
            Err(error) => {
                // The record goes last: what cannot be removed now, the next start removes.
                if let Err(left) = self.settle(record, repos, shims).await {
                    tracing::warn!(path = %path.display(), error = %left, "what is left of a worktree that was not made stays for now");
                }
                Err(error)
            }
        }
    }

    pub(super) async fn put(&self, record: Record) -> std::io::Result<()> {
        let this = self.clone();
        blocking::run(move || this.write(&record)).await
    }
}
