//! What a verb of the store may answer instead.

use std::path::Path;
use std::sync::Arc;

use factory_domain::{AttemptId, Rejected, TaskId};

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
    #[error("the agents' tasks would be more than {most} deep")]
    TooDeep { most: u32 },
    #[error("{live} children of the task have not ended")]
    TooManyChildren { live: u32 },
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
pub enum CancelError {
    #[error("there is no task {0}")]
    NoSuchTask(TaskId),
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
