//! Sums, as triggers keep them.

use sqlx::SqlitePool;

use super::rows;
use super::statements::stats as statements;
use crate::store::{Stats, StoreError};

pub(super) async fn stats(readers: &SqlitePool, repo: Option<&str>) -> Result<Stats, StoreError> {
    // One snapshot: no task is counted twice, or in between.
    let mut reader = readers.begin().await?;
    let states: Vec<(String, i64)> =
        sqlx::query_as(statements::TASKS_BY_STATE).bind(repo).fetch_all(&mut *reader).await?;
    let (attempts, cost, input, output): (i64, i64, i64, i64) =
        sqlx::query_as(statements::USAGE).bind(repo).fetch_one(&mut *reader).await?;
    let (open_questions,): (i64,) =
        sqlx::query_as(statements::OPEN_QUESTIONS).bind(repo).fetch_one(&mut *reader).await?;
    reader.rollback().await?;
    let states = states.into_iter().map(|(state, tasks)| Ok((state, rows::unsigned(tasks)?)));
    Ok(Stats {
        states: states.collect::<Result<_, StoreError>>()?,
        attempts: rows::unsigned(attempts)?,
        cost_micro_usd: rows::unsigned(cost)?,
        input_tokens: rows::unsigned(input)?,
        output_tokens: rows::unsigned(output)?,
        open_questions: rows::unsigned(open_questions)?,
    })
}
