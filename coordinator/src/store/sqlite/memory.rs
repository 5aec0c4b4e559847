//! What tasks have learned, how it is kept, and how it is read.

use std::collections::BTreeSet;

use factory_domain::memory::{normalised, says_the_same, words};
use factory_domain::{Memory, MemoryId, MemoryKind, RepoSource, Scope, Slug, TaskId, Timestamp};
use serde::Serialize;
use sha2::{Digest, Sha256};
use sqlx::SqlitePool;

use super::job::{Tx, Verb};
use super::rows::{self, TaskRow, corrupt, from_json, to_json};
use super::statements::memory as statements;
use crate::store::{MemoryEntry, MemoryFilter, NewMemory, SavedMemory, StoreError, TaskEntry, Within};

/// Memories of one task that a new one is compared with.
const COMPARED: u32 = 100;

#[derive(sqlx::FromRow)]
pub(super) struct MemoryRow {
    number: i64,
    id: Vec<u8>,
    at: i64,
    kind: String,
    content: String,
    tags: String,
    repo: Option<String>,
    project: Option<String>,
    role: Option<String>,
    task_id: Option<Vec<u8>>,
    is_summary: bool,
    task_number: Option<i64>,
}

impl MemoryRow {
    pub(super) fn read(self) -> Result<MemoryEntry, StoreError> {
        let repo = self.repo.as_deref().map(RepoSource::parse).transpose().map_err(corrupt)?;
        let memory = Memory {
            kind: self.kind.parse::<MemoryKind>().map_err(corrupt)?,
            content: self.content,
            tags: from_json::<BTreeSet<String>>(&self.tags, "tags")?,
            scope: Scope { repo, project: self.project },
            role: self.role.as_deref().map(Slug::parse).transpose().map_err(corrupt)?,
            task: self.task_id.as_deref().map(rows::task_id).transpose()?,
            is_summary: self.is_summary,
        };
        Ok(MemoryEntry {
            id: MemoryId::from_slice(&self.id).map_err(corrupt)?,
            number: rows::unsigned(self.number)?,
            at: Timestamp::from_millis(self.at),
            memory,
            task_number: self.task_number.map(rows::unsigned).transpose()?,
        })
    }
}

fn read_all(rows: Vec<MemoryRow>) -> Result<Vec<MemoryEntry>, StoreError> {
    rows.into_iter().map(MemoryRow::read).collect()
}

/// A filter as the statements take it.
pub(super) struct Bound {
    pub rule: &'static str,
    pub repo: Option<String>,
    pub project: Option<String>,
    pub kinds: String,
    pub tags: String,
}

impl Bound {
    pub(super) fn of(filter: &MemoryFilter) -> Self {
        let (rule, scope) = match &filter.within {
            Within::Named(scope) => ("named", scope),
            Within::For(scope) => ("for", scope),
        };
        Self {
            rule,
            repo: scope.repo.clone().map(String::from),
            project: scope.project.clone(),
            kinds: to_json(&filter.kinds),
            tags: to_json(&filter.tags),
        }
    }
}

/// Binds a filter's five parameters to a query.
macro_rules! filtered {
    ($query:expr, $bound:expr) => {
        $query.bind($bound.rule).bind($bound.repo).bind($bound.project).bind($bound.kinds).bind($bound.tags)
    };
}
pub(super) use filtered;

pub(super) struct SaveMemory {
    pub new: NewMemory,
    pub now: Timestamp,
}

impl Verb for SaveMemory {
    type Output = SavedMemory;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<SavedMemory, StoreError> {
        if let Some(entry) = find_same(tx, &self.new).await? {
            return Ok(SavedMemory { entry, existed: true });
        }
        let added = add(tx, std::slice::from_ref(&self.new), self.now).await?;
        let numbers: Vec<i64> = added.iter().map(|(number, _)| *number).collect();
        let row: MemoryRow = sqlx::query_as(statements::MEMORIES_BY_NUMBER)
            .bind(to_json(&numbers))
            .fetch_one(&mut *tx.connection)
            .await?;
        Ok(SavedMemory { entry: row.read()?, existed: false })
    }
}

async fn find_same(tx: &mut Tx<'_>, new: &NewMemory) -> Result<Option<MemoryEntry>, StoreError> {
    if let Some(key) = &new.idempotency_key {
        let row: Option<MemoryRow> =
            sqlx::query_as(statements::MEMORY_OF_KEY).bind(key).fetch_optional(&mut *tx.connection).await?;
        if let Some(row) = row {
            return row.read().map(Some);
        }
    }
    let row: Option<MemoryRow> = sqlx::query_as(statements::MEMORY_OF_DIGEST)
        .bind(&digest(&new.memory)[..])
        .fetch_optional(&mut *tx.connection)
        .await?;
    if let Some(row) = row {
        return row.read().map(Some);
    }
    let Some(task) = new.memory.task else { return Ok(None) };
    let rows: Vec<MemoryRow> = sqlx::query_as(statements::MEMORIES_OF_TASK)
        .bind(&task.as_bytes()[..])
        .bind(COMPARED)
        .fetch_all(&mut *tx.connection)
        .await?;
    let same = |row: &MemoryRow| {
        row.kind == new.memory.kind.as_str() && says_the_same(&row.content, &new.memory.content)
    };
    rows.into_iter().find(same).map(MemoryRow::read).transpose()
}

pub(super) struct SaveSummaries {
    pub summaries: Vec<NewMemory>,
    pub up_to: u64,
    pub now: Timestamp,
}

impl Verb for SaveSummaries {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        if !self.summaries.is_empty() {
            add(tx, &self.summaries, self.now).await?;
        }
        sqlx::query(statements::NOTE_SUMMARISED)
            .bind(i64::try_from(self.up_to).unwrap_or(i64::MAX))
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

/// A memory as `ADD_MEMORIES` reads it.
#[derive(Serialize)]
struct Line<'a> {
    id: MemoryId,
    kind: MemoryKind,
    content: &'a str,
    tags: &'a BTreeSet<String>,
    repo: Option<&'a RepoSource>,
    project: Option<&'a str>,
    role: Option<&'a Slug>,
    task: Option<TaskId>,
    is_summary: bool,
    key: Option<&'a str>,
    digest: String,
}

#[derive(Serialize)]
struct Indexed<'a> {
    number: i64,
    content: &'a str,
    parts: String,
    tags: String,
}

/// Rows, and their words in the index; answers with the numbers of those that were not there.
async fn add(
    tx: &mut Tx<'_>,
    memories: &[NewMemory],
    now: Timestamp,
) -> Result<Vec<(i64, Vec<u8>)>, StoreError> {
    let lines: Vec<Line<'_>> = memories.iter().map(line).collect();
    let added: Vec<(i64, Vec<u8>)> = sqlx::query_as(statements::ADD_MEMORIES)
        .bind(to_json(&lines))
        .bind(now.as_millis())
        .fetch_all(&mut *tx.connection)
        .await?;
    let indexed = added.iter().filter_map(|(number, id)| {
        let Memory { content, tags, .. } = &memories.iter().find(|new| new.id.as_bytes() == &id[..])?.memory;
        let tags = tags.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        Some(Indexed { number: *number, content, parts: words::parts_of_names(content), tags })
    });
    sqlx::query(statements::INDEX_MEMORIES)
        .bind(to_json(&indexed.collect::<Vec<_>>()))
        .execute(&mut *tx.connection)
        .await?;
    Ok(added)
}

fn line(new: &NewMemory) -> Line<'_> {
    let memory = &new.memory;
    Line {
        id: new.id,
        kind: memory.kind,
        content: &memory.content,
        tags: &memory.tags,
        repo: memory.scope.repo.as_ref(),
        project: memory.scope.project.as_deref(),
        role: memory.role.as_ref(),
        task: memory.task,
        is_summary: memory.is_summary,
        key: new.idempotency_key.as_deref(),
        digest: hex::encode(digest(memory)),
    }
}

fn digest(memory: &Memory) -> [u8; 32] {
    let repo = memory.scope.repo.clone().map(String::from).unwrap_or_default();
    let project = memory.scope.project.as_deref().unwrap_or_default();
    let words = normalised(&memory.content);
    Sha256::digest(format!("{repo}\n{project}\n{words}")).into()
}

pub(super) async fn list(
    readers: &SqlitePool,
    filter: &MemoryFilter,
) -> Result<Vec<MemoryEntry>, StoreError> {
    let before = filter.before.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX);
    let rows = filtered!(sqlx::query_as(statements::MEMORIES), Bound::of(filter))
        .bind(before)
        .bind(filter.of_tasks)
        .bind(filter.limit)
        .fetch_all(readers)
        .await?;
    read_all(rows)
}

#[derive(sqlx::FromRow)]
struct ScoredRow {
    #[sqlx(flatten)]
    memory: MemoryRow,
    score: f64,
}

pub(super) async fn search(
    readers: &SqlitePool,
    terms: &[String],
    filter: &MemoryFilter,
) -> Result<Vec<(MemoryEntry, f64)>, StoreError> {
    if terms.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<ScoredRow> = filtered!(sqlx::query_as(statements::SEARCH_MEMORIES), Bound::of(filter))
        .bind(any_of(terms))
        .bind(filter.limit)
        .fetch_all(readers)
        .await?;
    rows.into_iter().map(|row| Ok((row.memory.read()?, row.score))).collect()
}

/// An FTS5 expression. In quotes a term is a term, whatever it spells.
fn any_of(terms: &[String]) -> String {
    let quoted: Vec<String> = terms.iter().map(|term| format!("\"{}\"", term.replace('"', ""))).collect();
    quoted.join(" OR ")
}

pub(super) async fn by_number(readers: &SqlitePool, numbers: &[i64]) -> Result<Vec<MemoryEntry>, StoreError> {
    let rows =
        sqlx::query_as(statements::MEMORIES_BY_NUMBER).bind(to_json(&numbers)).fetch_all(readers).await?;
    read_all(rows)
}

pub(super) async fn summarised_up_to(readers: &SqlitePool) -> Result<u64, StoreError> {
    let up_to: i64 = sqlx::query_scalar(statements::SUMMARISED_UP_TO).fetch_one(readers).await?;
    rows::unsigned(up_to)
}

pub(super) async fn ended_between(
    readers: &SqlitePool,
    after: u64,
    up_to: u64,
) -> Result<Vec<TaskEntry>, StoreError> {
    let bound = |cursor: u64| i64::try_from(cursor).unwrap_or(i64::MAX);
    let rows: Vec<TaskRow> = sqlx::query_as(statements::ENDED_BETWEEN)
        .bind(bound(after))
        .bind(bound(up_to))
        .fetch_all(readers)
        .await?;
    rows.into_iter().map(TaskRow::read).collect()
}
