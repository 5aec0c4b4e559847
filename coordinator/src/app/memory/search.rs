//! Memories by what they say.

use std::collections::HashMap;
use std::time::Duration;

use factory_domain::memory::rank::fuse;
use factory_domain::memory::words::query_terms;
use factory_domain::{MemoryKind, Scope};

use crate::app::{Acting, App, Error};
use crate::store::{MemoryEntry, MemoryFilter, Within};

/// Bytes of a query that are looked at.
const MAX_QUERY: usize = 16 * 1024;
/// Memories of each ranking that are joined: as many as one answer holds.
const CANDIDATES: u32 = MAX_LIMIT;
/// For the vector of a query.
const PATIENCE: Duration = Duration::from_secs(3);
const DEFAULT_LIMIT: u32 = 10;
const MAX_LIMIT: u32 = 100;

#[derive(Debug, Default)]
pub struct MemoryQuery {
    pub query: String,
    /// Empty: all.
    pub repo: String,
    pub project: String,
    pub kinds: Vec<MemoryKind>,
    pub tags: Vec<String>,
    /// 0: the default.
    pub limit: u32,
}

/// What was found, best first, each with its score.
#[derive(Debug)]
pub struct Ranked {
    pub hits: Vec<(MemoryEntry, f64)>,
    pub ranking: &'static str,
}

impl App {
    pub async fn search_memories(&self, query: MemoryQuery) -> Result<Ranked, Error> {
        let within = Within::Named(self.named_scope(&query.repo, query.project)?);
        self.ranked(&query.query, within, query.kinds, query.tags, query.limit).await
    }

    /// As an agent asks: among what its task may be told, unless it asks for all.
    pub async fn search_memories_for(
        &self,
        acting: &Acting,
        query: MemoryQuery,
        everywhere: bool,
    ) -> Result<Ranked, Error> {
        let within = if everywhere {
            Within::default()
        } else {
            let no_task = || Error::NoSuchTask(acting.task.to_string());
            let spec = self.store.task(acting.task).await?.ok_or_else(no_task)?.spec;
            Within::For(Scope { repo: spec.repo.map(|repo| repo.canonical()), project: spec.project })
        };
        self.ranked(&query.query, within, query.kinds, query.tags, query.limit).await
    }

    async fn ranked(
        &self,
        query: &str,
        within: Within,
        kinds: Vec<MemoryKind>,
        tags: Vec<String>,
        limit: u32,
    ) -> Result<Ranked, Error> {
        if query.trim().is_empty() {
            return Err(Error::invalid("query", "is empty; say what to look for"));
        }
        let limit = match limit {
            0 => DEFAULT_LIMIT,
            limit if limit <= MAX_LIMIT => limit,
            limit => return Err(Error::invalid("limit", format!("is {limit}; at most {MAX_LIMIT}"))),
        };
        let limit = limit as usize;
        let filter = MemoryFilter { within, kinds, tags, limit: CANDIDATES, ..MemoryFilter::default() };
        let query = &query[..query.floor_char_boundary(MAX_QUERY)];
        let mut by_words = self.store.search_memories(query_terms(query), filter.clone()).await?;
        let Some(nearest) = self.nearest(query, filter, PATIENCE).await? else {
            by_words.truncate(limit);
            return Ok(Ranked { hits: by_words, ranking: "bm25" });
        };
        let mut hits = joined(by_words, nearest);
        hits.truncate(limit);
        Ok(Ranked { hits, ranking: "hybrid" })
    }
}

/// Both rankings as one, best first.
fn joined(by_words: Vec<(MemoryEntry, f64)>, nearest: Vec<(MemoryEntry, f64)>) -> Vec<(MemoryEntry, f64)> {
    let places = |ranking: &[(MemoryEntry, f64)]| ranking.iter().map(|(entry, _)| entry.number).collect();
    let fused = fuse(&[places(&by_words), places(&nearest)]);
    let mut entries: HashMap<u64, MemoryEntry> =
        by_words.into_iter().chain(nearest).map(|(entry, _)| (entry.number, entry)).collect();
    fused.into_iter().filter_map(|(number, score)| Some((entries.remove(&number)?, score))).collect()
}

impl App {
    /// A scope as callers name it.
    pub(super) fn named_scope(&self, repo: &str, project: String) -> Result<Scope, Error> {
        let repo = if repo.is_empty() { None } else { Some(self.read_repo(repo)?.canonical()) };
        Ok(Scope { repo, project: Some(project).filter(|project| !project.is_empty()) })
    }
}
