use factory_domain::TaskState;
use serde::Serialize;
use utoipa::ToSchema;

use super::state::{State, Status};
use super::task::{Failure, failure};
use super::utc;
use crate::store::FeedEvent;

/// One step of one task.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its place in the feed: greater than that of every event before it.
    cursor: u64,
    at: String,
    task_id: String,
    task_number: u64,
    /// Number of the attempt that it is about.
    attempt: Option<u32>,
    /// submitted, offered, started, ended and so on.
    kind: String,
    /// The state that the task is in since then.
    state: State,
    status: Status,
    worker: Option<String>,
    /// For people.
    detail: Option<String>,
    failure: Option<Failure>,
    /// When it is tried again.
    wake_at: Option<String>,
}

impl From<FeedEvent> for Event {
    fn from(event: FeedEvent) -> Self {
        Self {
            cursor: event.cursor,
            at: utc(event.at),
            task_id: event.task.to_string(),
            task_number: event.number,
            attempt: event.attempt_number,
            kind: event.kind,
            state: State::from(&event.state),
            status: State::from(&event.state).status(),
            worker: event.worker_name,
            detail: event.detail,
            failure: failure(&event.state),
            wake_at: match event.state {
                TaskState::Parked { until, .. } => Some(utc(until)),
                _ => None,
            },
        }
    }
}
