//! Tasks that sessions elsewhere dispatched.

use async_trait::async_trait;

use super::SqliteStore;
use super::job::{Tx, Verb};
use super::rows::{self, TaskRow};
use super::statements::dispatch as statements;
use crate::store::{DispatchStore, StoreError, TaskEntry};

#[async_trait]
impl DispatchStore for SqliteStore {
    async fn reported_back_up_to(&self) -> Result<u64, StoreError> {
        let up_to: i64 = sqlx::query_scalar(statements::REPORTED_BACK_UP_TO).fetch_one(&self.readers).await?;
        rows::unsigned(up_to)
    }

    async fn dispatched_ended_between(&self, after: u64, up_to: u64) -> Result<Vec<TaskEntry>, StoreError> {
        let rows: Vec<TaskRow> = sqlx::query_as(statements::DISPATCHED_ENDED_BETWEEN)
            .bind(cursor(after))
            .bind(cursor(up_to))
            .fetch_all(&self.readers)
            .await?;
        rows.into_iter().map(TaskRow::read).collect()
    }

    async fn note_reported_back(&self, up_to: u64) -> Result<(), StoreError> {
        self.write(Note { up_to }).await
    }
}

fn cursor(cursor: u64) -> i64 {
    i64::try_from(cursor).unwrap_or(i64::MAX)
}

struct Note {
    up_to: u64,
}

impl Verb for Note {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        sqlx::query(statements::NOTE_REPORTED_BACK)
            .bind(cursor(self.up_to))
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}
