//! What an attempt goes on from: the work and the conversation of one before it.

use serde::{Deserialize, Serialize};

use crate::task::FailureClass;
use crate::{AttemptId, Outcome, WorkerId};

/// An attempt that started an agent, and has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    pub attempt: AttemptId,
    pub worker: WorkerId,
    /// By its worker's report; `None`: it was lost.
    pub outcome: Option<Outcome>,
}

/// Of [`Continuation::because`]: nobody ended it but its agent, to wait for an answer.
pub const ENDED_ITS_TURN: &str = "it asked something and ended its turn";

/// What the next attempt of a task goes on from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continuation {
    /// Whose work it is.
    pub from: AttemptId,
    /// On whose disk the work may still lie.
    pub worker: WorkerId,
    pub conversation: Conversation,
    /// What ended it, for the agent and for people.
    pub because: String,
    /// It is another task's, whose work and conversation this task takes up.
    #[serde(default)]
    pub of_another_task: bool,
}

/// Whether the agent goes on with the conversation it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversation {
    Resume,
    /// The work is there, and told of in the prompt; the conversation is a new one.
    Afresh,
}

impl Conversation {
    /// What an attempt does with the one numbered `from` that it goes on from, for people.
    pub fn with_attempt(self, from: u32) -> String {
        match self {
            Self::Resume => format!("resumes attempt {from}"),
            Self::Afresh => format!("goes on from attempt {from}, afresh"),
        }
    }
}

/// What follows from a task's `history`, oldest first.
///
/// What ended through no fault of the agent's is resumed. After a failure of the agent's own the
/// conversation is resumed once: if that fails as well, the conversation may be what is wrong.
pub fn continuation(history: &[Past]) -> Option<Continuation> {
    let mut resumed = false;
    let mut next = None;
    for past in history {
        let conversation = match (&past.outcome, resumed) {
            (Some(Outcome::Failed { failure }), true)
                if failure.reason.class() != FailureClass::Infrastructure =>
            {
                Conversation::Afresh
            }
            _ => Conversation::Resume,
        };
        resumed = conversation == Conversation::Resume;
        next = Some(Continuation {
            from: past.attempt,
            worker: past.worker,
            conversation,
            because: because(past.outcome.as_ref()),
            of_another_task: false,
        });
    }
    next
}

/// What a task begins with that goes on from another, by that one's `history`: its newest work, and
/// the conversation as far as that was kept.
pub fn taken_up(history: &[Past]) -> Option<Continuation> {
    let last = history.last()?;
    let because = match &last.outcome {
        Some(Outcome::Succeeded) => "its task was done, and this one goes on from there".to_owned(),
        outcome => because(outcome.as_ref()),
    };
    let conversation = Conversation::Resume;
    Some(Continuation {
        from: last.attempt,
        worker: last.worker,
        conversation,
        because,
        of_another_task: true,
    })
}

fn because(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "its worker was not heard of any more".to_owned(),
        Some(Outcome::Asked) => ENDED_ITS_TURN.to_owned(),
        Some(Outcome::HandedOver) => "its worker stopped and handed the task over".to_owned(),
        Some(Outcome::Failed { failure } | Outcome::Limited { failure, .. }) => failure.to_string(),
        Some(Outcome::Succeeded | Outcome::Cancelled) => "it was ended before it was done".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, FailureReason, Timestamp};
    use uuid::Uuid;

    fn failed(reason: FailureReason) -> Option<Outcome> {
        Some(Outcome::Failed { failure: Failure { reason, message: "it broke".into() } })
    }

    fn conversations(outcomes: &[Option<Outcome>]) -> Vec<Conversation> {
        let worker = WorkerId::from_uuid(Uuid::from_u128(7));
        let history: Vec<Past> = (1u128..)
            .zip(outcomes)
            .map(|(n, outcome)| Past {
                attempt: AttemptId::from_uuid(Uuid::from_u128(n)),
                worker,
                outcome: outcome.clone(),
            })
            .collect();
        (1..=history.len())
            .map(|n| {
                let next = continuation(&history[..n]).expect("there is a past");
                assert_eq!(next.from, history[n - 1].attempt, "the latest one's work");
                next.conversation
            })
            .collect()
    }

    #[test]
    fn a_first_attempt_goes_on_from_nothing() {
        assert_eq!(continuation(&[]), None);
    }

    #[test]
    fn trouble_that_is_not_the_agents_never_costs_the_conversation() {
        use FailureReason::{UsageLimit, WorkerError, WorkerLost};
        let failure = Failure { reason: UsageLimit, message: "used up".into() };
        let limited = Outcome::Limited { failure, until: Timestamp::from_millis(0) };
        let outcomes =
            [None, failed(WorkerError), Some(Outcome::HandedOver), Some(limited), failed(WorkerLost), None];
        assert_eq!(conversations(&outcomes), [Conversation::Resume; 6]);
    }

    #[test]
    fn a_task_that_goes_on_from_another_takes_up_its_last() {
        let (attempt, worker) =
            (AttemptId::from_uuid(Uuid::from_u128(1)), WorkerId::from_uuid(Uuid::from_u128(7)));
        let history = [Past { attempt, worker, outcome: Some(Outcome::Succeeded) }];
        let taken = taken_up(&history).expect("there is a past");
        assert_eq!((taken.from, taken.conversation), (attempt, Conversation::Resume));
        assert!(taken.because.contains("was done"), "{taken:?}");
        assert_eq!(taken_up(&[]), None);
    }

    #[test]
    fn a_conversation_that_fails_again_once_resumed_is_left() {
        use Conversation::{Afresh, Resume};
        use FailureReason::{AgentError, WorkerError};
        let outcomes = [
            failed(AgentError),
            failed(WorkerError),
            failed(AgentError),
            failed(AgentError),
            failed(AgentError),
        ];
        assert_eq!(conversations(&outcomes), [Resume, Resume, Afresh, Resume, Afresh]);
    }
}
