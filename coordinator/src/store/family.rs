//! A task and its children.

use async_trait::async_trait;
use factory_domain::family::Bounds;
use factory_domain::{AttemptId, Progress, Rejected, TaskId, Timestamp};

use super::{Applied, CancelError, NewTask, StoreError, SubmitError, Submitted};

#[async_trait]
pub trait FamilyStore: Send + Sync {
    /// Accepts a task that the agent of its parent submits, within `bounds`. Its key is looked at
    /// first: the same again finds the first, however many there are by now.
    async fn submit_child(
        &self,
        child: NewTask,
        bounds: Bounds,
        now: Timestamp,
    ) -> Result<Submitted, SubmitError>;

    /// Wishes the end of a task, and with it of its children and theirs where that is asked for.
    async fn cancel(
        &self,
        task: TaskId,
        with_children: bool,
        now: Timestamp,
    ) -> Result<CancelledFamily, CancelError>;

    /// What an agent says of how far it is. `false`: its attempt is not the task's live one.
    async fn note_progress(
        &self,
        task: TaskId,
        attempt: AttemptId,
        progress: Progress,
    ) -> Result<bool, StoreError>;

    /// These tasks, and all that they hang together with: by what waits for what, and by parents and
    /// children. The nearest come first, and at most `most` in all.
    async fn related(&self, tasks: Vec<TaskId>, most: u32) -> Result<Vec<Relative>, StoreError>;
}

/// A task as others stand to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relative {
    pub id: TaskId,
    pub number: u64,
    pub title: String,
    /// By name, as in [`factory_domain::TaskState::NAMES`].
    pub state: String,
    pub parent: Option<TaskId>,
    /// Those it waits for, or has waited for.
    pub after: Vec<TaskId>,
}

/// What came of the wish that a task end.
#[derive(Debug)]
pub struct CancelledFamily {
    /// Of the task itself; its children may have been asked to end all the same.
    pub task: Result<Applied, Rejected>,
    pub children: Vec<Applied>,
    /// Children and theirs that were asked to end, or ended by it.
    pub cancelled: u32,
    /// Those that go on.
    pub live: u32,
}
