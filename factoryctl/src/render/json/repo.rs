//! Repositories and worktrees.

use factory_proto::v1;
use serde::Serialize;

use super::some;
use crate::render::units::rfc3339;
use crate::render::{repo, worktree};

#[derive(Debug, Serialize)]
pub struct RepoView<'a> {
    pub name: &'a str,
    pub source: &'a str,
    pub configured: bool,
    pub default_branch: Option<&'a str>,
    pub default_role: Option<&'a str>,
    /// Null where it was never added.
    pub added_at: Option<String>,
    /// Every clone was fetched, and no fetch failed last.
    pub synced: bool,
    pub copies: Vec<CopyView<'a>>,
    pub worktrees: u32,
    pub live_tasks: u64,
}

#[derive(Debug, Serialize)]
pub struct CopyView<'a> {
    pub worker: &'a str,
    pub worker_id: &'a str,
    pub source: &'a str,
    pub fetched_at: Option<String>,
    pub bytes: u64,
    pub default_branch: Option<&'a str>,
    pub head: Option<&'a str>,
    pub error: Option<&'a str>,
    pub connected: bool,
}

#[derive(Debug, Serialize)]
pub struct SyncFailureView<'a> {
    pub worker: &'a str,
    pub worker_id: &'a str,
    pub message: &'a str,
}

#[derive(Debug, Serialize)]
pub struct WorktreeView<'a> {
    pub worker: &'a str,
    pub worker_id: &'a str,
    pub repo: &'a str,
    pub path: &'a str,
    pub branch: Option<&'a str>,
    /// `attempt`, `kept` or `by_hand`.
    pub kind: &'static str,
    pub task: Option<u64>,
    pub task_id: Option<&'a str>,
    pub task_state: Option<&'static str>,
    pub head: Option<&'a str>,
    /// Nothing in it is saved nowhere else.
    pub clean: bool,
    pub uncommitted: u32,
    pub unsaved_commits: u32,
    pub bytes: u64,
    pub made_at: Option<String>,
    pub seen_at: Option<String>,
    pub connected: bool,
}

impl<'a> From<&'a v1::Repo> for RepoView<'a> {
    fn from(repo: &'a v1::Repo) -> Self {
        Self {
            name: &repo.name,
            source: &repo.source,
            configured: repo.configured,
            default_branch: some(&repo.default_branch),
            default_role: some(&repo.default_role),
            added_at: rfc3339(repo.added_at_ms),
            synced: repo::is_synced(repo),
            copies: repo.copies.iter().map(CopyView::from).collect(),
            worktrees: repo.worktrees,
            live_tasks: repo.live_tasks,
        }
    }
}

impl<'a> From<&'a v1::RepoCopy> for CopyView<'a> {
    fn from(copy: &'a v1::RepoCopy) -> Self {
        Self {
            worker: &copy.worker_name,
            worker_id: &copy.worker_id,
            source: &copy.source,
            fetched_at: rfc3339(copy.fetched_at_ms),
            bytes: copy.bytes,
            default_branch: some(&copy.default_branch),
            head: some(&copy.head),
            error: some(&copy.error),
            connected: copy.connected,
        }
    }
}

impl<'a> From<&'a v1::SyncFailure> for SyncFailureView<'a> {
    fn from(failure: &'a v1::SyncFailure) -> Self {
        Self { worker: &failure.worker_name, worker_id: &failure.worker_id, message: &failure.message }
    }
}

impl<'a> From<&'a v1::Worktree> for WorktreeView<'a> {
    fn from(tree: &'a v1::Worktree) -> Self {
        Self {
            worker: &tree.worker_name,
            worker_id: &tree.worker_id,
            repo: &tree.repo,
            path: &tree.path,
            branch: some(&tree.branch),
            kind: worktree::kind(tree),
            task: Some(tree.task_number).filter(|number| *number > 0),
            task_id: some(&tree.task_id),
            task_state: Some(tree.task_state().name()).filter(|state| !state.is_empty()),
            head: some(&tree.head),
            clean: tree.uncommitted == 0 && tree.unsaved_commits == 0,
            uncommitted: tree.uncommitted,
            unsaved_commits: tree.unsaved_commits,
            bytes: tree.bytes,
            made_at: rfc3339(tree.made_at_ms),
            seen_at: rfc3339(tree.seen_at_ms),
            connected: tree.connected,
        }
    }
}
