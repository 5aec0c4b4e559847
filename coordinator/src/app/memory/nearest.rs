//! Memories by their meaning: those whose vectors are nearest to a query's.

use std::time::Duration;

use crate::app::{App, Error};
use crate::store::{MemoryEntry, MemoryFilter};

impl App {
    /// Nearest first, each with its cosine; nothing where no endpoint is configured, it does not
    /// answer within `patience`, or nothing has a vector of its model yet.
    pub(super) async fn nearest(
        &self,
        query: &str,
        filter: MemoryFilter,
        patience: Duration,
    ) -> Result<Vec<(MemoryEntry, f64)>, Error> {
        let Some(embedder) = &self.embedder else { return Ok(Vec::new()) };
        let Some(vector) = embedder.embed_query(query, patience).await else { return Ok(Vec::new()) };
        Ok(self.store.nearest_memories(vector, filter).await?)
    }
}
