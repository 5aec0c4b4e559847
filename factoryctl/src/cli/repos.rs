//! What is asked about repositories and their worktrees, as typed.

use clap::{Args, Subcommand};

/// Repositories: their names, and their clones on the workers' hosts
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl repos list
  factoryctl repos add octo/app                          looks for it first, at a connected worker
  factoryctl repos add git@example.com:team/app.git --name app --default-role coder
  factoryctl submit \"Fix the login\" --repo app
  factoryctl repos sync app                              fetch now, on every host that has it")]
pub struct Repos {
    #[command(subcommand)]
    pub command: Option<ReposCommand>,
}

#[derive(Debug, Default, Subcommand)]
pub enum ReposCommand {
    /// List the repositories: their names, and who has them
    #[default]
    List,
    /// Show one repository, with its clone on each host
    #[command(after_help = "\
Examples:
  factoryctl repos show octo/app
  factoryctl repos show app -o json | jq '.copies[] | select(.error)'")]
    Show(RepoName),
    /// Give a repository a name, once a worker has found it
    #[command(after_help = "\
Examples:
  factoryctl repos add octo/app
  factoryctl repos add app                               of the default organisation
  factoryctl repos add https://example.com/team/app.git --name app
  factoryctl repos add . --clone                         this one; cloned at every connected worker now

Adding one again changes nothing. Names of the coordinator's configuration ([repos]) need no adding.")]
    Add(AddRepo),
    /// Fetch now, at every connected worker that has it
    #[command(after_help = "\
Examples:
  factoryctl repos sync octo/app
  factoryctl repos sync octo/app --worker anvil --worker bench")]
    Sync(SyncRepo),
    /// Forget a repository, and remove its clones from connected workers
    #[command(after_help = "\
Examples:
  factoryctl repos remove octo/app

Refused while tasks of it have not ended, or worktrees of it are left.")]
    Remove(RepoName),
}

#[derive(Debug, Args)]
pub struct RepoName {
    /// A name that `repos list` shows, owner/name, a URL or a path
    pub repo: String,
}

#[derive(Debug, Args)]
pub struct AddRepo {
    /// owner/name, a short name of the default organisation, a URL or a path
    pub repo: String,
    /// What tasks can call it [default: owner/name, or the last part of the URL or path]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The role of its tasks that name none
    #[arg(long, value_name = "ROLE")]
    pub default_role: Option<String>,
    /// Do not look whether it is there
    #[arg(long)]
    pub unchecked: bool,
    /// Clone it now, at every connected worker
    #[arg(long)]
    pub clone: bool,
}

#[derive(Debug, Args)]
pub struct SyncRepo {
    #[command(flatten)]
    pub name: RepoName,
    /// At this worker, by name, id or the beginning of either; repeatable [default: all that have it]
    #[arg(long = "worker", value_name = "WORKER")]
    pub workers: Vec<String>,
}

/// Worktrees on all hosts: those of tasks, and those made by hand
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl worktrees list --repo octo/app
  factoryctl worktrees add octo/app feat-auth-fix
  factoryctl submit \"Finish it\" --repo octo/app --branch feat-auth-fix     works in it, on that host
  factoryctl worktrees remove octo/app feat-auth-fix")]
pub struct Worktrees {
    #[command(subcommand)]
    pub command: Option<WorktreesCommand>,
}

#[derive(Debug, Subcommand)]
pub enum WorktreesCommand {
    /// List the worktrees of all hosts, also of those that are away, as they said last
    #[command(after_help = "\
Examples:
  factoryctl worktrees list
  factoryctl worktrees list --worker anvil
  factoryctl worktrees list -o jsonl | jq -r 'select(.clean | not).path'")]
    List(WorktreeList),
    /// Show one worktree
    #[command(after_help = "\
Examples:
  factoryctl worktrees show octo/app feat-auth-fix")]
    Show(WorktreeName),
    /// Make a worktree of a branch, for yourself or for a task to come
    #[command(after_help = "\
Examples:
  factoryctl worktrees add octo/app feat-auth-fix
  factoryctl worktrees add octo/app feat-auth-fix --base develop --worker anvil

It is made on the host that has the repository, with the most room. A task with that branch on that host works in it.")]
    Add(AddWorktree),
    /// Remove a worktree; refused where work in it is saved nowhere else
    #[command(after_help = "\
Examples:
  factoryctl worktrees remove octo/app feat-auth-fix
  factoryctl worktrees remove octo/app feat-auth-fix --force     also its unsaved work

A worktree that a task works in is never removed: cancel the task first.")]
    Remove(RemoveWorktree),
}

impl Default for WorktreesCommand {
    fn default() -> Self {
        Self::List(WorktreeList::default())
    }
}

#[derive(Debug, Default, Args)]
pub struct WorktreeList {
    /// Of this repository only
    #[arg(long, value_name = "REPO")]
    pub repo: Option<String>,
    /// At this worker only, by name, id or the beginning of either
    #[arg(long, value_name = "WORKER")]
    pub worker: Option<String>,
    /// Of this branch only
    #[arg(long, value_name = "BRANCH")]
    pub branch: Option<String>,
}

#[derive(Debug, Args)]
pub struct WorktreeName {
    #[command(flatten)]
    pub repo: RepoName,
    /// Its branch
    pub branch: String,
    /// Where several hosts have one of the branch: the worker, by name, id or the beginning of either
    #[arg(long, value_name = "WORKER")]
    pub worker: Option<String>,
}

#[derive(Debug, Args)]
pub struct AddWorktree {
    #[command(flatten)]
    pub name: WorktreeName,
    /// Where a new branch starts [default: the default branch]
    #[arg(long, value_name = "REVISION")]
    pub base: Option<String>,
}

#[derive(Debug, Args)]
pub struct RemoveWorktree {
    #[command(flatten)]
    pub name: WorktreeName,
    /// Also where it holds work that is saved nowhere else
    #[arg(long)]
    pub force: bool,
}
