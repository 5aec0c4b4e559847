//! What a move comes to in the rows: of the attempt, of the task, of the feed.

use factory_domain::{AttemptId, AttemptState, Decision, Event, TaskId, TaskState, Timestamp, WorkerId};
use serde::Serialize;

use super::Move;
use crate::store::StoreError;
use crate::store::sqlite::job::Tx;
use crate::store::sqlite::rows::{self, to_json};

#[derive(Serialize)]
pub(super) struct AttemptAdded {
    at: Timestamp,
    id: AttemptId,
    task: TaskId,
    number: u32,
    worker: WorkerId,
    to: AttemptState,
    deadline_at: Option<Timestamp>,
    continues: Option<String>,
}

impl AttemptAdded {
    pub(super) fn of(one: &Move, worker: WorkerId, tx: &Tx<'_>) -> Option<Self> {
        let (id, to) = one.decision.attempt?;
        let number = one.decision.tally.attempts;
        let (at, task, deadline_at) = (one.at, one.from.task, deadline(to, tx, one.at));
        let continues = one.continues.as_ref().map(to_json);
        Some(Self { at, id, task, number, worker, to, deadline_at, continues })
    }
}

#[derive(Serialize)]
pub(super) struct AttemptMoved<'m> {
    at: Timestamp,
    id: AttemptId,
    task: TaskId,
    from: AttemptState,
    to: AttemptState,
    deadline_at: Option<Timestamp>,
    unreachable_since: Option<Timestamp>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    returned_because: Option<String>,
    report: Option<&'m str>,
    report_digest: Option<String>,
    because_due: bool,
}

impl<'m> AttemptMoved<'m> {
    pub(super) fn of(one: &'m Move, tx: &Tx<'_>) -> Result<Option<Self>, StoreError> {
        let Some((id, to)) = one.decision.attempt else { return Ok(None) };
        let from = match one.from.attempt {
            Some((live, state)) if live == id => state,
            _ => return Err(StoreError::Corrupt(format!("attempt {id} is not in its task's row"))),
        };
        let returned_because = match &one.event {
            Event::Returned { why, .. } => Some(rows::why_returned(why)),
            _ => None,
        };
        let now = one.at;
        Ok(Some(Self {
            at: now,
            id,
            task: one.from.task,
            from,
            to,
            deadline_at: deadline(to, tx, now),
            unreachable_since: (to == AttemptState::Unreachable).then_some(now),
            started_at: (to == AttemptState::Running).then_some(now),
            ended_at: (!to.is_live()).then_some(now),
            returned_because,
            report: one.report.as_ref().map(|report| report.json.as_str()),
            report_digest: one.report.as_ref().map(|report| hex::encode(report.digest)),
            because_due: one.because_due,
        }))
    }
}

/// When something is to happen to an attempt in this state, if nothing else does before.
fn deadline(state: AttemptState, tx: &Tx<'_>, now: Timestamp) -> Option<Timestamp> {
    let terms = &tx.rules.terms;
    match state {
        AttemptState::Offered => Some(now.after(terms.offer)),
        AttemptState::Accepted | AttemptState::Running => Some(now.after(terms.lease)),
        AttemptState::Unreachable => Some(now.after(terms.lost_after)),
        AttemptState::Returned
        | AttemptState::Succeeded
        | AttemptState::Failed
        | AttemptState::Cancelled
        | AttemptState::Lost
        | AttemptState::Asked => None,
    }
}

#[derive(Serialize)]
pub(super) struct TaskMoved {
    at: Timestamp,
    id: TaskId,
    from: &'static str,
    from_attempt: Option<AttemptId>,
    to: &'static str,
    attempt: Option<AttemptId>,
    wake_at: Option<Timestamp>,
    parked_because: Option<String>,
    failure: Option<String>,
    cancelled_because: Option<String>,
    ended_at: Option<Timestamp>,
    attempts: u32,
    agent_failures: u32,
    infrastructure_failures: u32,
    usage_limits: u32,
    prefer_worker: Option<WorkerId>,
    prefer_until: Option<Timestamp>,
    because_due: bool,
    held: bool,
}

impl TaskMoved {
    pub(super) fn of(one: &Move) -> Self {
        let Decision { state, tally, .. } = &one.decision;
        let (wake_at, parked_because) = match state {
            TaskState::Parked { until, why } => (Some(*until), Some(to_json(why))),
            _ => (None, None),
        };
        let failure = match state {
            TaskState::Failed { failure, .. } => Some(to_json(failure)),
            _ => None,
        };
        let cancelled_because = match state {
            TaskState::Cancelled { because } => Some(to_json(because)),
            _ => None,
        };
        let (prefer_worker, prefer_until) = one.kept();
        Self {
            at: one.at,
            id: one.from.task,
            from: one.from.standing.state.name(),
            from_attempt: one.from.attempt.map(|(id, _)| id),
            to: state.name(),
            attempt: attempt_of(one),
            wake_at,
            parked_because,
            failure,
            cancelled_because,
            ended_at: state.is_terminal().then_some(one.at),
            attempts: tally.attempts,
            agent_failures: tally.agent_failures,
            infrastructure_failures: tally.infrastructure_failures,
            usage_limits: tally.usage_limits,
            prefer_worker,
            prefer_until,
            because_due: one.because_due,
            held: *state == TaskState::Blocked
                && one.from.standing.waits.held
                && one.event != Event::Released,
        }
    }
}

/// The attempt a task's row names from now on: the live one, or the one that decided.
fn attempt_of(one: &Move) -> Option<AttemptId> {
    match &one.decision.state {
        TaskState::Blocked | TaskState::Queued | TaskState::Parked { .. } | TaskState::Waiting => None,
        TaskState::Leased { lease } | TaskState::Running { lease } | TaskState::Cancelling { lease } => {
            Some(lease.attempt)
        }
        TaskState::Succeeded { attempt } | TaskState::Failed { attempt, .. } => Some(*attempt),
        // Where an attempt was under way, its end made this one.
        TaskState::Cancelled { .. } => one.from.attempt.map(|(id, _)| id),
    }
}

#[derive(Serialize)]
pub(super) struct EventAdded {
    at: Timestamp,
    task: TaskId,
    attempt: Option<AttemptId>,
    kind: &'static str,
    event: String,
    state: String,
}

impl EventAdded {
    pub(super) fn of(one: &Move) -> Self {
        Self {
            at: one.at,
            task: one.from.task,
            attempt: one.event.attempt(),
            kind: one.event.name(),
            event: to_json(&one.event),
            state: to_json(&one.decision.state),
        }
    }
}
