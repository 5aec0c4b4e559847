//! Vectors for memories that have none of the model configured.

use crate::app::{App, Error};
use crate::embeddings::{EmbedError, Embedder};
use crate::store::Embedding;

/// Texts sent at once.
const BATCH: u32 = 32;

/// Why memories are left without vectors.
#[derive(Debug, thiserror::Error)]
pub enum EmbedFailure {
    #[error(transparent)]
    App(#[from] Error),
    #[error(transparent)]
    Endpoint(#[from] EmbedError),
}

impl App {
    /// Makes the vectors of all memories after `after` that lack one, and moves it on: it begins at
    /// 0 with each start, since the model may be another.
    pub(crate) async fn embed_memories(
        &self,
        embedder: &Embedder,
        after: &mut u64,
    ) -> Result<(), EmbedFailure> {
        while !self.stopping.is_cancelled() {
            let model = embedder.model().to_owned();
            let batch = self.store.memories_to_embed(model, *after, BATCH).await.map_err(Error::from)?;
            let Some((last, _)) = batch.last() else { return Ok(()) };
            let last = *last;
            let vectors = embed(embedder, batch).await?;
            self.store.keep_vectors(vectors).await.map_err(Error::from)?;
            *after = last;
        }
        Ok(())
    }
}

/// Where one text of a batch is refused, the others are not made to suffer for it: it is found by words alone.
async fn embed(embedder: &Embedder, batch: Vec<(u64, String)>) -> Result<Vec<(u64, Embedding)>, EmbedError> {
    let texts: Vec<&str> = batch.iter().map(|(_, text)| text.as_str()).collect();
    match embedder.embed(&texts).await {
        Ok(vectors) => return Ok(batch.iter().map(|(number, _)| *number).zip(vectors).collect()),
        Err(error) if error.is_about_the_texts() => {}
        Err(error) => return Err(error),
    }
    let mut vectors = Vec::new();
    for (number, text) in &batch {
        match embedder.embed(&[text]).await {
            Ok(found) => vectors.extend(found.into_iter().map(|vector| (*number, vector))),
            Err(error) if error.is_about_the_texts() => {
                tracing::warn!(memory = number, %error, "a memory stays without a vector until the next start");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(vectors)
}
