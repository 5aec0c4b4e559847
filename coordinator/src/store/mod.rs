//! The durable state: tasks, attempts, the event feed, workers, artifacts, checkpoints.
//!
//! [`Store`] is a narrow set of verbs. Each write is one transaction in which
//! the domain decides, the `WHERE` checks again, and the feed gets its row; the
//! effects come back to the caller, who acts on them after the commit. What agents
//! say to one another, and the like, has a trait of its own each, which [`Store`]
//! brings along. Rows and SQL stay behind; one conformance suite holds every store to it.

pub mod board;
mod dispatch;
mod entry;
mod error;
mod family;
mod inbox;
pub mod instance_lock;
mod locks;
mod memory;
mod question;
pub mod repo;
mod request;
pub mod sqlite;
mod stats;
mod upstream;
pub mod workflow;

use async_trait::async_trait;
use factory_domain::{
    AttemptId, Backoff, Because, Checkpoint, Event, LeaseTerms, Limits, TaskId, Timestamp, WorkerId,
};
use tokio::sync::watch;

pub use board::{
    BoardStore, HandoffEntry, HandoffFilter, HandoffName, HandoffTo, MessageEntry, MessageFilter,
    MessageLink, MessageName, MessageRange, NewHandoff, NewMessage, TaskName,
};
pub use dispatch::DispatchStore;
pub use entry::{
    AgentFound, ArtifactEntry, ArtifactKey, ArtifactKind, AttemptEntry, FeedEvent, HeldEntry, KeptArtifact,
    ListFilter, LogStanding, Needed, Pruned, PrunedItem, TaskEntry, WorkerEntry, WorkerRow,
};
pub use error::{ApplyError, CancelError, CheckpointError, ResolveError, StoreError, SubmitError};
pub use family::{CancelledFamily, FamilyStore, Relative};
pub use inbox::InboxStore;
pub use locks::{FileInTheWay, FileLock, LockStore, Locking, Other, QueuedTask, Wait, WantedFiles};
pub use memory::{Embedding, MemoryEntry, MemoryFilter, MemoryStore, NewMemory, SavedMemory, Within};
pub use question::{
    AnswerError, Answered, AskError, Asked, NewAnswer, NewQuestion, QuestionEntry, QuestionFilter,
    QuestionStore, WhichQuestion,
};
pub use repo::{
    AddedRepo, CopyEntry, CopyRow, DiskChange, Inventory, RepoAdded, RepoStore, WorktreeEntry,
    WorktreeFilter, WorktreeKind, WorktreeRow,
};
pub use request::{
    Applied, Claim, Claimed, Held, Holding, NewTask, Renewal, Reported, ReportedAttempt, Submitted,
    TakenCheckpoint,
};
pub use stats::{Stats, StatsStore};
pub use upstream::UpstreamStore;
pub use workflow::{StepEntry, StepWas, WorkflowEntry, WorkflowStore};

/// What the store is told once, when it opens: the durations of leases, the bounds of retries and of what runs.
#[derive(Debug, Clone)]
pub struct Rules {
    pub terms: LeaseTerms,
    pub backoff: Backoff,
    pub max_infrastructure_failures: u32,
    /// How many tasks may run at a time.
    pub limits: Limits,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            terms: LeaseTerms::default(),
            backoff: Backoff::default(),
            max_infrastructure_failures: 10,
            limits: Limits::NONE,
        }
    }
}

/// Verbs over the durable state. Times come in; nothing here asks a clock.
///
/// No method may be cancelled half-way by dropping its future: writes are handed
/// to the writer, which finishes them whether or not someone still waits.
#[async_trait]
pub trait Store:
    InboxStore
    + BoardStore
    + LockStore
    + MemoryStore
    + QuestionStore
    + RepoStore
    + DispatchStore
    + StatsStore
    + UpstreamStore
    + WorkflowStore
    + FamilyStore
    + Send
    + Sync
    + 'static
{
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
    /// attempts, parked tasks whose time has come, questions nobody answered in time. Each is checked again in its own `WHERE`.
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
