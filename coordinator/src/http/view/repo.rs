use serde::Serialize;
use utoipa::ToSchema;

use super::utc;
use crate::app::{App, CopyView, RepoView, WorktreeView};
use crate::store::WorktreeKind;

/// A repository.
#[derive(Debug, Serialize, ToSchema)]
pub struct Repo {
    /// By which tasks can name it.
    name: String,
    /// Where it is at the host of `owner/repo`; `null` where it is elsewhere, as `repo`.
    owner: Option<String>,
    repo: Option<String>,
    /// What git fetches from, or an absolute path.
    source: String,
    /// As the remote said last.
    default_branch: Option<String>,
    /// Every worker that has a clone has fetched it, and no fetch failed last.
    synced: bool,
    /// When a worker fetched it last.
    synced_at: Option<String>,
    /// It stands in the coordinator's configuration.
    configured: bool,
    /// The role of tasks that name none.
    default_role: Option<String>,
    /// `null` where it was never added, and stands in the configuration or is known by a worker's clone.
    added_at: Option<String>,
    /// One for each worker that has a clone.
    copies: Vec<RepoCopy>,
    worktrees: u32,
    /// Tasks of it that have not ended.
    live_tasks: u64,
}

/// A worker's clone.
#[derive(Debug, Serialize, ToSchema)]
pub struct RepoCopy {
    worker: String,
    worker_id: String,
    source: String,
    fetched_at: Option<String>,
    bytes: u64,
    default_branch: Option<String>,
    /// Full commit id of the default branch.
    head: Option<String>,
    /// What the last fetch failed of.
    error: Option<String>,
    /// The worker's session is open now.
    connected: bool,
}

/// A worktree on a worker's host.
#[derive(Debug, Serialize, ToSchema)]
pub struct Worktree {
    worker: String,
    worker_id: String,
    /// The repository, as tasks' are listed.
    repo: String,
    /// On the worker's host.
    path: String,
    /// `null`: none is checked out.
    branch: Option<String>,
    kind: WorktreeIs,
    /// Number of the task that it belongs to.
    task: Option<u64>,
    task_id: Option<String>,
    /// The task's, as `state` of a task.
    task_state: Option<String>,
    attempt_id: Option<String>,
    /// Full commit id.
    head: Option<String>,
    /// Nothing in it is saved nowhere else.
    clean: bool,
    /// Files changed or new that no commit has.
    uncommitted: u32,
    /// Commits that neither the origin nor the coordinator has.
    unsaved_commits: u32,
    bytes: u64,
    made_at: String,
    /// When the worker looked.
    seen_at: String,
    /// The worker's session is open now.
    connected: bool,
}

/// Whose a worktree is: a live attempt's, kept of one that ended for what is in it, or made by hand.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum WorktreeIs {
    Attempt,
    Kept,
    ByHand,
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl Repo {
    pub fn new(app: &App, view: RepoView) -> Self {
        let fetched = view.copies.iter().filter_map(|copy| copy.row.entry.fetched_at);
        let good = |copy: &CopyView| copy.row.entry.fetched_at.is_some() && copy.row.entry.error.is_empty();
        let (owner, repo) = app.owner_and_name(&view.source).unzip();
        Self {
            owner,
            repo,
            source: view.source.to_string(),
            default_branch: view.default_branch().map(str::to_owned),
            synced: !view.copies.is_empty() && view.copies.iter().all(good),
            synced_at: fetched.max().map(utc),
            name: view.name,
            configured: view.configured,
            default_role: view.default_role.map(String::from),
            added_at: view.added_at.map(utc),
            copies: view.copies.into_iter().map(RepoCopy::from).collect(),
            worktrees: view.worktrees,
            live_tasks: view.live_tasks,
        }
    }

    /// Where REST has it.
    pub fn address(&self) -> String {
        let (owner, name) = match (&self.owner, &self.repo) {
            (Some(owner), Some(repo)) => (owner.as_str(), repo),
            _ => ("-", &self.name),
        };
        let escaped = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
            let each =
                |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
            text.bytes().map(each).collect::<String>()
        };
        format!("/api/factory/repos/{}/{}", escaped(owner), escaped(name))
    }
}

impl From<CopyView> for RepoCopy {
    fn from(CopyView { row, connected }: CopyView) -> Self {
        Self {
            worker: row.worker_name,
            worker_id: row.worker.to_string(),
            source: row.entry.source,
            fetched_at: row.entry.fetched_at.map(utc),
            bytes: row.entry.bytes,
            default_branch: some(row.entry.default_branch),
            head: some(row.entry.head),
            error: some(row.entry.error),
            connected,
        }
    }
}

impl From<WorktreeView> for Worktree {
    fn from(WorktreeView { row, connected }: WorktreeView) -> Self {
        let (task, task_state) = row.task.unzip();
        let entry = row.entry;
        Self {
            worker: row.worker_name,
            worker_id: row.worker.to_string(),
            repo: row.repo,
            path: entry.path,
            branch: some(entry.branch),
            kind: match entry.kind {
                WorktreeKind::Attempt => WorktreeIs::Attempt,
                WorktreeKind::Kept => WorktreeIs::Kept,
                WorktreeKind::ByHand => WorktreeIs::ByHand,
            },
            task,
            task_id: entry.task.map(|id| id.to_string()),
            task_state,
            attempt_id: entry.attempt.map(|id| id.to_string()),
            head: some(entry.head),
            clean: entry.uncommitted == 0 && entry.unsaved_commits == 0,
            uncommitted: entry.uncommitted,
            unsaved_commits: entry.unsaved_commits,
            bytes: entry.bytes,
            made_at: utc(entry.made_at),
            seen_at: utc(entry.seen_at),
            connected,
        }
    }
}
