//! What is written down of a worktree made by hand.

use std::path::PathBuf;

use factory_domain::{AttemptId, BranchName, RepoSource, Timestamp};
use serde::{Deserialize, Serialize};

use crate::worktree::Worktree;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub source: RepoSource,
    pub branch: BranchName,
    pub path: PathBuf,
    /// By this host's clock.
    pub made_at: Timestamp,
    /// Marks the processes that make it, as an attempt's does its own.
    pub maker: AttemptId,
    pub state: State,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum State {
    /// It may be there, half made.
    Making,
    Made {
        worktree: Box<Worktree>,
    },
    /// It may be there, half removed. Nothing in it is wanted any more.
    Removing {
        worktree: Box<Worktree>,
    },
}

impl Record {
    /// Once it is whole, and until its removal begins.
    pub fn worktree(&self) -> Option<&Worktree> {
        match &self.state {
            State::Made { worktree } => Some(worktree),
            State::Making | State::Removing { .. } => None,
        }
    }
}
