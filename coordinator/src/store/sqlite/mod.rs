//! SQLite behind the [`Store`].
//!
//! Writes are verbs, queued as `job`s for the one `writer`; reads go to a pool of
//! read-only connections beside it. `statements` has the SQL, `moves` is
//! the one way by which a task changes its state, `rows` reads what is kept.

mod admission;
mod apply;
mod artifact;
mod board;
mod checkpoint;
mod claim;
mod dependencies;
mod dispatch;
mod error;
mod family;
mod file_locks;
mod fleet;
mod handoff;
mod inbox;
mod job;
mod lease;
mod list;
mod memory;
mod messages;
mod moves;
mod open;
mod placements;
mod questions;
mod queue;
mod read;
mod repos;
mod retention;
mod rows;
mod search;
mod statements;
mod stats;
mod submit;
mod upstreams;
mod vectors;
mod workflows;
mod writer;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use factory_domain::{
    AttemptId, Because, Checkpoint, Event, Limits, Notices, QuestionId, TaskId, Timestamp, WorkerId,
};
use sqlx::SqlitePool;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::error::Failure;
use self::job::{Calls, Job, Verb};
pub use self::open::OpenError;
use self::writer::{Heads, Writer};
use super::{
    AnswerError, Answered, Applied, ApplyError, ArtifactEntry, ArtifactKey, AskError, Asked, AttemptEntry,
    CheckpointError, Claim, Claimed, Embedding, FeedEvent, HeldEntry, Holding, InboxStore, KeptArtifact,
    ListFilter, LogStanding, MemoryEntry, MemoryFilter, MemoryStore, NewAnswer, NewMemory, NewQuestion,
    NewTask, Pruned, QuestionEntry, QuestionFilter, QuestionStore, Renewal, Reported, ReportedAttempt,
    ResolveError, Rules, SavedMemory, Stats, StatsStore, Store, StoreError, SubmitError, Submitted,
    TakenCheckpoint, TaskEntry, UpstreamStore, WorkerEntry, WorkerRow,
};

/// One database file, opened by one process: hold an
/// [`InstanceLock`](super::instance_lock::InstanceLock) on its directory first.
pub struct SqliteStore {
    path: Arc<Path>,
    queue: mpsc::Sender<Box<dyn Job>>,
    readers: SqlitePool,
    limits: Limits,
    feed: watch::Receiver<u64>,
    messages: watch::Receiver<u64>,
    closing: CancellationToken,
    tasks: TaskTracker,
}

impl SqliteStore {
    /// Opens the database at `path`, or makes it, and brings it to this release's schema.
    pub async fn open(path: &Path, rules: Rules) -> Result<Self, OpenError> {
        let (connection, readers) = open::connect(path).await?;
        let failed = |source| OpenError::Open { path: path.to_owned(), source };
        let (events, feed) = watch::channel(read::last_cursor(&readers).await.map_err(failed)?);
        let (posted, messages) = watch::channel(board::last(&readers).await.map_err(failed)?);
        let heads = Heads { events, messages: posted };
        let limits = rules.limits.clone();
        let (queue, waiting) = mpsc::channel(writer::QUEUE);
        let (closing, tasks) = (CancellationToken::new(), TaskTracker::new());
        tasks.spawn(Writer::new(connection, rules, heads).serve(waiting, closing.clone()));
        tasks.close();
        Ok(Self { path: path.into(), queue, readers, limits, feed, messages, closing, tasks })
    }

    /// Hands a verb to the writer and waits for its commit.
    async fn write<V: Verb>(&self, verb: V) -> Result<V::Output, V::Error> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(Box::new(Calls::of(verb, reply))).await.map_err(|_| StoreError::Closed)?;
        let answer = answer.await.map_err(|_| StoreError::Closed)?;
        answer.map_err(|error| error.of_database(&self.path))
    }
}

#[async_trait]
impl InboxStore for SqliteStore {
    async fn notices(&self, task: TaskId, after: u64) -> Result<Notices, StoreError> {
        inbox::notices(&self.readers, task, after).await
    }

    async fn note_told(&self, task: TaskId, up_to: u64) -> Result<(), StoreError> {
        self.write(inbox::NoteTold { task, up_to }).await
    }
}

#[async_trait]
impl MemoryStore for SqliteStore {
    async fn save_memory(&self, new: NewMemory, now: Timestamp) -> Result<SavedMemory, StoreError> {
        self.write(memory::SaveMemory { new, now }).await
    }

    async fn memories(&self, filter: MemoryFilter) -> Result<Vec<MemoryEntry>, StoreError> {
        memory::list(&self.readers, &filter).await
    }

    async fn search_memories(
        &self,
        terms: Vec<String>,
        filter: MemoryFilter,
    ) -> Result<Vec<(MemoryEntry, f64)>, StoreError> {
        memory::search(&self.readers, &terms, &filter).await
    }

    async fn nearest_memories(
        &self,
        query: Embedding,
        filter: MemoryFilter,
    ) -> Result<Vec<(MemoryEntry, f64)>, StoreError> {
        vectors::nearest(&self.readers, &query, &filter).await
    }

    async fn memories_to_embed(
        &self,
        model: String,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, StoreError> {
        vectors::to_embed(&self.readers, &model, after, limit).await
    }

    async fn keep_vectors(&self, vectors: Vec<(u64, Embedding)>) -> Result<(), StoreError> {
        self.write(vectors::KeepVectors { vectors }).await
    }

    async fn summarised_up_to(&self) -> Result<u64, StoreError> {
        memory::summarised_up_to(&self.readers).await
    }

    async fn ended_between(&self, after: u64, up_to: u64) -> Result<Vec<TaskEntry>, StoreError> {
        memory::ended_between(&self.readers, after, up_to).await
    }

    async fn save_summaries(
        &self,
        summaries: Vec<NewMemory>,
        up_to: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(memory::SaveSummaries { summaries, up_to, now }).await
    }
}

#[async_trait]
impl StatsStore for SqliteStore {
    async fn stats(&self, repo: Option<String>) -> Result<Stats, StoreError> {
        stats::stats(&self.readers, repo.as_deref()).await
    }
}

#[async_trait]
impl UpstreamStore for SqliteStore {
    async fn needed_by(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskEntry>, StoreError> {
        upstreams::needed_by(&self.readers, &tasks).await
    }
}

#[async_trait]
impl QuestionStore for SqliteStore {
    async fn ask(&self, new: NewQuestion, now: Timestamp) -> Result<Asked, AskError> {
        self.write(questions::Ask { new, now }).await
    }

    async fn answer(&self, answer: NewAnswer, now: Timestamp) -> Result<Answered, AnswerError> {
        self.write(questions::Answer { answer, now }).await
    }

    async fn question(&self, id: QuestionId) -> Result<Option<QuestionEntry>, StoreError> {
        questions::question(&self.readers, id).await
    }

    async fn questions(&self, filter: QuestionFilter) -> Result<Vec<QuestionEntry>, StoreError> {
        questions::questions(&self.readers, filter).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn submit(&self, tasks: Vec<NewTask>, now: Timestamp) -> Result<Vec<Submitted>, SubmitError> {
        self.write(submit::Submit { tasks, now }).await
    }

    async fn apply(&self, task: TaskId, event: Event, now: Timestamp) -> Result<Applied, ApplyError> {
        self.write(apply::Apply { task, event, now }).await
    }

    async fn claim(&self, claim: Claim, now: Timestamp) -> Result<Vec<Claimed>, StoreError> {
        self.write(claim::ClaimTasks { claim, now }).await
    }

    async fn renew(&self, renewal: Renewal, now: Timestamp) -> Result<Vec<(AttemptId, Holding)>, StoreError> {
        self.write(lease::Renew { renewal, now }).await
    }

    async fn report(&self, reported: ReportedAttempt, now: Timestamp) -> Result<Reported, StoreError> {
        self.write(lease::AcceptReport { reported, now }).await
    }

    /// Batch by batch, each a transaction of its own, so that no one waits for a long one.
    async fn apply_due(&self, now: Timestamp) -> Result<Vec<Applied>, StoreError> {
        let mut all = Vec::new();
        loop {
            let batch = self.write(apply::ApplyDue { now }).await?;
            if batch.is_empty() {
                return Ok(all);
            }
            all.extend(batch);
        }
    }

    async fn grant_full_term(&self, now: Timestamp) -> Result<(), StoreError> {
        self.write(fleet::GrantFullTerm { now }).await
    }

    async fn register_worker(&self, worker: WorkerEntry, now: Timestamp) -> Result<(), StoreError> {
        self.write(fleet::Register { worker, now }).await
    }

    async fn drain_worker(
        &self,
        worker: WorkerId,
        hand_over_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(fleet::SetDrain { worker, drain: Some((now, hand_over_at)) }).await
    }

    async fn resume_worker(&self, worker: WorkerId) -> Result<bool, StoreError> {
        self.write(fleet::SetDrain { worker, drain: None }).await
    }

    async fn note_decline(&self, worker: WorkerId, why: String) -> Result<(), StoreError> {
        self.write(fleet::NoteDecline { worker, why }).await
    }

    async fn add_artifact(&self, artifact: ArtifactEntry, now: Timestamp) -> Result<(), StoreError> {
        self.write(artifact::KeepArtifact { artifact, now }).await
    }

    async fn keep_checkpoint(
        &self,
        taken: TakenCheckpoint,
        now: Timestamp,
    ) -> Result<Vec<ArtifactEntry>, CheckpointError> {
        self.write(checkpoint::KeepCheckpoint { taken, now }).await
    }

    async fn checkpoint(&self, attempt: AttemptId) -> Result<Option<Checkpoint>, StoreError> {
        checkpoint::checkpoint(&self.readers, attempt).await
    }

    async fn prune_logs(
        &self,
        logs: Vec<(AttemptId, u64, Because)>,
        now: Timestamp,
    ) -> Result<Vec<AttemptId>, StoreError> {
        self.write(retention::PruneLogs { logs, now }).await
    }

    async fn prune_artifacts(
        &self,
        artifacts: Vec<(ArtifactKey, Because)>,
        now: Timestamp,
    ) -> Result<Vec<ArtifactKey>, StoreError> {
        self.write(retention::PruneArtifacts { artifacts, now }).await
    }

    async fn resolve(&self, name: &str) -> Result<TaskId, ResolveError> {
        read::resolve(&self.readers, name).await
    }

    async fn task(&self, id: TaskId) -> Result<Option<TaskEntry>, StoreError> {
        read::task(&self.readers, id).await
    }

    async fn attempts(&self, task: TaskId) -> Result<Vec<AttemptEntry>, StoreError> {
        read::attempts(&self.readers, task).await
    }

    async fn attempt(&self, id: AttemptId) -> Result<Option<AttemptEntry>, StoreError> {
        read::attempt(&self.readers, id).await
    }

    async fn list(&self, filter: ListFilter) -> Result<Vec<TaskEntry>, StoreError> {
        list::list(&self.readers, &filter).await
    }

    async fn events_after(
        &self,
        cursor: u64,
        tasks: &[TaskId],
        limit: u32,
    ) -> Result<Vec<FeedEvent>, StoreError> {
        read::events_after(&self.readers, cursor, tasks, limit).await
    }

    fn feed(&self) -> watch::Receiver<u64> {
        self.feed.clone()
    }

    async fn workers(&self) -> Result<Vec<WorkerRow>, StoreError> {
        read::workers(&self.readers).await
    }

    async fn worker(&self, id: WorkerId) -> Result<Option<WorkerRow>, StoreError> {
        read::worker(&self.readers, id).await
    }

    async fn held_by(&self, worker: WorkerId) -> Result<Vec<HeldEntry>, StoreError> {
        read::held_by(&self.readers, worker).await
    }

    async fn artifacts(&self, attempt: AttemptId) -> Result<Vec<ArtifactEntry>, StoreError> {
        read::artifacts(&self.readers, attempt).await
    }

    async fn log_standings(&self, attempts: &[AttemptId]) -> Result<Vec<LogStanding>, StoreError> {
        retention::log_standings(&self.readers, attempts).await
    }

    async fn kept_artifacts(
        &self,
        after: Option<&ArtifactKey>,
        limit: u32,
    ) -> Result<Vec<KeptArtifact>, StoreError> {
        retention::kept_artifacts(&self.readers, after, limit).await
    }

    async fn pruned(&self, attempt: AttemptId) -> Result<Vec<Pruned>, StoreError> {
        retention::pruned(&self.readers, attempt).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        read::next_due(&self.readers).await
    }

    async fn live_count(&self) -> Result<u64, StoreError> {
        read::live_count(&self.readers).await
    }

    async fn close(&self) {
        self.readers.close().await;
        self.closing.cancel();
        self.tasks.wait().await;
    }
}
