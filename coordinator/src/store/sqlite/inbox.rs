//! What agents are to be told beside their work, and how far each has been told.

use factory_domain::{Notice, Notices, TaskId, Timestamp};
use serde::Serialize;
use sqlx::SqlitePool;

use super::job::{Tx, Verb};
use super::rows::{self, to_json};
use super::statements::inbox as statements;
use crate::store::StoreError;

/// Notices read at once; the rest come with the next look.
const PAGE: u32 = 50;

/// Something for the agent of one task.
#[derive(Serialize)]
pub(super) struct Entry {
    pub task: TaskId,
    pub notice: String,
}

impl Entry {
    pub(super) fn new(task: TaskId, notice: &Notice) -> Self {
        Self { task, notice: to_json(notice) }
    }
}

/// Puts notices where their tasks' agents find them, as part of what brought them about. Wherever a
/// task has ended, nobody is there to be told.
pub(super) async fn add(tx: &mut Tx<'_>, entries: &[Entry], now: Timestamp) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    sqlx::query(statements::ADD_NOTICES)
        .bind(to_json(&entries))
        .bind(now.as_millis())
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// The agent of `task` has been told all up to here.
pub(super) struct NoteTold {
    pub task: TaskId,
    pub up_to: u64,
}

impl Verb for NoteTold {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        sqlx::query(statements::NOTE_TOLD)
            .bind(&self.task.as_bytes()[..])
            .bind(i64::try_from(self.up_to).unwrap_or(i64::MAX))
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

pub(super) async fn notices(readers: &SqlitePool, task: TaskId, after: u64) -> Result<Notices, StoreError> {
    let rows: Vec<(i64, String)> = sqlx::query_as(statements::NOTICES)
        .bind(&task.as_bytes()[..])
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(PAGE)
        .fetch_all(readers)
        .await?;
    let mut found = Notices { notices: Vec::with_capacity(rows.len()), cursor: after };
    for (number, notice) in rows {
        found.cursor = found.cursor.max(rows::unsigned(number)?);
        found.notices.push(rows::from_json(&notice, "notice")?);
    }
    Ok(found)
}
