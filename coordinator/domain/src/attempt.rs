//! One try at a task, and what is known of it at its end.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{BranchName, Outcome};

/// Where an attempt stands. The first four are live; a task has at most one live attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    Offered,
    Accepted,
    Running,
    Unreachable,
    /// Declined, lapsed or withdrawn before it was accepted. Costs the task nothing.
    Returned,
    Succeeded,
    Failed,
    Cancelled,
    Lost,
    /// Its agent asked something and ended its turn.
    Asked,
}

impl AttemptState {
    pub const ALL: [Self; 10] = [
        Self::Offered,
        Self::Accepted,
        Self::Running,
        Self::Unreachable,
        Self::Returned,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Lost,
        Self::Asked,
    ];

    pub const fn is_live(self) -> bool {
        matches!(self, Self::Offered | Self::Accepted | Self::Running | Self::Unreachable)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::Accepted => "accepted",
            Self::Running => "running",
            Self::Unreachable => "unreachable",
            Self::Returned => "returned",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Asked => "asked",
        }
    }
}

impl fmt::Display for AttemptState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown attempt state `{0}`")]
pub struct UnknownAttemptState(String);

impl FromStr for AttemptState {
    type Err = UnknownAttemptState;

    fn from_str(name: &str) -> Result<Self, UnknownAttemptState> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or_else(|| UnknownAttemptState(name.to_owned()))
    }
}

/// What a worker says of an attempt that ended. Kept whole with the attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub outcome: Outcome,
    /// The agent's closing words.
    pub result_text: String,
    pub usage: Usage,
    /// The agent's own conversation id, by which it can be resumed.
    pub agent_session: Option<String>,
    pub exit_code: Option<i32>,
    /// What the work started from, as a full commit id.
    pub base_commit: Option<String>,
    pub branch: Option<BranchName>,
    /// Newest first, at most [`Report::MAX_COMMITS`].
    pub commits: Vec<Commit>,
    pub diff_stat: DiffStat,
    pub delivery: Delivery,
    /// Records in the attempt's log, so that its end is known.
    pub log_records: u64,
    /// What the agent answered by the task's schema, as JSON text.
    #[serde(default)]
    pub structured_output: Option<String>,
}

impl Report {
    pub const MAX_COMMITS: usize = 200;
}

/// What the agent used. Zero where the agent does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Millionths of a US dollar.
    pub cost_micro_usd: u64,
    pub turns: u32,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
    pub model: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Full commit id.
    pub id: String,
    pub subject: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffStat {
    pub files: u32,
    pub insertions: u32,
    pub deletions: u32,
}

/// Where an attempt's commits went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Delivery {
    /// There was nothing to deliver, or none was asked for.
    None,
    /// The branch is in the origin.
    Pushed,
    /// The origin did not take the branch; the commits are kept as a git bundle with the coordinator.
    Bundled { why: String },
}
