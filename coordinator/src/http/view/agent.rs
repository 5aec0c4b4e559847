use serde::Serialize;
use utoipa::ToSchema;

use super::state::State;
use super::utc;
use crate::app;

/// An agent at work: a task, and the attempt of it that is live.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunningAgent {
    task_id: String,
    task_number: u64,
    title: String,
    state: State,
    attempt_id: String,
    attempt: u32,
    worker: String,
    /// claude, command or scripted.
    agent: String,
    /// The role.
    agent_type: Option<String>,
    repo: Option<String>,
    /// When it was offered to its worker.
    since: String,
    /// When the agent itself started.
    started_at: Option<String>,
    /// Its newest word on how far it is.
    progress: Option<String>,
    progress_percent: Option<u8>,
    /// Its worker has not been heard of past its lease.
    unreachable: bool,
}

impl From<app::RunningAgent> for RunningAgent {
    fn from(app::RunningAgent { task, held, worker, unreachable, .. }: app::RunningAgent) -> Self {
        Self {
            task_id: task.id.to_string(),
            task_number: task.number,
            state: State::from(&task.state),
            attempt_id: held.attempt.to_string(),
            attempt: held.number,
            worker,
            agent: task.spec.agent.to_string(),
            agent_type: task.spec.role.map(String::from),
            repo: task.spec.repo.map(String::from),
            since: utc(held.offered_at),
            started_at: held.started_at.map(utc),
            progress_percent: task.progress.as_ref().and_then(|progress| progress.percent),
            progress: task.progress.map(|progress| progress.text),
            unreachable,
            title: task.spec.title,
        }
    }
}
