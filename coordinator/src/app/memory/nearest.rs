//! Memories by their meaning: those whose vectors are nearest to a query's.

use std::time::Duration;

use factory_domain::memory::rank::near;

use crate::app::{App, Error};
use crate::store::{MemoryEntry, MemoryFilter};

impl App {
    /// Those that are near, nearest first, each with its cosine. `None` where no endpoint is
    /// configured, or it does not answer within `patience`.
    pub(super) async fn nearest(
        &self,
        query: &str,
        filter: MemoryFilter,
        patience: Duration,
    ) -> Result<Option<Vec<(MemoryEntry, f64)>>, Error> {
        let Some(embedder) = &self.embedder else { return Ok(None) };
        let Some(vector) = embedder.embed_query(query, patience).await else { return Ok(None) };
        let mut nearest = self.store.nearest_memories(vector, filter).await?;
        let best = nearest.first().map_or(0.0, |(_, cosine)| *cosine);
        nearest.retain(|(_, cosine)| *cosine >= near(best));
        Ok(Some(nearest))
    }
}
