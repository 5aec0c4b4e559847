//! The one place that says how a task moves.
//!
//! [`transition`] takes where a task stands and what happened, and answers with
//! where it stands then and what is to be done about it, or says why the event
//! cannot be. It decides; the store writes the decision down, fenced, in the
//! transaction that read the standing; the coordinator acts after the commit.

use crate::retry::Verdict;
use crate::task::TaskState::{
    Blocked, Cancelled, Cancelling, Failed, Leased, Parked, Queued, Running, Succeeded, Waiting,
};
use crate::{
    AttemptId, AttemptState, CancelReason, Contact, DependencyPolicy, Event, Failure, FailureReason, Lease,
    Outcome, ParkReason, RetryPolicy, Tally, TaskState, Timestamp, WorkerId,
};

/// What the rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub state: TaskState,
    pub tally: Tally,
    pub policy: RetryPolicy,
    /// Questions of its agent's that nobody has answered, once the event has happened.
    pub open_questions: u32,
    pub waits: Waits,
}

/// What keeps a blocked task from the queue, before the event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waits {
    /// Nobody has let it go.
    pub held: bool,
    /// Tasks that it waits for, and that have not ended.
    pub dependencies: u32,
}

/// What follows from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub state: TaskState,
    pub tally: Tally,
    /// The state the attempt concerned is in from now on.
    pub attempt: Option<(AttemptId, AttemptState)>,
    pub effects: Vec<Effect>,
}

/// What the coordinator does once a decision is committed. Losing one costs
/// time, never truth: each is also found again by a heartbeat or a reconciler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// There may be something to lease.
    Schedule,
    /// Tell the worker to end the attempt.
    Stop { worker: WorkerId, attempt: AttemptId },
    /// Look at parked tasks at this time.
    WakeAt(Timestamp),
}

/// The event cannot be, and nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("the task has ended ({state})")]
    Ended { state: &'static str },
    #[error("attempt {attempt} is not the task's live attempt")]
    Superseded { attempt: AttemptId },
    #[error("`{event}` cannot happen to a task that is {state}")]
    OutOfPlace { event: &'static str, state: &'static str },
    #[error("the task is being cancelled")]
    Cancelling,
}

/// Decides. See the module's words.
pub fn transition(standing: &Standing, event: &Event, now: Timestamp) -> Result<Decision, Rejected> {
    let state = &standing.state;
    if state.is_terminal() {
        return Err(match event.attempt() {
            Some(attempt) => Rejected::Superseded { attempt },
            None => Rejected::Ended { state: state.name() },
        });
    }
    // The fence: an event about an attempt must be about the live one.
    if let (Some(attempt), false) = (event.attempt(), matches!(event, Event::Offered { .. }))
        && state.lease().is_none_or(|lease| lease.attempt != attempt)
    {
        return Err(Rejected::Superseded { attempt });
    }
    let out_of_place = || Rejected::OutOfPlace { event: event.name(), state: state.name() };
    match (event, state) {
        (Event::Offered { attempt, worker }, Queued) => Ok(offered(standing, *attempt, *worker)),
        (Event::Woken, Parked { until, .. }) if *until <= now => {
            Ok(standing.moved(Queued).with(Effect::Schedule))
        }
        (Event::Unblocked, Blocked) if !standing.waits.held => {
            Ok(standing.moved(Queued).with(Effect::Schedule))
        }
        (Event::Released, Blocked) if standing.waits.held => Ok(match standing.waits.dependencies {
            0 => standing.moved(Queued).with(Effect::Schedule),
            _ => standing.moved(Blocked),
        }),
        (Event::DependencyFailed { task, policy }, Blocked) => match policy {
            DependencyPolicy::Cancel => {
                Ok(standing.cancelled(CancelReason::DependencyFailed { task: *task }))
            }
            DependencyPolicy::Skip => Ok(standing.cancelled(CancelReason::Skipped { task: *task })),
            DependencyPolicy::Run => Err(out_of_place()),
        },
        // The agent works on; the feed tells of the question.
        (Event::Asked { .. }, Leased { .. } | Running { .. } | Cancelling { .. }) => {
            Ok(standing.moved(state.clone()))
        }
        (Event::Answered { .. }, Waiting) if standing.open_questions == 0 => {
            Ok(standing.moved(Queued).with(Effect::Schedule))
        }
        (Event::Answered { .. }, _) => Ok(standing.moved(state.clone())),
        // Others may have stood behind it in the queue, for files that it wanted.
        (Event::CancelRequested, Queued) => {
            Ok(standing.cancelled(CancelReason::Requested).with(Effect::Schedule))
        }
        (Event::CancelRequested, Blocked | Parked { .. } | Waiting) => {
            Ok(standing.cancelled(CancelReason::Requested))
        }
        (Event::CancelRequested, Leased { lease } | Running { lease }) => {
            let stop = Effect::Stop { worker: lease.worker, attempt: lease.attempt };
            Ok(standing.moved(Cancelling { lease: *lease }).with(stop))
        }
        (Event::CancelRequested, Cancelling { .. }) => Err(Rejected::Cancelling),
        (Event::Accepted { .. }, Cancelling { .. }) => Err(Rejected::Cancelling),
        (Event::Accepted { attempt }, Leased { lease }) if lease.contact == Contact::Offered => {
            let held = Lease { contact: Contact::Held, ..*lease };
            Ok(standing.moved(Leased { lease: held }).attempt(*attempt, AttemptState::Accepted))
        }
        (Event::Returned { attempt, .. }, Leased { lease } | Cancelling { lease })
            if lease.contact == Contact::Offered =>
        {
            let back = match state {
                Leased { .. } => standing.moved(Queued),
                _ => standing.cancelled(CancelReason::Requested),
            };
            Ok(back.attempt(*attempt, AttemptState::Returned).with(Effect::Schedule))
        }
        (Event::Started { attempt }, Leased { lease }) if lease.contact != Contact::Offered => {
            let held = Lease { contact: Contact::Held, ..*lease };
            Ok(standing.moved(Running { lease: held }).attempt(*attempt, AttemptState::Running))
        }
        (Event::ContactLost { attempt }, Leased { lease } | Running { lease } | Cancelling { lease })
            if lease.contact == Contact::Held =>
        {
            let away = Contact::Unreachable { since: now };
            Ok(standing.moved(with_contact(state, away)).attempt(*attempt, AttemptState::Unreachable))
        }
        (Event::ContactRegained { attempt }, Leased { lease } | Running { lease } | Cancelling { lease })
            if matches!(lease.contact, Contact::Unreachable { .. }) =>
        {
            let again =
                if matches!(state, Running { .. }) { AttemptState::Running } else { AttemptState::Accepted };
            Ok(standing.moved(with_contact(state, Contact::Held)).attempt(*attempt, again))
        }
        (Event::Lost { attempt }, Leased { lease } | Running { lease } | Cancelling { lease })
            if matches!(lease.contact, Contact::Unreachable { .. }) =>
        {
            Ok(lost(standing, *attempt, now))
        }
        (Event::Ended { attempt, outcome }, Leased { lease } | Running { lease } | Cancelling { lease })
            if lease.contact != Contact::Offered =>
        {
            Ok(ended(standing, *attempt, outcome, now))
        }
        _ => Err(out_of_place()),
    }
}

fn offered(standing: &Standing, attempt: AttemptId, worker: WorkerId) -> Decision {
    let lease = Lease { attempt, worker, contact: Contact::Offered };
    let mut decision = standing.moved(Leased { lease }).attempt(attempt, AttemptState::Offered);
    decision.tally.attempts += 1;
    decision
}

fn lost(standing: &Standing, attempt: AttemptId, now: Timestamp) -> Decision {
    let failure = Failure {
        reason: FailureReason::WorkerLost,
        message: "the worker was not heard of for longer than an attempt may be out of contact".to_owned(),
    };
    let next = match standing.state {
        Cancelling { .. } => standing.cancelled(CancelReason::Requested),
        _ => failed(standing, attempt, &failure, now),
    };
    next.attempt(attempt, AttemptState::Lost).with(Effect::Schedule)
}

fn ended(standing: &Standing, attempt: AttemptId, outcome: &Outcome, now: Timestamp) -> Decision {
    let cancelling = matches!(standing.state, Cancelling { .. });
    match outcome {
        // Work that was finished before the wish to cancel arrived is finished.
        Outcome::Succeeded => standing.moved(Succeeded { attempt }).attempt(attempt, AttemptState::Succeeded),
        Outcome::Cancelled | Outcome::HandedOver if cancelling => {
            standing.cancelled(CancelReason::Requested).attempt(attempt, AttemptState::Cancelled)
        }
        Outcome::Failed { .. } | Outcome::Limited { .. } if cancelling => {
            standing.cancelled(CancelReason::Requested).attempt(attempt, AttemptState::Failed)
        }
        Outcome::Asked if cancelling => {
            standing.cancelled(CancelReason::Requested).attempt(attempt, AttemptState::Asked)
        }
        // Answered while it ended its turn: there is nothing to wait for.
        Outcome::Asked if standing.open_questions == 0 => {
            standing.moved(Queued).attempt(attempt, AttemptState::Asked)
        }
        Outcome::Asked => standing.moved(Waiting).attempt(attempt, AttemptState::Asked),
        Outcome::Failed { failure } => {
            failed(standing, attempt, failure, now).attempt(attempt, AttemptState::Failed)
        }
        Outcome::Limited { failure, until } => {
            limited(standing, attempt, failure, *until, now).attempt(attempt, AttemptState::Failed)
        }
        // A worker that stops is nobody's failure, and nothing is waited for: others are there.
        Outcome::HandedOver => standing.moved(Queued).attempt(attempt, AttemptState::Cancelled),
        // Ended by the worker though nobody asked the coordinator.
        Outcome::Cancelled => {
            let failure = Failure {
                reason: FailureReason::WorkerError,
                message: "the worker ended the attempt though nobody had asked for that".to_owned(),
            };
            failed(standing, attempt, &failure, now).attempt(attempt, AttemptState::Cancelled)
        }
    }
    .with(Effect::Schedule)
}

fn failed(standing: &Standing, attempt: AttemptId, failure: &Failure, now: Timestamp) -> Decision {
    let mut tally = standing.tally;
    let verdict = standing.policy.judge(&mut tally, attempt, failure, now);
    let why = ParkReason::Backoff { failure: failure.clone() };
    Decision { tally, ..followed(standing, attempt, verdict, why) }
}

/// The account's limit is nobody's failure: it is waited out.
fn limited(
    standing: &Standing,
    attempt: AttemptId,
    failure: &Failure,
    until: Timestamp,
    now: Timestamp,
) -> Decision {
    let mut tally = standing.tally;
    let verdict = standing.policy.judge_limit(&mut tally, attempt, until, now);
    let why = ParkReason::UsageLimit { failure: failure.clone() };
    Decision { tally, ..followed(standing, attempt, verdict, why) }
}

fn followed(standing: &Standing, attempt: AttemptId, verdict: Verdict, why: ParkReason) -> Decision {
    match verdict {
        Verdict::RetryAt(until) => standing.moved(Parked { until, why }).with(Effect::WakeAt(until)),
        Verdict::GiveUp => standing.moved(Failed { attempt, failure: why.failure().clone() }),
    }
}

fn with_contact(state: &TaskState, contact: Contact) -> TaskState {
    match state {
        Leased { lease } => Leased { lease: Lease { contact, ..*lease } },
        Running { lease } => Running { lease: Lease { contact, ..*lease } },
        Cancelling { lease } => Cancelling { lease: Lease { contact, ..*lease } },
        other => other.clone(),
    }
}

impl Standing {
    fn cancelled(&self, because: CancelReason) -> Decision {
        self.moved(Cancelled { because })
    }

    fn moved(&self, state: TaskState) -> Decision {
        Decision { state, tally: self.tally, attempt: None, effects: Vec::new() }
    }
}

impl Decision {
    fn attempt(mut self, attempt: AttemptId, state: AttemptState) -> Self {
        self.attempt = Some((attempt, state));
        self
    }

    fn with(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }
}
