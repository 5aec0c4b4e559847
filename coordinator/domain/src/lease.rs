//! A lease: the right of one worker to run one attempt, for a time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AttemptId, Timestamp, WorkerId};

/// Who holds a task's live attempt. Every write about the attempt is fenced by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub attempt: AttemptId,
    pub worker: WorkerId,
    pub contact: Contact,
}

/// What the coordinator knows of the holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Contact {
    /// Offered, not accepted yet: nothing runs.
    Offered,
    /// Accepted, and the holder answers.
    Held,
    /// Accepted, and no heartbeat since the lease ran out. The agent may well be alive.
    Unreachable { since: Timestamp },
}

/// The durations the coordinator dictates to every worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// How often a worker says that it is there.
    pub heartbeat: Duration,
    /// How long a heartbeat keeps a lease; past it the attempt is unreachable.
    pub lease: Duration,
    /// How long after the lease's end the attempt is given up for lost.
    pub lost_after: Duration,
    /// How long an offer waits for its answer.
    pub offer: Duration,
}

impl Default for LeaseTerms {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(10),
            lease: Duration::from_secs(60),
            lost_after: Duration::from_secs(300),
            offer: Duration::from_secs(10),
        }
    }
}
