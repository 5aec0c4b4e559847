//! What is kept of an attempt while it runs and when it ends, so that another can go on from it.

use serde::{Deserialize, Serialize};

use crate::{BranchName, Timestamp};

/// An attempt's work and conversation, as they were at one time. The newest of an attempt counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Counted from 1 within the attempt; names the files that go with it.
    pub number: u32,
    /// By the worker's clock.
    pub taken_at: Timestamp,
    /// The agent's own conversation id, by which it can be resumed.
    pub agent_session: Option<String>,
    /// The branch the work was done on.
    pub branch: Option<BranchName>,
    /// The work; `None`: nothing had changed since the start.
    pub snapshot: Option<Snapshot>,
    /// A file holds the agent's conversation.
    pub has_transcript: bool,
}

/// A worktree as a commit, uncommitted changes and new files included. All are full commit ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What the work started from; `None` in a workspace without a repository.
    pub base: Option<String>,
    /// The newest of the agent's own commits; `None` in a workspace without a repository.
    pub tip: Option<String>,
    /// The whole worktree, as a child of `tip`.
    pub commit: String,
}
