//! The work of others that a task starts from.

use async_trait::async_trait;
use factory_domain::TaskId;

use super::{StoreError, TaskEntry};

#[async_trait]
pub trait UpstreamStore: Send + Sync {
    /// Those that `tasks` go on from or wait for, in the order in which their branches are merged.
    /// Prompts are not loaded.
    async fn needed_by(&self, tasks: Vec<TaskId>) -> Result<Vec<TaskEntry>, StoreError>;
}
