//! Rows as SQLite keeps them, and what they mean. They never leave this module's parent.

use std::str::FromStr;

use factory_domain::question::ENDED_ITS_TURN;
use factory_domain::{
    AttemptId, AttemptState, Contact, Continuation, Event, Failure, Lease, Outcome, ParkReason, Preference,
    Report, ReturnReason, Tally, TaskId, TaskSpec, TaskState, Timestamp, WorkerId, WorkflowId,
};
use serde::de::DeserializeOwned;

use super::questions;
use crate::store::{AttemptEntry, FeedEvent, StoreError, TaskEntry};

pub(super) fn corrupt(what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(what.to_string())
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| corrupt(format_args!("{what}: {error}")))
}

/// Reads a plain enum of the domain by the name it is kept under.
pub(super) fn from_name<T: DeserializeOwned>(name: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_value(name.into()).map_err(|error| corrupt(format_args!("{what}: {error}")))
}

/// The domain's types serialize without fail: no maps with keys that are not text, no foreign `Serialize`.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value)
        .unwrap_or_else(|error| unreachable!("a domain value did not serialize: {error}"))
}

pub(super) fn task_id(bytes: &[u8]) -> Result<TaskId, StoreError> {
    TaskId::from_slice(bytes).map_err(corrupt)
}

pub(super) fn workflow_id(bytes: &[u8]) -> Result<WorkflowId, StoreError> {
    WorkflowId::from_slice(bytes).map_err(corrupt)
}

pub(super) fn attempt_id(bytes: &[u8]) -> Result<AttemptId, StoreError> {
    AttemptId::from_slice(bytes).map_err(corrupt)
}

pub(super) fn worker_id(bytes: &[u8]) -> Result<WorkerId, StoreError> {
    WorkerId::from_slice(bytes).map_err(corrupt)
}

pub(super) fn attempt_state(name: &str) -> Result<AttemptState, StoreError> {
    AttemptState::from_str(name).map_err(corrupt)
}

pub(super) fn unsigned<T: TryFrom<i64>>(value: i64) -> Result<T, StoreError> {
    T::try_from(value).map_err(|_| corrupt(format_args!("{value} is out of range")))
}

/// The columns that hold a task's state, its live or deciding attempt joined in.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct StateColumns {
    pub state: String,
    pub attempt_id: Option<Vec<u8>>,
    wake_at: Option<i64>,
    parked_because: Option<String>,
    failure: Option<String>,
    cancelled_because: Option<String>,
    worker_id: Option<Vec<u8>>,
    attempt_state: Option<String>,
    unreachable_since: Option<i64>,
    attempts: u32,
    agent_failures: u32,
    infrastructure_failures: u32,
    usage_limits: u32,
}

impl StateColumns {
    pub(super) fn tally(&self) -> Tally {
        Tally {
            attempts: self.attempts,
            agent_failures: self.agent_failures,
            infrastructure_failures: self.infrastructure_failures,
            usage_limits: self.usage_limits,
        }
    }

    pub(super) fn attempt_state(&self) -> Result<Option<AttemptState>, StoreError> {
        self.attempt_state.as_deref().map(attempt_state).transpose()
    }

    pub(super) fn read(&self) -> Result<TaskState, StoreError> {
        Ok(match self.state.as_str() {
            "blocked" => TaskState::Blocked,
            "waiting" => TaskState::Waiting,
            "queued" => TaskState::Queued,
            "leased" => TaskState::Leased { lease: self.lease()? },
            "running" => TaskState::Running { lease: self.lease()? },
            "cancelling" => TaskState::Cancelling { lease: self.lease()? },
            "parked" => TaskState::Parked {
                until: Timestamp::from_millis(self.wake_at.ok_or_else(|| self.lacks("wake_at"))?),
                why: self.json::<ParkReason>(self.parked_because.as_deref(), "parked_because")?,
            },
            "succeeded" => TaskState::Succeeded { attempt: self.attempt()? },
            "failed" => TaskState::Failed {
                attempt: self.attempt()?,
                failure: self.json::<Failure>(self.failure.as_deref(), "failure")?,
            },
            "cancelled" => TaskState::Cancelled {
                because: self.json(self.cancelled_because.as_deref(), "cancelled_because")?,
            },
            other => return Err(corrupt(format_args!("unknown task state `{other}`"))),
        })
    }

    fn lease(&self) -> Result<Lease, StoreError> {
        let worker = self.worker_id.as_deref().ok_or_else(|| self.lacks("worker_id"))?;
        let contact = match self.attempt_state()? {
            Some(AttemptState::Offered) => Contact::Offered,
            Some(AttemptState::Accepted | AttemptState::Running) => Contact::Held,
            Some(AttemptState::Unreachable) => {
                let since = self.unreachable_since.ok_or_else(|| self.lacks("unreachable_since"))?;
                Contact::Unreachable { since: Timestamp::from_millis(since) }
            }
            Some(_) | None => return Err(self.lacks("a live attempt")),
        };
        Ok(Lease { attempt: self.attempt()?, worker: worker_id(worker)?, contact })
    }

    fn attempt(&self) -> Result<AttemptId, StoreError> {
        attempt_id(self.attempt_id.as_deref().ok_or_else(|| self.lacks("attempt_id"))?)
    }

    fn json<T: DeserializeOwned>(&self, text: Option<&str>, what: &str) -> Result<T, StoreError> {
        from_json(text.ok_or_else(|| self.lacks(what))?, what)
    }

    fn lacks(&self, what: &str) -> StoreError {
        corrupt(format_args!("a task that is {} lacks {what}", self.state))
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct TaskRow {
    id: Vec<u8>,
    number: i64,
    spec: String,
    /// Not loaded for lists.
    #[sqlx(default)]
    prompt: String,
    #[sqlx(flatten)]
    state: StateColumns,
    prefer_worker: Option<Vec<u8>>,
    prefer_until: Option<i64>,
    worker_name: Option<String>,
    submitted_at: i64,
    updated_at: i64,
    ended_at: Option<i64>,
    retry_of: Option<Vec<u8>>,
    retried_as: Option<Vec<u8>>,
    open_questions: u32,
    report: Option<String>,
    after: String,
    on_failed_dependency: String,
    held: bool,
    parent_id: Option<Vec<u8>>,
    parent_number: Option<i64>,
    goes_on_from: Option<Vec<u8>>,
    children: u32,
    progress: Option<String>,
    workflow_id: Option<Vec<u8>>,
}

impl TaskRow {
    pub(super) fn read(self) -> Result<TaskEntry, StoreError> {
        let prefers = preference(self.prefer_worker.as_deref(), self.prefer_until)?;
        Ok(TaskEntry {
            prefers,
            id: task_id(&self.id)?,
            number: unsigned(self.number)?,
            spec: spec(&self.spec, self.prompt)?,
            state: self.state.read()?,
            tally: self.state.tally(),
            worker_name: self.worker_name,
            submitted_at: Timestamp::from_millis(self.submitted_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            ended_at: self.ended_at.map(Timestamp::from_millis),
            retry_of: self.retry_of.as_deref().map(task_id).transpose()?,
            retried_as: self.retried_as.as_deref().map(task_id).transpose()?,
            open_questions: self.open_questions,
            report: report(self.report.as_deref())?,
            after: from_json(&self.after, "after")?,
            on_failed_dependency: from_name(&self.on_failed_dependency, "on_failed_dependency")?,
            held: self.held,
            parent: match self.parent_id.as_deref().zip(self.parent_number) {
                Some((parent, number)) => Some((task_id(parent)?, unsigned(number)?)),
                None => None,
            },
            goes_on_from: self.goes_on_from.as_deref().map(task_id).transpose()?,
            workflow: self.workflow_id.as_deref().map(workflow_id).transpose()?,
            children: self.children,
            progress: self.progress.as_deref().map(|json| from_json(json, "progress")).transpose()?,
        })
    }
}

/// The worker that a queued task is kept for.
pub(super) fn preference(
    worker: Option<&[u8]>,
    until: Option<i64>,
) -> Result<Option<Preference>, StoreError> {
    let kept = worker.zip(until);
    kept.map(|(worker, until)| {
        Ok(Preference { worker: worker_id(worker)?, until: Timestamp::from_millis(until) })
    })
    .transpose()
}

/// Puts the prompt, kept apart, back into its spec.
pub(super) fn spec(json: &str, prompt: String) -> Result<TaskSpec, StoreError> {
    let mut spec: TaskSpec = from_json(json, "spec")?;
    spec.prompt = prompt;
    Ok(spec)
}

pub(super) fn report(json: Option<&str>) -> Result<Option<Report>, StoreError> {
    json.map(|json| from_json(json, "report")).transpose()
}

fn continues(json: Option<&str>) -> Result<Option<Continuation>, StoreError> {
    json.map(|json| from_json(json, "continues")).transpose()
}

#[derive(sqlx::FromRow)]
pub(super) struct AttemptRow {
    id: Vec<u8>,
    task_id: Vec<u8>,
    number: u32,
    state: String,
    worker_id: Vec<u8>,
    worker_name: String,
    offered_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    report: Option<String>,
    returned_because: Option<String>,
    continues: Option<String>,
}

impl AttemptRow {
    pub(super) fn read(self) -> Result<AttemptEntry, StoreError> {
        Ok(AttemptEntry {
            id: attempt_id(&self.id)?,
            task: task_id(&self.task_id)?,
            number: self.number,
            state: attempt_state(&self.state)?,
            worker: worker_id(&self.worker_id)?,
            worker_name: self.worker_name,
            offered_at: Timestamp::from_millis(self.offered_at),
            started_at: self.started_at.map(Timestamp::from_millis),
            ended_at: self.ended_at.map(Timestamp::from_millis),
            report: report(self.report.as_deref())?,
            returned_because: self.returned_because,
            continues: continues(self.continues.as_deref())?,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct EventRow {
    cursor: i64,
    at: i64,
    task_id: Vec<u8>,
    number: i64,
    attempt_id: Option<Vec<u8>>,
    attempt_number: Option<u32>,
    kind: String,
    event: Option<String>,
    state: String,
    worker_name: Option<String>,
    continues: Option<String>,
    continues_number: Option<u32>,
    question: Option<String>,
    /// Where that attempt is another task's.
    continues_task: Option<i64>,
    needed_number: Option<i64>,
}

impl EventRow {
    pub(super) fn read(self) -> Result<FeedEvent, StoreError> {
        let event: Option<Event> = self.event.as_deref().map(|json| from_json(json, "event")).transpose()?;
        let state: TaskState = from_json(&self.state, "state")?;
        let continues = continues(self.continues.as_deref())?.zip(self.continues_number);
        let question = self.question.as_deref().zip(event.as_ref());
        let question = question.map(|(json, event)| questions::told(json, event)).transpose()?;
        let other = self.continues_task.map(|task| format!(" of task {task}")).unwrap_or_default();
        let continues = continues.map(|(continues, from)| continues.conversation.with_attempt(from) + &other);
        let needed = self.needed_number.map(|number| format!("task {number} did not succeed"));
        Ok(FeedEvent {
            cursor: unsigned(self.cursor)?,
            at: Timestamp::from_millis(self.at),
            task: task_id(&self.task_id)?,
            number: unsigned(self.number)?,
            attempt: self.attempt_id.as_deref().map(attempt_id).transpose()?,
            attempt_number: self.attempt_number,
            kind: self.kind,
            detail: continues.or(question).or(needed).or_else(|| detail(&event?, &state)),
            state,
            worker_name: self.worker_name,
        })
    }
}

/// Why it came to this, in a sentence for people.
fn detail(event: &Event, state: &TaskState) -> Option<String> {
    match (event, state) {
        (Event::Returned { why, .. }, _) => Some(why_returned(why)),
        (Event::Ended { outcome: Outcome::Failed { failure } | Outcome::Limited { failure, .. }, .. }, _)
        | (_, TaskState::Failed { failure, .. }) => Some(failure.to_string()),
        (Event::Ended { outcome: Outcome::HandedOver, .. }, _) => {
            Some("its worker stops, and handed it over".to_owned())
        }
        (Event::Ended { outcome: Outcome::Asked, .. }, _) => Some(ENDED_ITS_TURN.to_owned()),
        (_, TaskState::Parked { why, .. }) => Some(why.failure().to_string()),
        _ => None,
    }
}

pub(super) fn why_returned(why: &ReturnReason) -> String {
    match why {
        ReturnReason::Declined { why } => why.clone(),
        ReturnReason::Lapsed => "the offer was not answered in time".to_owned(),
    }
}
