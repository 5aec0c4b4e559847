//! What a use case can answer instead of its result.

use factory_domain::{AttemptId, Rejected, TaskId, WorkflowId};
use factory_proto::protocol::{Skew, Versions};

use super::repos::JobError;
use crate::artifacts::ArtifactError;
use crate::library::Unusable;
use crate::logs::LogError;
use crate::store::{
    AnswerError, ApplyError, AskError, CheckpointError, ResolveError, StoreError, SubmitError,
};

/// One field that cannot be accepted, by its path in the request: `tasks[2].prompt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    pub field: String,
    pub why: String,
}

impl FieldViolation {
    pub fn new(field: impl Into<String>, why: impl ToString) -> Self {
        Self { field: field.into(), why: why.to_string() }
    }
}

/// The expected errors are apart from those of the store and the disk, which are nobody's fault who asks.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}", say(.0))]
    Invalid(Vec<FieldViolation>),
    #[error("there is no task `{0}`")]
    NoSuchTask(String),
    #[error("there is no message `{0}`")]
    NoSuchMessage(String),
    #[error("there is no handoff `{0}`")]
    NoSuchHandoff(String),
    #[error("task {task} has no attempt {number}")]
    NoSuchAttempt { task: TaskId, number: u32 },
    #[error(
        "there is no place {attempt}:{offset} in this task's logs: that of attempt {attempt} ends at {end}"
    )]
    NoSuchPlace { attempt: u32, offset: u64, end: u64 },
    #[error("no {what} is kept of task {task}")]
    NoSuchArtifact { task: TaskId, what: String },
    #[error("no checkpoint is kept of attempt {0}")]
    NoCheckpoint(AttemptId),
    #[error("a file of checkpoint {number} of attempt {attempt} is not here; upload it first")]
    CheckpointFileMissing { number: u32, attempt: AttemptId },
    /// Something was kept, and is no longer: when and why.
    #[error("{0}")]
    Removed(String),
    #[error("`{0}` is the beginning of several task ids; give more of it")]
    AmbiguousTask(String),
    #[error("there is no question `{0}`")]
    UnknownQuestion(String),
    #[error("there is no question `{0}` of this task")]
    NoSuchQuestion(String),
    #[error("{0}")]
    NotAnswered(AnswerError),
    #[error("there is no worker `{0}`")]
    NoSuchWorker(String),
    #[error("`{name}` means several workers: {meant}; give more of the name, or the id")]
    AmbiguousWorker { name: String, meant: String },
    #[error(
        "there is no repository `{0}`; `factoryctl repos list` shows those there are, `repos add` adds one"
    )]
    NoSuchRepo(String),
    #[error("the name `{name}` is taken: it stands for {other}; choose another with --name")]
    RepoNameTaken { name: String, other: String },
    #[error("repository {repo} is not removed: {why}")]
    RepoInUse { repo: String, why: String },
    #[error("no host has a worktree of branch `{branch}` of {repo}")]
    NoSuchWorktree { repo: String, branch: String },
    #[error(
        "task {task} ({state}) works in the worktree of `{branch}`; cancel it first, or wait for its end"
    )]
    WorktreeInUse { branch: String, task: u64, state: String },
    /// In the worker's words.
    #[error("{0}; to lose that with it, say so: --force, or ?force=true")]
    WorktreeRefused(String),
    #[error(transparent)]
    RepoJob(#[from] JobError),
    #[error("there is no workflow `{0}`")]
    NoSuchWorkflow(String),
    #[error("idempotency key `{key}` was used before for a different workflow, {existing}")]
    WorkflowKeyReused { key: String, existing: WorkflowId },
    #[error("idempotency key `{key}` was used before for a different {what}, {number}")]
    KeyUsed { key: String, what: &'static str, number: u64 },
    #[error("workflow {number} has ended already ({state})")]
    WorkflowHasEnded { number: u64, state: &'static str },
    #[error("idempotency key `{key}` of tasks[{index}] was used before for a different task, {existing}")]
    KeyReused { index: usize, key: String, existing: TaskId },
    #[error("task {task} has ended already ({state})")]
    HasEnded { task: TaskId, state: &'static str },
    #[error("task {task} has not ended ({state}); cancel it first, or wait")]
    HasNotEnded { task: TaskId, state: &'static str },
    #[error(transparent)]
    Library(Unusable),
    #[error("task {task} waits for task {needs}, which did not succeed; retry that one first")]
    NeedsRetryFirst { task: TaskId, needs: u64 },
    #[error("agents' tasks can be {most} deep at most; do this part in the task at hand")]
    TooDeep { most: u32 },
    #[error("{live} subtasks have not ended; wait for some of them before you submit more")]
    TooManyChildren { live: u32 },
    #[error("task `{0}` is neither yours, nor a child of yours, nor one that yours waited for")]
    NotKin(String),
    #[error("attempt {0} is superseded: it is not this worker's, or is no longer open")]
    NotYours(AttemptId),
    #[error(
        "the worker's release ({release}) speaks protocol {theirs}, and this coordinator's ({own}) speaks {ours}; {step}",
        own = env!("CARGO_PKG_VERSION"),
        ours = Versions::SPOKEN,
        step = upgrade(*.skew),
    )]
    Protocol { release: String, theirs: Versions, skew: Skew },
    #[error("the worker did not say {0}")]
    Silent(&'static str),
    #[error("this session is over: a newer one of the same worker is connected, or nobody read this one")]
    SessionOver,
    #[error("the coordinator is stopping")]
    Stopping,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Logs(#[from] LogError),
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    #[error("cannot read the artifact")]
    ReadArtifact(#[source] std::io::Error),
}

impl Error {
    pub fn invalid(field: impl Into<String>, why: impl ToString) -> Self {
        Self::Invalid(vec![FieldViolation::new(field, why)])
    }
}

/// Coordinators go first: each also speaks what the workers of the release before it speak.
fn upgrade(skew: Skew) -> &'static str {
    match skew {
        Skew::TheyAreOlder => "upgrade the worker",
        Skew::TheyAreNewer => "upgrade the coordinator; it goes before its workers",
    }
}

fn say(violations: &[FieldViolation]) -> String {
    let all: Vec<_> = violations.iter().map(|v| format!("{} {}", v.field, v.why)).collect();
    all.join("; ")
}

impl From<SubmitError> for Error {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::KeyReused { index, key, existing } => Self::KeyReused { index, key, existing },
            SubmitError::TooDeep { most } => Self::TooDeep { most },
            SubmitError::TooManyChildren { live } => Self::TooManyChildren { live },
            SubmitError::Store(error) => Self::Store(error),
        }
    }
}

impl From<CheckpointError> for Error {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::NotYours(attempt) => Self::NotYours(attempt),
            CheckpointError::FileMissing { number, attempt } => {
                Self::CheckpointFileMissing { number, attempt }
            }
            CheckpointError::Store(error) => Self::Store(error),
        }
    }
}

impl From<AskError> for Error {
    fn from(error: AskError) -> Self {
        match error {
            AskError::NotYours(attempt) => Self::NotYours(attempt),
            AskError::Store(error) => Self::Store(error),
        }
    }
}

impl From<AnswerError> for Error {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Store(error) => Self::Store(error),
            AnswerError::NotAnAnswer(why) => Self::invalid("text", why),
            AnswerError::NoSuchQuestion(name) => Self::NoSuchQuestion(name),
            error => Self::NotAnswered(error),
        }
    }
}

impl From<ResolveError> for Error {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotFound(name) => Self::NoSuchTask(name),
            ResolveError::Ambiguous { name } => Self::AmbiguousTask(name),
            ResolveError::Store(error) => Self::Store(error),
        }
    }
}

/// How an event about an attempt was taken, once the store's own trouble is out of the way.
pub enum Refusal {
    Rejected(Rejected),
    NoSuchTask,
}

/// Tells a refusal by the rules, which the caller answers, from a failure, which it passes on.
pub fn refusal(error: ApplyError) -> Result<Refusal, StoreError> {
    match error {
        ApplyError::NoSuchTask(_) => Ok(Refusal::NoSuchTask),
        ApplyError::Rejected(rejected) => Ok(Refusal::Rejected(rejected)),
        ApplyError::Store(error) => Err(error),
    }
}
