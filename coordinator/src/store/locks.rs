//! Files that agents take for themselves at work, and what tasks in the queue wait for.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use async_trait::async_trait;
use factory_domain::limits::Reached;
use factory_domain::schedule::rank;
use factory_domain::{AttemptId, Capacity, Class, PathPattern, TaskId, Timestamp, Wish};
use uuid::Uuid;

use super::{StoreError, TaskEntry};

#[async_trait]
pub trait LockStore: Send + Sync {
    /// Takes files for a live attempt, all of them or none. Where others are in the way, it stands in
    /// the line for them until `until`; asking again keeps its place. Past that time it only takes
    /// what is free, and leaves the line.
    async fn lock_files(&self, wanted: WantedFiles, now: Timestamp) -> Result<Locking, StoreError>;

    /// Gives back what an attempt's agent took itself: these paths as they were taken, or all where
    /// none are given. `false`: there was nothing to give back.
    async fn unlock_files(&self, attempt: AttemptId, paths: Vec<PathPattern>) -> Result<bool, StoreError>;

    /// The files that a task has for itself.
    async fn files_of(&self, task: TaskId) -> Result<Vec<FileLock>, StoreError>;

    /// What those of the tasks wait for, beside a worker, that wait for a limit, a key or files.
    async fn waits(
        &self,
        queued: Vec<QueuedTask>,
        connected: Arc<[Capacity]>,
        now: Timestamp,
    ) -> Result<HashMap<TaskId, Wait>, StoreError>;
}

/// A task in the queue, as far as others can be in its way.
#[derive(Debug, Clone)]
pub struct QueuedTask {
    pub class: Class,
    pub wish: Wish,
}

impl From<&TaskEntry> for QueuedTask {
    fn from(entry: &TaskEntry) -> Self {
        let TaskEntry { id, number, ref spec, .. } = *entry;
        let wish = Wish { task: id, rank: rank(spec.priority, number), needs: spec.needs() };
        Self { class: spec.class(), wish }
    }
}

/// Files that an agent at work asks for.
#[derive(Debug, Clone)]
pub struct WantedFiles {
    pub attempt: AttemptId,
    pub paths: Vec<PathPattern>,
    /// Names this wish: a later one of the same attempt takes its place.
    pub call: Uuid,
    pub until: Timestamp,
    /// As in a claim: tasks nobody could take do not stand in the line.
    pub connected: Arc<[Capacity]>,
}

#[derive(Debug, Clone)]
pub enum Locking {
    /// All of them are the attempt's.
    Granted,
    /// Who has what is in the way, or will have it first.
    Waits(Vec<FileInTheWay>),
    /// Waiting would never end: these wait one for the next, and the last for the one who asks.
    Circle(Vec<Other>),
    /// A later wish of the same attempt has taken the place of this one.
    Overtaken,
    /// The task has no repository, so that there are no files to share.
    NoRepository,
    /// The attempt has ended.
    Over,
}

#[derive(Debug, Clone)]
pub struct FileLock {
    pub path: PathPattern,
    pub since: Timestamp,
}

#[derive(Debug, Clone)]
pub struct FileInTheWay {
    pub path: PathPattern,
    pub by: Other,
    /// Since when it is held; `None`: it is not, and goes to that task first.
    pub since: Option<Timestamp>,
}

/// Another task, as people and agents are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    pub task: TaskId,
    pub number: u64,
    pub title: String,
}

impl fmt::Display for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} ({})", self.number, self.title)
    }
}

/// What a queued task waits for, beside a worker.
#[derive(Debug, Clone)]
pub enum Wait {
    Limit(Reached),
    Key { key: String, limit: NonZeroU32, by: Other },
    File { path: PathPattern, held: bool, by: Other },
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(reached) => write!(f, "{reached}"),
            Self::Key { key, limit, by } if limit.get() == 1 => {
                write!(f, "the key {key}, which goes to {by} first")
            }
            Self::Key { key, limit, by } => {
                write!(f, "the key {key}, which {limit} task(s) may have at a time, {by} among them")
            }
            Self::File { path, held: true, by } => write!(f, "{path} held by {by}"),
            Self::File { path, held: false, by } => write!(f, "{path}, which goes to {by} first"),
        }
    }
}
