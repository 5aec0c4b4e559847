//! Worktrees that people make and remove by hand.

use std::cmp::Reverse;

use factory_domain::{BranchName, RepoSource, RevisionName};

use super::jobs::{JobError, RepoJobFailure, RepoJobOutcome, RepoTask};
use super::list::{WorktreeView, WorktreesRequest};
use crate::app::fleet::Keeper;
use crate::app::{App, Error};
use crate::store::{DiskChange, Inventory, WorktreeFilter, WorktreeKind, WorktreeRow};

/// A worktree as someone wants it. Empty texts: not given.
#[derive(Debug, Default)]
pub struct WantedWorktree {
    pub repo: String,
    pub branch: String,
    /// Where a new branch starts.
    pub base: String,
    /// Name, id or the beginning of either.
    pub worker: String,
}

/// The one worktree of a branch; the worker is needed where several hosts have one.
#[derive(Debug, Default)]
pub struct WhichWorktree {
    pub repo: String,
    pub branch: String,
    /// Empty: not given.
    pub worker: String,
}

impl App {
    /// Makes it, unless it is there already, which is the second answer.
    pub async fn add_worktree(&self, wanted: WantedWorktree) -> Result<(WorktreeView, bool), Error> {
        let source = self.find_repo(&wanted.repo)?;
        let branch = read_branch(&wanted.branch)?;
        let base = match wanted.base.as_str() {
            "" => None,
            base => Some(RevisionName::parse(base).map_err(|error| Error::invalid("base", error))?),
        };
        let before = self.worktrees_of(&source, &branch).await?;
        let mut last = Error::from(JobError::NobodyThere);
        for keeper in self.places_for_worktree(&source, &before, &wanted.worker).await? {
            let task = RepoTask::MakeWorktree { branch: branch.clone(), base: base.clone() };
            match self.repo_job(&keeper, &source, task).await {
                Ok(RepoJobOutcome::Worktree(worktree)) => {
                    let path = worktree.path.clone();
                    let existed =
                        before.iter().any(|row| row.worker == keeper.worker && row.entry.path == path);
                    self.store.note_on_disk(keeper.worker, DiskChange::Worktree(worktree)).await?;
                    let rows = self.worktrees_of(&source, &branch).await?;
                    let made =
                        rows.into_iter().find(|row| row.entry.path == path && row.worker == keeper.worker);
                    let made = made.ok_or_else(|| no_worktree(&source, &branch))?;
                    return Ok((self.worktree_view(made), existed));
                }
                Ok(_) => last = JobError::Lost(keeper.name).into(),
                // A path may be another host's.
                Err(error) if matches!(source, RepoSource::Path(_)) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    pub async fn worktree(&self, which: &WhichWorktree) -> Result<WorktreeView, Error> {
        let source = self.find_repo(&which.repo)?;
        let branch = read_branch(&which.branch)?;
        let request = WorktreesRequest {
            repo: which.repo.clone(),
            worker: which.worker.clone(),
            branch: which.branch.clone(),
        };
        let mut found = self.worktrees(request).await?;
        match found.len() {
            0 | 1 => found.pop().ok_or_else(|| no_worktree(&source, &branch)),
            _ => {
                let hosts: Vec<_> = found.iter().map(|found| found.row.worker_name.as_str()).collect();
                let why =
                    format!("is missing: {} have a worktree of `{branch}`; name one", hosts.join(" and "));
                Err(Error::invalid("worker", why))
            }
        }
    }

    /// Removes it; answers with what it was. `force` also where work in it is saved nowhere else, but never
    /// under a task that works in it.
    pub async fn remove_worktree(&self, which: &WhichWorktree, force: bool) -> Result<WorktreeView, Error> {
        let worktree = self.worktree(which).await?;
        let row = &worktree.row;
        // The worker may not have looked since the task ended; then it knows best what is in there.
        let live = |state: &str| !matches!(state, "succeeded" | "failed" | "cancelled");
        if let (WorktreeKind::Attempt, Some((number, state))) = (row.entry.kind, &row.task)
            && live(state)
        {
            return Err(Error::WorktreeInUse {
                branch: row.entry.branch.clone(),
                task: *number,
                state: state.clone(),
            });
        }
        let source = RepoSource::parse(&row.entry.source).map_err(|error| Error::invalid("repo", error))?;
        let keeper = self.fleet.keeper_of(row.worker, &row.worker_name)?;
        let branch = read_branch(&row.entry.branch)?;
        let removed = self.repo_job(&keeper, &source, RepoTask::DeleteWorktree { branch, force }).await;
        removed.map_err(|error| match error {
            Error::RepoJob(JobError::Failed { kind: RepoJobFailure::Refused, message, .. }) if !force => {
                Error::WorktreeRefused(message)
            }
            error => error,
        })?;
        self.store.note_on_disk(row.worker, DiskChange::WorktreeGone(row.entry.path.clone())).await?;
        tracing::info!(path = row.entry.path, worker = row.worker_name, force, "worktree removed");
        Ok(worktree)
    }

    /// What a worker says of its disk. One of an older session is not heard.
    pub async fn keep_inventory(
        &self,
        worker: factory_domain::WorkerId,
        session: factory_domain::SessionId,
        inventory: Inventory,
    ) -> Result<(), Error> {
        let kept = self.store.keep_inventory(worker, session, inventory).await?;
        if kept { Ok(()) } else { Err(Error::SessionOver) }
    }

    async fn worktrees_of(
        &self,
        source: &RepoSource,
        branch: &BranchName,
    ) -> Result<Vec<WorktreeRow>, Error> {
        let (repo, branch) = (Some(source.identity()), Some(branch.to_string()));
        Ok(self.store.worktrees(WorktreeFilter { repo, worker: None, branch }).await?)
    }

    /// Where one may be made, the best first: the worker named; who has one of the branch; who has the
    /// repository, with the most room; any other.
    async fn places_for_worktree(
        &self,
        source: &RepoSource,
        before: &[WorktreeRow],
        worker: &str,
    ) -> Result<Vec<Keeper>, Error> {
        if !worker.is_empty() {
            let row = self.find_worker(worker).await?;
            return Ok(vec![self.fleet.keeper_of(row.entry.id, &row.entry.name)?]);
        }
        let copies = self.store.repo_copies(Some(source.identity())).await?;
        let workers = self.store.workers().await?;
        let mut keepers = self.fleet.keepers();
        keepers.sort_by_key(|keeper| {
            let has_one = before.iter().any(|row| row.worker == keeper.worker);
            let has_clone = copies.iter().any(|copy| copy.worker == keeper.worker);
            let row = workers.iter().find(|row| row.entry.id == keeper.worker);
            Reverse((has_one, has_clone, row.map_or(0, |row| row.entry.free_disk)))
        });
        Ok(keepers)
    }
}

fn read_branch(branch: &str) -> Result<BranchName, Error> {
    BranchName::parse(branch).map_err(|error| Error::invalid("branch", error))
}

fn no_worktree(source: &RepoSource, branch: &BranchName) -> Error {
    Error::NoSuchWorktree { repo: source.to_string(), branch: branch.to_string() }
}
