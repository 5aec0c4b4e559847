//! Repositories: what they are called, where they are, and what is done about them at workers.

mod add;
mod book;
mod jobs;
mod list;
mod sync;
mod worktrees;

pub use add::WantedRepo;
pub(crate) use book::RepoBook;
pub(crate) use jobs::Jobs;
pub use jobs::{JobError, RepoJob, RepoJobFailure, RepoJobOutcome, RepoTask};
pub use list::{CopyView, RepoView, WorktreeView, WorktreesRequest};
pub use worktrees::{WantedWorktree, WhichWorktree};
