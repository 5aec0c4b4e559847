//! Which worker a task to be tried again is better off at: the one on whose disk its work lies.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::task::FailureClass;
use crate::{Event, Outcome, TaskState, Timestamp, WorkerId};

/// How long after a task has woken others leave it to the worker where its work is.
pub const KEPT_FOR: Duration = Duration::from_secs(15);

/// A worker that a queued task is kept for. Others take it where that one cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    pub worker: WorkerId,
    pub until: Timestamp,
}

/// The worker that the next attempt had better go to, after `event` ended one of a task in state `before`.
///
/// None where no agent had started, since no work is there; where the trouble may be the worker's
/// own; and where the worker was lost or handed the task over, since it is not there.
pub fn preferred(before: &TaskState, event: &Event) -> Option<WorkerId> {
    let (TaskState::Running { lease }, Event::Ended { outcome, .. }) = (before, event) else { return None };
    let stays = match outcome {
        Outcome::Limited { .. } => true,
        Outcome::Failed { failure } => failure.reason.class() == FailureClass::Agent,
        Outcome::Succeeded | Outcome::Cancelled | Outcome::HandedOver => false,
    };
    stays.then_some(lease.worker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttemptId, Contact, Failure, FailureReason, Lease};
    use uuid::Uuid;

    #[test]
    fn a_task_goes_back_to_where_its_work_is_unless_the_trouble_is_there_too() {
        use FailureReason::{AgentError, AuthFailed, TimeoutIdle, UsageLimit, WorkerError};
        let attempt = AttemptId::from_uuid(Uuid::from_u128(1));
        let worker = WorkerId::from_uuid(Uuid::from_u128(2));
        let lease = Lease { attempt, worker, contact: Contact::Held };
        let failed = |reason| Outcome::Failed { failure: Failure { reason, message: "it broke".into() } };
        let failure = Failure { reason: UsageLimit, message: "429".into() };
        let limited = Outcome::Limited { failure, until: Timestamp::from_millis(0) };
        for (outcome, wanted) in [
            (failed(AgentError), Some(worker)),
            (failed(TimeoutIdle), Some(worker)),
            (limited, Some(worker)),
            (failed(WorkerError), None),
            (failed(AuthFailed), None),
            (Outcome::HandedOver, None),
            (Outcome::Cancelled, None),
        ] {
            let event = Event::Ended { attempt, outcome };
            assert_eq!(preferred(&TaskState::Running { lease }, &event), wanted, "{event:?}");
            assert_eq!(preferred(&TaskState::Leased { lease }, &event), None, "no agent had started");
        }
        assert_eq!(preferred(&TaskState::Running { lease }, &Event::Lost { attempt }), None);
    }
}
