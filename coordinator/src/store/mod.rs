//! The durable state: tasks, attempts, the event feed, workers, artifacts, checkpoints.
//!
//! [`Store`] is a narrow set of verbs. Each write is one transaction in which
//! the domain decides, the `WHERE` checks again, and the feed gets its row; the
//! effects come back to the caller, who acts on them after the commit. Rows and
//! SQL stay behind this trait; one conformance suite holds every store to it.

pub mod instance_lock;
pub mod sqlite;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use factory_domain::{
    AgentKind, AttemptId, AttemptState, Backoff, Because, Capacity, Checkpoint, Continuation, Effect, Event,
    Labels, LeaseTerms, Left, Preference, Rejected, Report, SessionId, Tally, TaskId, TaskSpec, TaskState,
    Timestamp, WorkerId,
};
use tokio::sync::watch;

/// What the store is told once, when it opens: the durations of leases and the bounds of retries.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub terms: LeaseTerms,
    pub backoff: Backoff,
    pub max_infrastructure_failures: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { terms: LeaseTerms::default(), backoff: Backoff::default(), max_infrastructure_failures: 10 }
    }
}

/// Verbs over the durable state. Times come in; nothing here asks a clock.
///
/// No method may be cancelled half-way by dropping its future: writes are handed
/// to the writer, which finishes them whether or not someone still waits.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Accepts all of `tasks` or none, and gives each its number. A key used before
    /// for the same spec, in an earlier call or in this one, finds that first task.
    async fn submit(&self, tasks: Vec<NewTask>, now: Timestamp) -> Result<Vec<Submitted>, SubmitError>;

    /// Applies one event to one task.
    async fn apply(&self, task: TaskId, event: Event, now: Timestamp) -> Result<Applied, ApplyError>;

    /// Offers queued tasks to one worker: at most `claim.capacity.free_slots` of
    /// those whose requirements it meets, by rank. Set-wise, in one transaction.
    /// A session that is not the worker's newest is offered nothing, nor is a worker that drains.
    async fn claim(&self, claim: Claim, now: Timestamp) -> Result<Vec<Claimed>, StoreError>;

    /// Extends the leases `worker` holds and says what becomes of each attempt it
    /// named; an unreachable one regains contact; an attempt said to be running is
    /// started if that word was lost. The session must be the worker's newest.
    async fn renew(&self, renewal: Renewal, now: Timestamp) -> Result<Vec<(AttemptId, Holding)>, StoreError>;

    /// Accepts the report of an attempt's end, once. The worker is part of the fence.
    async fn report(&self, report: ReportedAttempt, now: Timestamp) -> Result<Reported, StoreError>;

    /// Applies everything that is due: offers lapsed, leases run out, lost
    /// attempts, parked tasks whose time has come. Each is checked again in its own `WHERE`.
    async fn apply_due(&self, now: Timestamp) -> Result<Vec<Applied>, StoreError>;

    /// Gives every live lease one full term from `now`; called once after a start.
    async fn grant_full_term(&self, now: Timestamp) -> Result<(), StoreError>;

    /// Enters or updates a worker as of its new session.
    async fn register_worker(&self, worker: WorkerEntry, now: Timestamp) -> Result<(), StoreError>;

    /// From here on the worker claims nothing, through restarts of either side; what it holds
    /// goes on, until `hand_over_at` where that is given. Said again, the time of the first
    /// stays, and that of the hand-over is set anew. `false`: there is no such worker.
    async fn drain_worker(
        &self,
        worker: WorkerId,
        hand_over_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The end of a drain, if there is one. `false`: there is no such worker.
    async fn resume_worker(&self, worker: WorkerId) -> Result<bool, StoreError>;

    async fn note_decline(&self, worker: WorkerId, why: String) -> Result<(), StoreError>;

    /// Records a file already kept under the root; the same again replaces it.
    async fn add_artifact(&self, artifact: ArtifactEntry, now: Timestamp) -> Result<(), StoreError>;

    /// Makes a checkpoint the one that another attempt would go on from, and answers with the
    /// artifacts it takes the place of: their rows are gone, their files are the caller's to
    /// delete. The newest of an attempt counts, whatever became of the attempt: one that is
    /// not newer than what is kept changes nothing.
    async fn keep_checkpoint(
        &self,
        taken: TakenCheckpoint,
        now: Timestamp,
    ) -> Result<Vec<ArtifactEntry>, CheckpointError>;

    /// The newest checkpoint of an attempt.
    async fn checkpoint(&self, attempt: AttemptId) -> Result<Option<Checkpoint>, StoreError>;

    /// Notes that the logs of these attempts, so many bytes each, are removed. Answers with those
    /// noted: none of a task that has not ended is.
    async fn prune_logs(
        &self,
        logs: Vec<(AttemptId, u64, Because)>,
        now: Timestamp,
    ) -> Result<Vec<AttemptId>, StoreError>;

    /// Notes that these artifacts are removed; they are kept no longer. Answers with those noted:
    /// none of a task that has not ended is.
    async fn prune_artifacts(
        &self,
        artifacts: Vec<(ArtifactKey, Because)>,
        now: Timestamp,
    ) -> Result<Vec<ArtifactKey>, StoreError>;

    /// Finds a task by full id, unique id prefix or short number.
    async fn resolve(&self, name: &str) -> Result<TaskId, ResolveError>;

    async fn task(&self, id: TaskId) -> Result<Option<TaskEntry>, StoreError>;

    /// The attempts of one task by number, offers that came back included.
    async fn attempts(&self, task: TaskId) -> Result<Vec<AttemptEntry>, StoreError>;

    async fn attempt(&self, id: AttemptId) -> Result<Option<AttemptEntry>, StoreError>;

    /// Newest first. Prompts are not loaded.
    async fn list(&self, filter: ListFilter) -> Result<Vec<TaskEntry>, StoreError>;

    /// The feed after `cursor`, oldest first; of `tasks` only, where it is not empty.
    async fn events_after(
        &self,
        cursor: u64,
        tasks: &[TaskId],
        limit: u32,
    ) -> Result<Vec<FeedEvent>, StoreError>;

    /// The feed's newest committed cursor; changes with every commit that adds events.
    fn feed(&self) -> watch::Receiver<u64>;

    async fn workers(&self) -> Result<Vec<WorkerRow>, StoreError>;

    async fn worker(&self, id: WorkerId) -> Result<Option<WorkerRow>, StoreError>;

    /// The live attempts of one worker, offers not answered included, oldest first.
    async fn held_by(&self, worker: WorkerId) -> Result<Vec<HeldEntry>, StoreError>;

    async fn artifacts(&self, attempt: AttemptId) -> Result<Vec<ArtifactEntry>, StoreError>;

    /// Where the task of each attempt stands; of attempts that are not known, nothing.
    async fn log_standings(&self, attempts: &[AttemptId]) -> Result<Vec<LogStanding>, StoreError>;

    /// The artifacts kept, in the order of their keys, beginning after `after`.
    async fn kept_artifacts(
        &self,
        after: Option<&ArtifactKey>,
        limit: u32,
    ) -> Result<Vec<KeptArtifact>, StoreError>;

    /// What was removed of an attempt.
    async fn pruned(&self, attempt: AttemptId) -> Result<Vec<Pruned>, StoreError>;

    /// The earliest time at which [`Store::apply_due`] has something to do.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Tasks that have not ended.
    async fn live_count(&self) -> Result<u64, StoreError>;

    /// Stops the writer after what it has been given, and checkpoints.
    async fn close(&self);
}

/// The store could not do its work. Nothing was changed.
///
/// Cloneable, since one failed commit is the answer to every write that shared it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("the disk is full: no room for {}; free some space and try again", database.display())]
    Full {
        database: Arc<Path>,
        #[source]
        source: Arc<sqlx::Error>,
    },
    #[error("the database cannot be written")]
    ReadOnly(#[source] Arc<sqlx::Error>),
    #[error("the database failed")]
    Database(#[source] Arc<sqlx::Error>),
    #[error("the database holds something this release cannot read: {0}")]
    Corrupt(String),
    #[error("the store is closing")]
    Closed,
}

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("idempotency key `{key}` of task {index} was used before for a different task ({existing})")]
    KeyReused { index: usize, key: String, existing: TaskId },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("there is no task {0}")]
    NoSuchTask(TaskId),
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("attempt {0} is not this worker's")]
    NotYours(AttemptId),
    #[error("a file of checkpoint {number} of attempt {attempt} is not here; upload it first")]
    FileMissing { number: u32, attempt: AttemptId },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    #[error("there is no task `{0}`")]
    NotFound(String),
    #[error("`{name}` is the beginning of several task ids; give more of it")]
    Ambiguous { name: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone)]
pub struct NewTask {
    /// Minted by the caller.
    pub id: TaskId,
    pub spec: TaskSpec,
    pub idempotency_key: Option<String>,
    pub retry_of: Option<TaskId>,
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
    pub event: Event,
    pub state: TaskState,
    pub effects: Vec<Effect>,
    /// The task is queued, and kept for this worker.
    pub prefers: Option<Preference>,
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
    pub traceparent: String,
    /// The attempt that this one goes on from; kept with it.
    pub continues: Option<Continuation>,
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
    Accepted(Applied),
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

#[derive(Debug, Clone)]
pub struct WorkerEntry {
    pub id: WorkerId,
    pub session: SessionId,
    pub name: String,
    pub version: String,
    pub labels: Labels,
    /// Those it offers, and those it cannot.
    pub agents: Vec<AgentFound>,
    pub slots: u32,
    /// Bytes.
    pub free_disk: u64,
}

/// An agent as one worker found it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AgentFound {
    pub kind: AgentKind,
    pub version: String,
    /// For people: what could go wrong with it.
    pub warning: Option<String>,
    /// For people: why the worker does not offer it.
    pub unusable: Option<String>,
}

/// A worker as the store knows it. Whether it is connected is not known here.
#[derive(Debug, Clone)]
pub struct WorkerRow {
    pub entry: WorkerEntry,
    /// Live attempts.
    pub busy: u32,
    pub registered_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub last_decline: Option<String>,
    /// When someone asked it to take nothing new.
    pub draining_since: Option<Timestamp>,
    /// When what it still runs is to be handed over; `None`: it may take its time.
    pub hand_over_at: Option<Timestamp>,
}

/// A live attempt, as its worker's page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEntry {
    pub attempt: AttemptId,
    pub number: u32,
    pub state: AttemptState,
    pub task: TaskId,
    pub task_number: u64,
    pub title: String,
    pub offered_at: Timestamp,
    pub started_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct TaskEntry {
    pub id: TaskId,
    pub number: u64,
    pub spec: TaskSpec,
    pub state: TaskState,
    pub tally: Tally,
    /// While it is queued: the worker it is kept for, where that one can take it.
    pub prefers: Option<Preference>,
    /// Name of the worker that holds or held the deciding attempt.
    pub worker_name: Option<String>,
    pub submitted_at: Timestamp,
    pub updated_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub retry_of: Option<TaskId>,
    pub retried_as: Option<TaskId>,
    /// Of the deciding attempt.
    pub report: Option<Report>,
}

#[derive(Debug, Clone)]
pub struct AttemptEntry {
    pub id: AttemptId,
    pub task: TaskId,
    pub number: u32,
    pub state: AttemptState,
    pub worker: WorkerId,
    pub worker_name: String,
    pub offered_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub report: Option<Report>,
    pub returned_because: Option<String>,
    pub continues: Option<Continuation>,
}

#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// State names as in [`TaskState::NAMES`]; empty: all.
    pub states: Vec<&'static str>,
    pub repo: Option<String>,
    pub labels: Labels,
    /// Only tasks with a smaller number: where the page before ended.
    pub before: Option<u64>,
    pub limit: u32,
}

#[derive(Debug, Clone)]
pub struct FeedEvent {
    pub cursor: u64,
    pub at: Timestamp,
    pub task: TaskId,
    pub number: u64,
    pub attempt: Option<AttemptId>,
    pub attempt_number: Option<u32>,
    /// [`Event::name`], or `submitted`.
    pub kind: String,
    pub state: TaskState,
    pub worker_name: Option<String>,
    pub detail: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactEntry {
    pub attempt: AttemptId,
    pub kind: ArtifactKind,
    pub name: String,
    pub bytes: u64,
    pub sha256: [u8; 32],
}

impl ArtifactEntry {
    pub fn key(&self) -> ArtifactKey {
        ArtifactKey { attempt: self.attempt, kind: self.kind, name: self.name.clone() }
    }
}

/// What tells an artifact from all others.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ArtifactKey {
    pub attempt: AttemptId,
    pub kind: ArtifactKind,
    pub name: String,
}

/// An artifact as the retention looks at it.
#[derive(Debug, Clone)]
pub struct KeptArtifact {
    pub entry: ArtifactEntry,
    /// `None`: its task has not ended.
    pub left: Option<Left>,
}

/// An attempt's log as the retention looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogStanding {
    pub attempt: AttemptId,
    pub task: TaskId,
    /// When the task ended; `None`: it has not.
    pub ended_at: Option<Timestamp>,
    /// It was removed, or is about to be.
    pub pruned: bool,
}

/// Something of an attempt that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pruned {
    pub item: PrunedItem,
    pub bytes: u64,
    pub at: Timestamp,
    pub because: Because,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrunedItem {
    Log,
    Artifact(ArtifactKey),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArtifactKind {
    Patch,
    Bundle,
    File,
    /// The work of a checkpoint; named by its number, as the next.
    CheckpointWork,
    CheckpointTranscript,
}
