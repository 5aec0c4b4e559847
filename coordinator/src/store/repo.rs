//! Repositories that have a name, and what lies on the workers' disks.

use async_trait::async_trait;
use factory_domain::{AttemptId, RepoSource, SessionId, Slug, TaskId, Timestamp, WorkerId};
use serde::{Deserialize, Serialize};

use super::StoreError;

#[async_trait]
pub trait RepoStore: Send + Sync {
    /// Gives a repository a name. Where it has one already, that is the answer, and nothing is changed.
    async fn add_repo(&self, repo: AddedRepo) -> Result<RepoAdded, StoreError>;

    /// `false`: it was never added.
    async fn remove_repo(&self, name: String) -> Result<bool, StoreError>;

    /// Those added, by name.
    async fn added_repos(&self) -> Result<Vec<AddedRepo>, StoreError>;

    /// Replaces what the worker said before. `false`: this is not its newest session, and nothing is changed.
    async fn keep_inventory(
        &self,
        worker: WorkerId,
        session: SessionId,
        inventory: Inventory,
    ) -> Result<bool, StoreError>;

    /// One thing that changed on a worker's disk, until its next inventory says all of it.
    async fn note_on_disk(&self, worker: WorkerId, change: DiskChange) -> Result<(), StoreError>;

    /// Clones, by worker; of one repository, where that is given as [`RepoSource::identity`] has it.
    async fn repo_copies(&self, repo: Option<String>) -> Result<Vec<CopyRow>, StoreError>;

    /// By repository, branch and worker.
    async fn worktrees(&self, filter: WorktreeFilter) -> Result<Vec<WorktreeRow>, StoreError>;

    /// How many tasks of each repository have not ended; those that have none are left out.
    async fn live_tasks_of_repos(&self) -> Result<Vec<(String, u64)>, StoreError>;
}

/// A repository with the name that someone gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedRepo {
    pub name: String,
    pub source: RepoSource,
    pub default_role: Option<Slug>,
    pub added_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepoAdded {
    New,
    /// The repository has this name already, as it was given.
    Known(AddedRepo),
    /// The name is another repository's.
    NameTaken(AddedRepo),
}

/// All that a worker has on its disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    pub copies: Vec<CopyEntry>,
    pub worktrees: Vec<WorktreeEntry>,
}

/// A clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CopyEntry {
    /// What git fetches from.
    pub source: String,
    pub fetched_at: Option<Timestamp>,
    pub bytes: u64,
    /// Empty where they are not known, both.
    pub default_branch: String,
    pub head: String,
    /// What the last fetch failed of; empty: it did not.
    pub error: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorktreeKind {
    /// A live attempt's.
    Attempt,
    /// Of an attempt that ended, kept for what is in it.
    Kept,
    /// Made by hand.
    ByHand,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorktreeEntry {
    pub path: String,
    /// What its clone fetches from.
    pub source: String,
    /// Empty: none is checked out.
    pub branch: String,
    pub kind: WorktreeKind,
    pub task: Option<TaskId>,
    pub attempt: Option<AttemptId>,
    pub head: String,
    /// Files changed or new that no commit has.
    pub uncommitted: u32,
    /// Commits that are nowhere else.
    pub unsaved_commits: u32,
    pub bytes: u64,
    pub made_at: Timestamp,
    pub seen_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskChange {
    Copy(CopyEntry),
    /// By what it was cloned from.
    CopyGone(String),
    Worktree(WorktreeEntry),
    /// By its path.
    WorktreeGone(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRow {
    pub worker: WorkerId,
    pub worker_name: String,
    /// As [`RepoSource::identity`] has it.
    pub repo: String,
    pub entry: CopyEntry,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeRow {
    pub worker: WorkerId,
    pub worker_name: String,
    /// As [`RepoSource::identity`] has it.
    pub repo: String,
    pub entry: WorktreeEntry,
    /// Number and state of its task, where that is known here.
    pub task: Option<(u64, String)>,
}

#[derive(Debug, Clone, Default)]
pub struct WorktreeFilter {
    /// As [`RepoSource::identity`] has it.
    pub repo: Option<String>,
    pub worker: Option<WorkerId>,
    pub branch: Option<String>,
}

/// As tasks name the repository that is fetched from `source`.
pub fn identity(source: &str) -> String {
    RepoSource::parse(source).map_or_else(|_| source.to_owned(), |source| source.identity())
}
