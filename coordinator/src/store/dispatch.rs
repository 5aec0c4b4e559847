//! Tasks that sessions elsewhere dispatched, and how far those have been told of their ends.

use async_trait::async_trait;

use super::{StoreError, TaskEntry};

#[async_trait]
pub trait DispatchStore: Send + Sync {
    /// How far in the feed the ends of dispatched tasks were reported back.
    async fn reported_back_up_to(&self) -> Result<u64, StoreError>;

    /// Tasks of sessions elsewhere that ended after one cursor of the feed, up to another.
    async fn dispatched_ended_between(&self, after: u64, up_to: u64) -> Result<Vec<TaskEntry>, StoreError>;

    async fn note_reported_back(&self, up_to: u64) -> Result<(), StoreError>;
}
