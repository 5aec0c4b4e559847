//! Reading what tasks start from.

use factory_domain::TaskId;
use sqlx::SqlitePool;

use super::rows::{TaskRow, to_json};
use super::statements::upstreams as statements;
use crate::store::{StoreError, TaskEntry};

pub(super) async fn needed_by(readers: &SqlitePool, tasks: &[TaskId]) -> Result<Vec<TaskEntry>, StoreError> {
    let rows: Vec<TaskRow> =
        sqlx::query_as(statements::NEEDED_BY).bind(to_json(&tasks)).fetch_all(readers).await?;
    rows.into_iter().map(TaskRow::read).collect()
}
