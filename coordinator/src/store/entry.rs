//! What the store knows, as its reading verbs show it.

use factory_domain::{
    AgentKind, AttemptId, AttemptState, Because, Continuation, DependencyPolicy, Labels, Left, Preference,
    Progress, Report, SessionId, Settled, Tally, TaskId, TaskSpec, TaskState, Timestamp, WorkerId,
    WorkflowId,
};

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
    /// Of its agent, that nobody has answered.
    pub open_questions: u32,
    /// Of the deciding attempt.
    pub report: Option<Report>,
    /// Those it waits for, or has waited for, in the order given at the submit.
    pub after: Vec<Needed>,
    pub on_failed_dependency: DependencyPolicy,
    /// It is blocked until someone lets it go.
    pub held: bool,
    /// With its short number.
    pub parent: Option<(TaskId, u64)>,
    pub goes_on_from: Option<TaskId>,
    /// It is a step of this one.
    pub workflow: Option<WorkflowId>,
    /// Tasks that name it as their parent.
    pub children: u32,
    /// By its agent's newest word.
    pub progress: Option<Progress>,
}

/// A task that another waits for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Needed {
    pub id: TaskId,
    pub number: u64,
    /// By name, as in [`TaskState::NAMES`].
    pub state: String,
    /// How it ended for the one that waits; `None`: it has not.
    pub settled: Option<Settled>,
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
    pub role: Option<String>,
    /// The session elsewhere that dispatched them.
    pub session: Option<String>,
    /// Only children of this task.
    pub parent: Option<TaskId>,
    /// Only steps of this workflow.
    pub workflow: Option<WorkflowId>,
    /// Words, "phrases" and beginnings* that title, prompt, branch or issue must have, all of them.
    pub search: Option<String>,
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
