//! The coordinator's SQLite, for which simulated time stands still.
//!
//! SQLite works on threads of its own, in the host's time. Each verb is handed to a runtime over
//! there, and the simulation's thread waits for the answer: in the simulated world no time passes,
//! and nothing else happens meanwhile.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, mpsc};

use async_trait::async_trait;
use factory_coordinator::store::board::{
    BoardStore, HandoffEntry, HandoffFilter, HandoffName, MessageEntry, MessageFilter, MessageName,
    NewHandoff, NewMessage,
};
use factory_coordinator::store::sqlite::{OpenError, SqliteStore};
use factory_coordinator::store::workflow::{
    NewStep, NewWorkflow, PassedStep, StartError, StepEntry, WorkflowEntry, WorkflowFilter, WorkflowStore,
};
use factory_coordinator::store::{
    AddedRepo, CopyRow, DiskChange, DispatchStore, Inventory, RepoAdded, RepoStore, WorktreeFilter,
    WorktreeRow,
};
use factory_coordinator::store::{
    AnswerError, Answered, Applied, ApplyError, ArtifactEntry, ArtifactKey, AskError, Asked, AttemptEntry,
    CancelError, CancelledFamily, CheckpointError, Claim, Claimed, Embedding, FamilyStore, FeedEvent,
    HeldEntry, Holding, InboxStore, KeptArtifact, ListFilter, LogStanding, MemoryEntry, MemoryFilter,
    MemoryStore, NewAnswer, NewMemory, NewQuestion, NewTask, Pruned, QuestionEntry, QuestionFilter,
    QuestionStore, Relative, Renewal, Reported, ReportedAttempt, ResolveError, Rules, SavedMemory, Stats,
    StatsStore, Store, StoreError, SubmitError, Submitted, TakenCheckpoint, TaskEntry, UpstreamStore,
    WorkerEntry, WorkerRow,
};
use factory_coordinator::store::{FileLock, LockStore, Locking, QueuedTask, Wait, WantedFiles};
use factory_domain::family::Bounds;
use factory_domain::workflow::WorkflowState;
use factory_domain::{
    AttemptId, Because, Capacity, Checkpoint, Event, Notices, PathPattern, Progress, QuestionId, SessionId,
    TaskId, Timestamp, WorkerId, WorkflowId,
};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Runs `work` in the host's own time and blocks until it is done.
pub fn outside<T: Send + 'static>(host: &Handle, work: impl Future<Output = T> + Send + 'static) -> T {
    let (answer, answered) = mpsc::sync_channel(1);
    host.spawn(async move { answer.send(work.await) });
    answered.recv().expect("work outside of simulated time panicked")
}

pub struct TimelessStore {
    inner: Arc<SqliteStore>,
    host: Handle,
    /// As the inner store's, but told on the simulation's thread.
    feed: watch::Sender<u64>,
    board: watch::Sender<u64>,
}

impl TimelessStore {
    pub fn open(host: Handle, path: &Path, rules: Rules) -> Result<Self, OpenError> {
        // On a thread of its own, since this future must stay on one.
        let opened =
            std::thread::scope(|scope| scope.spawn(|| host.block_on(SqliteStore::open(path, rules))).join());
        let inner = Arc::new(opened.expect("opening the database panicked")?);
        let feed = watch::Sender::new(*inner.feed().borrow());
        let board = watch::Sender::new(*inner.board().borrow());
        Ok(Self { inner, host, feed, board })
    }

    fn ask<T: Send + 'static>(&self, verb: impl Future<Output = T> + Send + 'static) -> T {
        let answer = outside(&self.host, verb);
        // The store tells its heads before it answers.
        for (told, head) in [(&self.feed, self.inner.feed()), (&self.board, self.inner.board())] {
            let head = *head.borrow();
            told.send_if_modified(|last| std::mem::replace(last, head) != head);
        }
        answer
    }
}

impl Drop for TimelessStore {
    /// As when the coordinator's process ends: the next one finds the file idle.
    fn drop(&mut self) {
        let inner = Arc::clone(&self.inner);
        self.ask(async move { inner.close().await });
    }
}

/// A trait, each verb of it asked outside, and what does not fit that form as it is.
macro_rules! ask_outside {
    ($trait:ident: $($verb:ident($($argument:ident: $type:ty),*) -> $answer:ty;)* $({ $($rest:tt)* })?) => {
        #[async_trait]
        impl $trait for TimelessStore {
            $(async fn $verb(&self, $($argument: $type),*) -> $answer {
                let inner = Arc::clone(&self.inner);
                self.ask(async move { inner.$verb($($argument),*).await })
            })*
            $($($rest)*)?
        }
    };
}

ask_outside! {
    InboxStore:
    notices(task: TaskId, after: u64) -> Result<Notices, StoreError>;
    note_told(task: TaskId, up_to: u64) -> Result<(), StoreError>;
}

ask_outside! {
    MemoryStore:
    save_memory(memory: NewMemory, now: Timestamp) -> Result<SavedMemory, StoreError>;
    memories(filter: MemoryFilter) -> Result<Vec<MemoryEntry>, StoreError>;
    search_memories(terms: Vec<String>, filter: MemoryFilter) -> Result<Vec<(MemoryEntry, f64)>, StoreError>;
    nearest_memories(query: Embedding, filter: MemoryFilter) -> Result<Vec<(MemoryEntry, f64)>, StoreError>;
    memories_to_embed(model: String, after: u64, limit: u32) -> Result<Vec<(u64, String)>, StoreError>;
    keep_vectors(vectors: Vec<(u64, Embedding)>) -> Result<(), StoreError>;
    summarised_up_to() -> Result<u64, StoreError>;
    ended_between(after: u64, up_to: u64) -> Result<Vec<TaskEntry>, StoreError>;
    save_summaries(summaries: Vec<NewMemory>, up_to: u64, now: Timestamp) -> Result<(), StoreError>;
}

ask_outside! {
    RepoStore:
    add_repo(repo: AddedRepo) -> Result<RepoAdded, StoreError>;
    remove_repo(name: String) -> Result<bool, StoreError>;
    added_repos() -> Result<Vec<AddedRepo>, StoreError>;
    keep_inventory(worker: WorkerId, session: SessionId, inventory: Inventory) -> Result<bool, StoreError>;
    note_on_disk(worker: WorkerId, change: DiskChange) -> Result<(), StoreError>;
    repo_copies(repo: Option<String>) -> Result<Vec<CopyRow>, StoreError>;
    worktrees(filter: WorktreeFilter) -> Result<Vec<WorktreeRow>, StoreError>;
    live_tasks_of_repos() -> Result<Vec<(String, u64)>, StoreError>;
}

ask_outside! {
    DispatchStore:
    reported_back_up_to() -> Result<u64, StoreError>;
    dispatched_ended_between(after: u64, up_to: u64) -> Result<Vec<TaskEntry>, StoreError>;
    note_reported_back(up_to: u64) -> Result<(), StoreError>;
}

ask_outside! {
    LockStore:
    lock_files(wanted: WantedFiles, now: Timestamp) -> Result<Locking, StoreError>;
    unlock_files(attempt: AttemptId, paths: Vec<PathPattern>) -> Result<bool, StoreError>;
    files_of(task: TaskId) -> Result<Vec<FileLock>, StoreError>;
    waits(
        queued: Vec<QueuedTask>,
        connected: Arc<[Capacity]>,
        now: Timestamp
    ) -> Result<HashMap<TaskId, Wait>, StoreError>;
}

ask_outside! {
    FamilyStore:
    submit_child(child: NewTask, bounds: Bounds, now: Timestamp) -> Result<Submitted, SubmitError>;
    cancel(task: TaskId, with_children: bool, now: Timestamp) -> Result<CancelledFamily, CancelError>;
    note_progress(task: TaskId, attempt: AttemptId, progress: Progress) -> Result<bool, StoreError>;
    related(tasks: Vec<TaskId>, most: u32) -> Result<Vec<Relative>, StoreError>;
}

ask_outside! {
    StatsStore:
    stats(repo: Option<String>) -> Result<Stats, StoreError>;
}

ask_outside! {
    UpstreamStore:
    needed_by(tasks: Vec<TaskId>) -> Result<Vec<TaskEntry>, StoreError>;
}

ask_outside! {
    QuestionStore:
    ask(new: NewQuestion, now: Timestamp) -> Result<Asked, AskError>;
    answer(answer: NewAnswer, now: Timestamp) -> Result<Answered, AnswerError>;
    question(id: QuestionId) -> Result<Option<QuestionEntry>, StoreError>;
    questions(filter: QuestionFilter) -> Result<Vec<QuestionEntry>, StoreError>;
}

ask_outside! {
    BoardStore:
    post(message: NewMessage, now: Timestamp) -> Result<MessageEntry, StoreError>;
    message(name: MessageName) -> Result<Option<MessageEntry>, StoreError>;
    messages(filter: MessageFilter) -> Result<Vec<MessageEntry>, StoreError>;
    thread(first: u64, limit: u32) -> Result<Vec<MessageEntry>, StoreError>;
    unread(task: TaskId, limit: u32) -> Result<Vec<MessageEntry>, StoreError>;
    note_read(task: TaskId, messages: Vec<u64>) -> Result<(), StoreError>;
    hand_off(handoff: NewHandoff, now: Timestamp) -> Result<HandoffEntry, StoreError>;
    handoff(name: HandoffName) -> Result<Option<HandoffEntry>, StoreError>;
    handoffs(filter: HandoffFilter) -> Result<Vec<HandoffEntry>, StoreError>;
    {
        fn board(&self) -> watch::Receiver<u64> {
            self.board.subscribe()
        }
    }
}

ask_outside! {
    WorkflowStore:
    start_workflow(new: NewWorkflow, now: Timestamp) -> Result<WorkflowEntry, StartError>;
    workflow(id: WorkflowId) -> Result<Option<WorkflowEntry>, StoreError>;
    workflows(filter: WorkflowFilter) -> Result<Vec<WorkflowEntry>, StoreError>;
    open_workflows() -> Result<Vec<WorkflowId>, StoreError>;
    workflow_steps(id: WorkflowId) -> Result<Vec<StepEntry>, StoreError>;
    begin_step(step: NewStep, now: Timestamp) -> Result<Option<Submitted>, SubmitError>;
    pass_step(step: PassedStep, now: Timestamp) -> Result<bool, StoreError>;
    end_workflow(id: WorkflowId, state: WorkflowState, now: Timestamp) -> Result<bool, StoreError>;
    wish_workflow_ended(id: WorkflowId, now: Timestamp) -> Result<bool, StoreError>;
    {
        async fn resolve_workflow(&self, name: &str) -> Result<WorkflowId, ResolveError> {
            let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
            self.ask(async move { inner.resolve_workflow(&name).await })
        }
    }
}

ask_outside! {
    Store:
    submit(tasks: Vec<NewTask>, now: Timestamp) -> Result<Vec<Submitted>, SubmitError>;
    apply(task: TaskId, event: Event, now: Timestamp) -> Result<Applied, ApplyError>;
    claim(claim: Claim, now: Timestamp) -> Result<Vec<Claimed>, StoreError>;
    renew(renewal: Renewal, now: Timestamp) -> Result<Vec<(AttemptId, Holding)>, StoreError>;
    report(report: ReportedAttempt, now: Timestamp) -> Result<Reported, StoreError>;
    apply_due(now: Timestamp) -> Result<Vec<Applied>, StoreError>;
    grant_full_term(now: Timestamp) -> Result<(), StoreError>;
    register_worker(worker: WorkerEntry, now: Timestamp) -> Result<(), StoreError>;
    drain_worker(worker: WorkerId, hand_over_at: Option<Timestamp>, now: Timestamp) -> Result<bool, StoreError>;
    resume_worker(worker: WorkerId) -> Result<bool, StoreError>;
    note_decline(worker: WorkerId, why: String) -> Result<(), StoreError>;
    add_artifact(artifact: ArtifactEntry, now: Timestamp) -> Result<(), StoreError>;
    keep_checkpoint(taken: TakenCheckpoint, now: Timestamp) -> Result<Vec<ArtifactEntry>, CheckpointError>;
    checkpoint(attempt: AttemptId) -> Result<Option<Checkpoint>, StoreError>;
    prune_logs(logs: Vec<(AttemptId, u64, Because)>, now: Timestamp) -> Result<Vec<AttemptId>, StoreError>;
    prune_artifacts(
        artifacts: Vec<(ArtifactKey, Because)>,
        now: Timestamp
    ) -> Result<Vec<ArtifactKey>, StoreError>;
    task(id: TaskId) -> Result<Option<TaskEntry>, StoreError>;
    attempts(task: TaskId) -> Result<Vec<AttemptEntry>, StoreError>;
    attempt(id: AttemptId) -> Result<Option<AttemptEntry>, StoreError>;
    list(filter: ListFilter) -> Result<Vec<TaskEntry>, StoreError>;
    workers() -> Result<Vec<WorkerRow>, StoreError>;
    worker(id: WorkerId) -> Result<Option<WorkerRow>, StoreError>;
    held_by(worker: WorkerId) -> Result<Vec<HeldEntry>, StoreError>;
    artifacts(attempt: AttemptId) -> Result<Vec<ArtifactEntry>, StoreError>;
    pruned(attempt: AttemptId) -> Result<Vec<Pruned>, StoreError>;
    next_due() -> Result<Option<Timestamp>, StoreError>;
    live_count() -> Result<u64, StoreError>;
    close() -> ();
    {
        async fn resolve(&self, name: &str) -> Result<TaskId, ResolveError> {
            let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
            self.ask(async move { inner.resolve(&name).await })
        }

        async fn events_after(
            &self,
            cursor: u64,
            tasks: &[TaskId],
            limit: u32,
        ) -> Result<Vec<FeedEvent>, StoreError> {
            let (inner, tasks) = (Arc::clone(&self.inner), tasks.to_vec());
            self.ask(async move { inner.events_after(cursor, &tasks, limit).await })
        }

        async fn log_standings(&self, attempts: &[AttemptId]) -> Result<Vec<LogStanding>, StoreError> {
            let (inner, attempts) = (Arc::clone(&self.inner), attempts.to_vec());
            self.ask(async move { inner.log_standings(&attempts).await })
        }

        async fn kept_artifacts(
            &self,
            after: Option<&ArtifactKey>,
            limit: u32,
        ) -> Result<Vec<KeptArtifact>, StoreError> {
            let (inner, after) = (Arc::clone(&self.inner), after.cloned());
            self.ask(async move { inner.kept_artifacts(after.as_ref(), limit).await })
        }

        fn feed(&self) -> watch::Receiver<u64> {
            self.feed.subscribe()
        }
    }
}
