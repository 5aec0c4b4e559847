//! The vectors of memories: kept as they come, compared one by one.

use std::collections::HashMap;

use futures_util::TryStreamExt;
use serde::Serialize;
use sqlx::SqlitePool;

use super::job::{Tx, Verb};
use super::memory::{Bound, by_number, filtered};
use super::rows::{self, to_json};
use super::statements::memory as statements;
use crate::store::memory::MOST_COMPARED;
use crate::store::{Embedding, MemoryEntry, MemoryFilter, StoreError};

const BYTES: usize = size_of::<f32>();

pub(super) struct KeepVectors {
    pub vectors: Vec<(u64, Embedding)>,
}

#[derive(Serialize)]
struct Line<'a> {
    number: u64,
    model: &'a str,
    dimensions: usize,
    vector: String,
}

impl Verb for KeepVectors {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let lines = self.vectors.iter().map(|(number, embedding)| Line {
            number: *number,
            model: &embedding.model,
            dimensions: embedding.vector.len(),
            vector: hex::encode(embedding.vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>()),
        });
        sqlx::query(statements::KEEP_VECTORS)
            .bind(to_json(&lines.collect::<Vec<_>>()))
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

pub(super) async fn to_embed(
    readers: &SqlitePool,
    model: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<(u64, String)>, StoreError> {
    let rows: Vec<(i64, String)> = sqlx::query_as(statements::MEMORIES_TO_EMBED)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(model)
        .bind(limit)
        .fetch_all(readers)
        .await?;
    rows.into_iter().map(|(number, content)| Ok((rows::unsigned(number)?, content))).collect()
}

/// Vectors are read as a stream and dropped as soon as they are compared, so that memory is not
/// taken by all of them.
pub(super) async fn nearest(
    readers: &SqlitePool,
    query: &Embedding,
    filter: &MemoryFilter,
) -> Result<Vec<(MemoryEntry, f64)>, StoreError> {
    let dimensions = i64::try_from(query.vector.len()).unwrap_or(i64::MAX);
    let mut scored: Vec<(i64, f64)> = Vec::new();
    let mut vectors = filtered!(sqlx::query_as::<_, (i64, Vec<u8>)>(statements::VECTORS), Bound::of(filter))
        .bind(&query.model)
        .bind(dimensions)
        .bind(MOST_COMPARED)
        .fetch(readers);
    while let Some((number, vector)) = vectors.try_next().await? {
        scored.push((number, cosine(&query.vector, &vector)));
    }
    drop(vectors);
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
    scored.truncate(filter.limit as usize);
    let numbers: Vec<i64> = scored.iter().map(|(number, _)| *number).collect();
    let entries = by_number(readers, &numbers).await?;
    let scores: HashMap<i64, f64> = scored.into_iter().collect();
    let score = |entry: &MemoryEntry| i64::try_from(entry.number).ok().and_then(|n| scores.get(&n).copied());
    Ok(entries.into_iter().filter_map(|entry| score(&entry).map(|score| (entry, score))).collect())
}

/// Both are of unit length.
fn cosine(query: &[f32], bytes: &[u8]) -> f64 {
    let (values, _) = bytes.as_chunks::<BYTES>();
    let product: f32 = query.iter().zip(values).map(|(x, y)| x * f32::from_le_bytes(*y)).sum();
    f64::from(product)
}
