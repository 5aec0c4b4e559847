//! What the store's writing verbs are given, and what they answer.

use std::sync::Arc;

use factory_domain::{
    AttemptId, Brief, Capacity, Checkpoint, Continuation, Effect, Event, Links, Preference, Report,
    SessionId, TaskId, TaskSpec, TaskState, WorkerId,
};

#[derive(Debug, Clone)]
pub struct NewTask {
    /// Minted by the caller.
    pub id: TaskId,
    pub spec: TaskSpec,
    pub idempotency_key: Option<String>,
    pub retry_of: Option<TaskId>,
    pub links: Links,
    pub brief: Brief,
    /// W3C trace context of the submit.
    pub traceparent: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    pub id: TaskId,
    pub number: u64,
    /// The task was there before, under the same key and with the same spec.
    pub existed: bool,
}

/// An event that is now part of the task's history.
#[derive(Debug, Clone)]
pub struct Applied {
    pub task: TaskId,
    /// Its agent is told once the task has ended.
    pub parent: Option<TaskId>,
    pub event: Event,
    pub state: TaskState,
    pub effects: Vec<Effect>,
    /// The task is queued, and kept for this worker.
    pub prefers: Option<Preference>,
    /// What it brought about for those that waited for the task, and for those that waited for them.
    pub followed: Vec<Applied>,
}

#[derive(Debug, Clone)]
pub struct Claim {
    pub worker: WorkerId,
    pub session: SessionId,
    pub capacity: Capacity,
    /// Tasks this worker declined lately.
    pub except: Vec<TaskId>,
    /// Others that could take something now: a task that prefers one of them is left to it.
    pub left_to: Vec<(WorkerId, Capacity)>,
    /// What the workers offer that are connected and take tasks at all, each kind of them once.
    pub connected: Arc<[Capacity]>,
    /// Fresh ids, one for each free slot.
    pub attempt_ids: Vec<AttemptId>,
}

#[derive(Debug, Clone)]
pub struct Claimed {
    pub task: TaskId,
    pub number: u64,
    pub attempt: AttemptId,
    pub attempt_number: u32,
    pub spec: TaskSpec,
    pub brief: Brief,
    pub traceparent: String,
    /// The attempt that this one goes on from; kept with it.
    pub continues: Option<Continuation>,
    /// The task whose work it goes on with.
    pub goes_on_from: Option<TaskId>,
    /// It was blocked by others.
    pub waited: bool,
}

#[derive(Debug, Clone)]
pub struct Renewal {
    pub worker: WorkerId,
    pub session: SessionId,
    /// The attempts held, and whether each says that its agent was started.
    pub held: Vec<Held>,
    pub free_disk: u64,
}

#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub task: TaskId,
    pub attempt: AttemptId,
    pub started: bool,
}

/// What a worker is told of an attempt it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    CarryOn,
    Cancel,
    Superseded,
}

#[derive(Debug, Clone)]
pub struct ReportedAttempt {
    pub worker: WorkerId,
    pub task: TaskId,
    pub attempt: AttemptId,
    pub digest: [u8; 32],
    pub report: Report,
}

#[derive(Debug, Clone)]
pub enum Reported {
    Accepted(Box<Applied>),
    Duplicate,
    Superseded,
}

/// A checkpoint, by the worker that took it.
#[derive(Debug, Clone)]
pub struct TakenCheckpoint {
    pub worker: WorkerId,
    pub task: TaskId,
    pub attempt: AttemptId,
    pub checkpoint: Checkpoint,
}
