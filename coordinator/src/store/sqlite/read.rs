//! Reads, on the read-only pool: one statement each, no transaction that outlives it.

use factory_domain::{AttemptId, TaskId, Timestamp, WorkerId};
use sqlx::SqlitePool;
use uuid::Uuid;

use super::artifact::ArtifactRow;
use super::fleet::{FleetRow, HeldRow};
use super::rows::{self, AttemptRow, EventRow, TaskRow, to_json};
use super::statements;
use crate::store::{
    ArtifactEntry, AttemptEntry, FeedEvent, HeldEntry, ResolveError, StoreError, TaskEntry, WorkerRow,
};

/// Digits of an id that are enough to look for it.
const SHORTEST_PREFIX: usize = 4;

pub(super) async fn task(readers: &SqlitePool, id: TaskId) -> Result<Option<TaskEntry>, StoreError> {
    let row: Option<TaskRow> =
        sqlx::query_as(statements::TASK).bind(&id.as_bytes()[..]).fetch_optional(readers).await?;
    row.map(TaskRow::read).transpose()
}

pub(super) async fn attempts(readers: &SqlitePool, task: TaskId) -> Result<Vec<AttemptEntry>, StoreError> {
    let rows: Vec<AttemptRow> =
        sqlx::query_as(statements::ATTEMPTS_OF).bind(&task.as_bytes()[..]).fetch_all(readers).await?;
    rows.into_iter().map(AttemptRow::read).collect()
}

pub(super) async fn attempt(readers: &SqlitePool, id: AttemptId) -> Result<Option<AttemptEntry>, StoreError> {
    let row: Option<AttemptRow> =
        sqlx::query_as(statements::ATTEMPT).bind(&id.as_bytes()[..]).fetch_optional(readers).await?;
    row.map(AttemptRow::read).transpose()
}

pub(super) async fn events_after(
    readers: &SqlitePool,
    cursor: u64,
    tasks: &[TaskId],
    limit: u32,
) -> Result<Vec<FeedEvent>, StoreError> {
    let after = i64::try_from(cursor).unwrap_or(i64::MAX);
    let rows: Vec<EventRow> = if tasks.is_empty() {
        sqlx::query_as(statements::EVENTS_AFTER).bind(after).bind(limit).fetch_all(readers).await?
    } else {
        sqlx::query_as(statements::EVENTS_AFTER_OF)
            .bind(after)
            .bind(limit)
            .bind(to_json(&tasks))
            .fetch_all(readers)
            .await?
    };
    rows.into_iter().map(EventRow::read).collect()
}

pub(super) async fn workers(readers: &SqlitePool) -> Result<Vec<WorkerRow>, StoreError> {
    let rows: Vec<FleetRow> = sqlx::query_as(statements::WORKERS).fetch_all(readers).await?;
    rows.into_iter().map(FleetRow::read).collect()
}

pub(super) async fn worker(readers: &SqlitePool, id: WorkerId) -> Result<Option<WorkerRow>, StoreError> {
    let row: Option<FleetRow> =
        sqlx::query_as(statements::WORKER).bind(&id.as_bytes()[..]).fetch_optional(readers).await?;
    row.map(FleetRow::read).transpose()
}

pub(super) async fn held_by(readers: &SqlitePool, worker: WorkerId) -> Result<Vec<HeldEntry>, StoreError> {
    let rows: Vec<HeldRow> =
        sqlx::query_as(statements::HELD_BY).bind(&worker.as_bytes()[..]).fetch_all(readers).await?;
    rows.into_iter().map(HeldRow::read).collect()
}

pub(super) async fn artifacts(
    readers: &SqlitePool,
    attempt: AttemptId,
) -> Result<Vec<ArtifactEntry>, StoreError> {
    let rows: Vec<ArtifactRow> =
        sqlx::query_as(statements::ARTIFACTS).bind(&attempt.as_bytes()[..]).fetch_all(readers).await?;
    rows.into_iter().map(ArtifactRow::read).collect()
}

pub(super) async fn next_due(readers: &SqlitePool) -> Result<Option<Timestamp>, StoreError> {
    let due: Option<i64> = sqlx::query_scalar(statements::NEXT_DUE).fetch_one(readers).await?;
    Ok(due.map(Timestamp::from_millis))
}

pub(super) async fn live_count(readers: &SqlitePool) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar(statements::LIVE_COUNT).fetch_one(readers).await?;
    rows::unsigned(count)
}

/// The feed's newest cursor; zero where nothing has happened yet.
pub(super) async fn last_cursor(readers: &SqlitePool) -> Result<u64, StoreError> {
    let cursor: i64 = sqlx::query_scalar(statements::LAST_CURSOR).fetch_one(readers).await?;
    rows::unsigned(cursor)
}

/// A number is taken for a task's number before it is taken for the beginning of an id.
pub(super) async fn resolve(readers: &SqlitePool, name: &str) -> Result<TaskId, ResolveError> {
    if let Some(number) = as_number(name)
        && let Some(id) = by_number(readers, number).await?
    {
        return Ok(id);
    }
    let Some((first, last)) = as_prefix(name) else {
        return Err(ResolveError::NotFound(name.to_owned()));
    };
    match between(readers, first, last).await?[..] {
        [] => Err(ResolveError::NotFound(name.to_owned())),
        [id] => Ok(id),
        _ => Err(ResolveError::Ambiguous { name: name.to_owned() }),
    }
}

async fn by_number(readers: &SqlitePool, number: i64) -> Result<Option<TaskId>, StoreError> {
    let id: Option<Vec<u8>> =
        sqlx::query_scalar(statements::TASK_BY_NUMBER).bind(number).fetch_optional(readers).await?;
    id.as_deref().map(rows::task_id).transpose()
}

/// Two of the tasks with ids from `first` to `last`: enough to tell none, one and several apart.
async fn between(readers: &SqlitePool, first: Uuid, last: Uuid) -> Result<Vec<TaskId>, StoreError> {
    let ids: Vec<Vec<u8>> = sqlx::query_scalar(statements::TASKS_BETWEEN)
        .bind(&first.as_bytes()[..])
        .bind(&last.as_bytes()[..])
        .fetch_all(readers)
        .await?;
    ids.iter().map(|id| rows::task_id(id)).collect()
}

pub(super) fn as_number(name: &str) -> Option<i64> {
    name.bytes().all(|byte| byte.is_ascii_digit()).then(|| name.parse().ok()).flatten()
}

/// The smallest and the largest id that begin with `name`; a whole id is both.
pub(super) fn as_prefix(name: &str) -> Option<(Uuid, Uuid)> {
    let digits: String = name.chars().filter(|&c| c != '-').collect();
    let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !plain || !(SHORTEST_PREFIX..=32).contains(&digits.len()) {
        return None;
    }
    Some((Uuid::try_parse(&format!("{digits:0<32}")).ok()?, Uuid::try_parse(&format!("{digits:f<32}")).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_spans_the_ids_that_begin_with_it() {
        let (first, last) = as_prefix("0193-AB").expect("a prefix");
        assert_eq!(first.to_string(), "0193ab00-0000-0000-0000-000000000000");
        assert_eq!(last.to_string(), "0193abff-ffff-ffff-ffff-ffffffffffff");
        for none in ["", "019", "xyz1", "0193%", &"0".repeat(33)] {
            assert_eq!(as_prefix(none), None, "{none:?}");
        }
    }

    #[test]
    fn only_digits_are_a_number() {
        assert_eq!(as_number("42"), Some(42));
        assert_eq!(as_number("+42"), None);
        assert_eq!(as_number(""), None);
        assert_eq!(as_number("99999999999999999999"), None);
    }
}
