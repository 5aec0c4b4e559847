//! Which worker a task to be tried again is better off at: the one on whose disk its work lies.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::task::FailureClass;
use crate::{Event, Outcome, Standing, TaskState, Timestamp, WorkerId};

/// How long after a task has woken others leave it to the worker where its work is.
pub const KEPT_FOR: Duration = Duration::from_secs(15);

/// A worker that a queued task is kept for. Others take it where that one cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    pub worker: WorkerId,
    pub until: Timestamp,
}

/// The worker that the next attempt had better go to, after `event` ended one of a task that stood at
/// `before`.
///
/// None where no agent had started, since no work is there; and where the worker was lost or handed the
/// task over, since it is not there. Trouble of the worker's own, such as a reboot under its agents, is
/// no reason to leave the work there; a second time it may be that host's, and others try.
pub fn preferred(before: &Standing, event: &Event) -> Option<WorkerId> {
    let (TaskState::Running { lease }, Event::Ended { outcome, .. }) = (&before.state, event) else {
        return None;
    };
    let stays = match outcome {
        Outcome::Limited { .. } | Outcome::Asked => true,
        Outcome::Failed { failure } => match failure.reason.class() {
            FailureClass::Agent => true,
            FailureClass::Infrastructure => before.tally.infrastructure_failures == 0,
            FailureClass::Final => false,
        },
        Outcome::Succeeded | Outcome::Cancelled | Outcome::HandedOver => false,
    };
    stays.then_some(lease.worker)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttemptId, Backoff, Contact, Failure, FailureReason, Lease, RetryPolicy, Tally, Waits};
    use uuid::Uuid;

    #[test]
    fn a_task_goes_back_to_where_its_work_is_unless_the_trouble_seems_to_be_there_too() {
        use FailureReason::{AgentError, AuthFailed, TimeoutIdle, UsageLimit, WorkerError};
        let attempt = AttemptId::from_uuid(Uuid::from_u128(1));
        let worker = WorkerId::from_uuid(Uuid::from_u128(2));
        let lease = Lease { attempt, worker, contact: Contact::Held };
        let failed = |reason| Outcome::Failed { failure: Failure { reason, message: "it broke".into() } };
        let failure = Failure { reason: UsageLimit, message: "429".into() };
        let limited = Outcome::Limited { failure, until: Timestamp::from_millis(0) };
        let backoff = Backoff::default();
        let policy = RetryPolicy { max_attempts: 3, max_infrastructure_failures: 10, backoff };
        let standing = |state, infrastructure_failures| Standing {
            state,
            tally: Tally { infrastructure_failures, ..Tally::default() },
            policy,
            open_questions: 0,
            waits: Waits::default(),
        };
        let running = |failures| standing(TaskState::Running { lease }, failures);
        for (outcome, before, wanted) in [
            (failed(AgentError), 4, Some(worker)),
            (failed(TimeoutIdle), 0, Some(worker)),
            (limited, 4, Some(worker)),
            (Outcome::Asked, 4, Some(worker)),
            (failed(WorkerError), 0, Some(worker)),
            (failed(WorkerError), 1, None),
            (failed(AuthFailed), 0, None),
            (Outcome::HandedOver, 0, None),
            (Outcome::Cancelled, 0, None),
        ] {
            let event = Event::Ended { attempt, outcome };
            assert_eq!(preferred(&running(before), &event), wanted, "{event:?}");
            let leased = standing(TaskState::Leased { lease }, before);
            assert_eq!(preferred(&leased, &event), None, "no agent had started");
        }
        assert_eq!(preferred(&running(0), &Event::Lost { attempt }), None);
    }
}
