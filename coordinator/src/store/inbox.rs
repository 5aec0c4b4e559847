//! What agents are to be told beside their work.

use async_trait::async_trait;
use factory_domain::{Notices, TaskId};

use super::StoreError;

#[async_trait]
pub trait InboxStore: Send + Sync {
    /// What the agent of `task` has not been told and that comes after `after`, oldest first; a page of it.
    async fn notices(&self, task: TaskId, after: u64) -> Result<Notices, StoreError>;

    /// The agent has been told all up to `up_to`: no later attempt of the task is told it again.
    async fn note_told(&self, task: TaskId, up_to: u64) -> Result<(), StoreError>;
}
