//! A task's states and the events that move it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{AttemptId, DependencyPolicy, Lease, QuestionId, TaskId, Timestamp, WorkerId};

/// Where a task stands, with what is only true there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TaskState {
    /// Waits for tasks that must have ended before it, or for someone to let it go.
    Blocked,
    /// Waits for a worker.
    Queued,
    /// A worker has been offered it, or has accepted it and prepares.
    Leased {
        lease: Lease,
    },
    /// Its agent runs.
    Running {
        lease: Lease,
    },
    /// Someone asked for its end; the worker has not confirmed yet.
    Cancelling {
        lease: Lease,
    },
    /// Waits for a time.
    Parked {
        until: Timestamp,
        why: ParkReason,
    },
    /// Its agent asked something and ended its turn; the answer sends it back to the queue.
    Waiting,
    Succeeded {
        attempt: AttemptId,
    },
    Failed {
        attempt: AttemptId,
        failure: Failure,
    },
    Cancelled {
        #[serde(default)]
        because: CancelReason,
    },
}

impl TaskState {
    /// The names of all states, in the order a task may pass them.
    pub const NAMES: [&'static str; 10] = [
        "blocked",
        "queued",
        "leased",
        "running",
        "cancelling",
        "parked",
        "waiting",
        "succeeded",
        "failed",
        "cancelled",
    ];

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Queued => "queued",
            Self::Leased { .. } => "leased",
            Self::Running { .. } => "running",
            Self::Cancelling { .. } => "cancelling",
            Self::Parked { .. } => "parked",
            Self::Waiting => "waiting",
            Self::Succeeded { .. } => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Cancelled { .. } => "cancelled",
        }
    }

    pub const fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded { .. } | Self::Failed { .. } | Self::Cancelled { .. })
    }

    /// The lease of the live attempt, where there is one.
    pub const fn lease(&self) -> Option<&Lease> {
        match self {
            Self::Leased { lease } | Self::Running { lease } | Self::Cancelling { lease } => Some(lease),
            _ => None,
        }
    }
}

/// Why a task was cancelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum CancelReason {
    /// Someone asked for it.
    #[default]
    Requested,
    /// A task that it waited for did not succeed.
    DependencyFailed { task: TaskId },
    /// The same, and it is left out: what waits for it goes on.
    Skipped { task: TaskId },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ParkReason {
    /// The pause before the next try, after this failure.
    Backoff { failure: Failure },
    /// The account behind the agent gives nothing more until its limit is reset.
    UsageLimit { failure: Failure },
}

impl ParkReason {
    /// What ended the attempt before.
    pub const fn failure(&self) -> &Failure {
        match self {
            Self::Backoff { failure } | Self::UsageLimit { failure } => failure,
        }
    }
}

/// Why an attempt, and with the last of them its task, failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub reason: FailureReason,
    /// One or two sentences for people: the thing, the cause, the next step.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The agent ended in an error of its own.
    AgentError,
    /// The model's API refused or failed for good.
    ApiError,
    /// The agent's login or key was refused.
    AuthFailed,
    /// The account behind the agent gives nothing more for now.
    UsageLimit,
    TimeoutTotal,
    TimeoutIdle,
    Budget,
    /// The set-up script failed or ran out of time.
    SetupFailed,
    /// The repository could not be reached.
    RepositoryUnavailable,
    /// The base named is not in the repository.
    BaseNotFound,
    /// The branches of its dependencies do not merge.
    MergeConflict,
    /// The task cannot be run as it was given.
    Rejected,
    /// The agent's program could not be started.
    AgentUnavailable,
    /// The worker was not heard of for too long.
    WorkerLost,
    /// The worker could not do its part: disk, git, a dead shim.
    WorkerError,
}

/// What a failure says about trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// Counts against the task's own tries.
    Agent,
    /// The factory's own trouble: bounded separately, never at the task's cost.
    Infrastructure,
    /// Trying again cannot help.
    Final,
}

impl FailureReason {
    pub const ALL: [Self; 15] = [
        Self::AgentError,
        Self::ApiError,
        Self::AuthFailed,
        Self::UsageLimit,
        Self::TimeoutTotal,
        Self::TimeoutIdle,
        Self::Budget,
        Self::SetupFailed,
        Self::RepositoryUnavailable,
        Self::BaseNotFound,
        Self::MergeConflict,
        Self::Rejected,
        Self::AgentUnavailable,
        Self::WorkerLost,
        Self::WorkerError,
    ];

    pub const fn class(self) -> FailureClass {
        match self {
            Self::AgentError
            | Self::ApiError
            | Self::UsageLimit
            | Self::TimeoutTotal
            | Self::TimeoutIdle
            | Self::SetupFailed => FailureClass::Agent,
            Self::RepositoryUnavailable | Self::AgentUnavailable | Self::WorkerLost | Self::WorkerError => {
                FailureClass::Infrastructure
            }
            Self::AuthFailed | Self::Budget | Self::BaseNotFound | Self::MergeConflict | Self::Rejected => {
                FailureClass::Final
            }
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentError => "agent_error",
            Self::ApiError => "api_error",
            Self::AuthFailed => "auth_failed",
            Self::UsageLimit => "usage_limit",
            Self::TimeoutTotal => "timeout_total",
            Self::TimeoutIdle => "timeout_idle",
            Self::Budget => "budget",
            Self::SetupFailed => "setup_failed",
            Self::RepositoryUnavailable => "repository_unavailable",
            Self::BaseNotFound => "base_not_found",
            Self::MergeConflict => "merge_conflict",
            Self::Rejected => "rejected",
            Self::AgentUnavailable => "agent_unavailable",
            Self::WorkerLost => "worker_lost",
            Self::WorkerError => "worker_error",
        }
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown failure reason `{0}`")]
pub struct UnknownFailureReason(String);

impl FromStr for FailureReason {
    type Err = UnknownFailureReason;

    fn from_str(name: &str) -> Result<Self, UnknownFailureReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .ok_or_else(|| UnknownFailureReason(name.to_owned()))
    }
}

/// How an attempt ended, by its worker's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    Succeeded,
    Failed {
        failure: Failure,
    },
    /// The account behind the agent reached a usage or rate limit. Trying again before
    /// `until` cannot help; trying again then costs the task nothing.
    Limited {
        failure: Failure,
        until: Timestamp,
    },
    /// The agent was ended because that was asked for.
    Cancelled,
    /// The worker stops, and ended the agent for that. Its work is saved; another goes on with it.
    HandedOver,
    /// The agent asked something and ended its turn. Its work is saved; the answer sends it on.
    Asked,
}

/// What can happen to a task. Each names the attempt it is about, where it is about one.
///
/// Kept whole in the feed, under the tag that [`Event::name`] gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Event {
    Offered {
        attempt: AttemptId,
        worker: WorkerId,
    },
    Accepted {
        attempt: AttemptId,
    },
    /// The offer came back before it was accepted.
    Returned {
        attempt: AttemptId,
        why: ReturnReason,
    },
    Started {
        attempt: AttemptId,
    },
    /// The lease ran out without a heartbeat.
    ContactLost {
        attempt: AttemptId,
    },
    /// A heartbeat came after all.
    ContactRegained {
        attempt: AttemptId,
    },
    /// The attempt was out of contact for so long that it is given up.
    Lost {
        attempt: AttemptId,
    },
    /// The worker's report.
    Ended {
        attempt: AttemptId,
        outcome: Outcome,
    },
    CancelRequested,
    /// The time a parked task waits for has come.
    Woken,
    /// All that it waited for has ended, and lets it run.
    Unblocked,
    /// Someone let it go: it was held until then.
    Released,
    /// A task that it waited for did not succeed, and its policy does not let it run without.
    DependencyFailed {
        task: TaskId,
        policy: DependencyPolicy,
    },
    /// Its agent asked a person something. It works on until it ends its turn.
    Asked {
        attempt: AttemptId,
        question: QuestionId,
    },
    /// A question of its agent's was answered, or will not be.
    Answered {
        question: QuestionId,
    },
}

impl Event {
    /// The name kept in the event feed.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Offered { .. } => "offered",
            Self::Accepted { .. } => "accepted",
            Self::Returned { .. } => "returned",
            Self::Started { .. } => "started",
            Self::ContactLost { .. } => "contact_lost",
            Self::ContactRegained { .. } => "contact_regained",
            Self::Lost { .. } => "lost",
            Self::Ended { .. } => "ended",
            Self::CancelRequested => "cancel_requested",
            Self::Woken => "woken",
            Self::Unblocked => "unblocked",
            Self::Released => "released",
            Self::DependencyFailed { .. } => "dependency_failed",
            Self::Asked { .. } => "asked",
            Self::Answered { .. } => "answered",
        }
    }

    pub const fn attempt(&self) -> Option<AttemptId> {
        match self {
            Self::Offered { attempt, .. }
            | Self::Accepted { attempt }
            | Self::Returned { attempt, .. }
            | Self::Started { attempt }
            | Self::ContactLost { attempt }
            | Self::ContactRegained { attempt }
            | Self::Lost { attempt }
            | Self::Ended { attempt, .. }
            | Self::Asked { attempt, .. } => Some(*attempt),
            Self::CancelRequested
            | Self::Woken
            | Self::Unblocked
            | Self::Released
            | Self::DependencyFailed { .. }
            | Self::Answered { .. } => None,
        }
    }
}

/// Why an offer came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum ReturnReason {
    /// The worker said no, and why.
    Declined { why: String },
    /// No answer came in time.
    Lapsed,
}
