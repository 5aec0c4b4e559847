//! The coordinator's rows, read by a connection of our own: what is durable, not what anyone says.

use std::path::Path;

use factory_domain::{AttemptId, Event, Report, TaskId, TaskState, Timestamp};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

/// Live attempts, as a task may have one.
const LIVE: &str = "('offered', 'accepted', 'running', 'unreachable')";

pub struct Rows(SqliteConnection);

pub struct TaskRow {
    pub id: TaskId,
    /// Under which it was submitted.
    pub key: String,
    pub state: String,
    pub max_attempts: u32,
}

pub struct AttemptRow {
    pub id: AttemptId,
    pub task: TaskId,
    pub number: u32,
    pub state: String,
    pub report: Option<Report>,
}

pub struct EventRow {
    pub cursor: i64,
    pub at: Timestamp,
    pub task: TaskId,
    /// `None`: the submit.
    pub event: Option<Event>,
    pub state: TaskState,
}

type Answer<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

impl Rows {
    pub async fn open(database: &Path) -> Answer<Self> {
        let options = SqliteConnectOptions::new().filename(database).read_only(true);
        Ok(Self(options.connect().await?))
    }

    /// What must never be: a sentence each.
    pub async fn doubles(&mut self) -> Answer<Vec<String>> {
        let query = format!(
            "SELECT hex(task_id), state, count(*) FROM attempts \
             WHERE state IN {LIVE} OR state = 'succeeded' \
             GROUP BY task_id, state = 'succeeded' HAVING count(*) > 1"
        );
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as(sqlx::AssertSqlSafe(query)).fetch_all(&mut self.0).await?;
        let sentence = |(task, state, count)| format!("task {task} has {count} attempts {state}, or live");
        Ok(rows.into_iter().map(sentence).collect())
    }

    pub async fn unfinished(&mut self) -> Answer<Vec<String>> {
        let query = "SELECT idempotency_key || ' is ' || state FROM tasks WHERE ended_at IS NULL";
        Ok(sqlx::query_scalar(query).fetch_all(&mut self.0).await?)
    }

    pub async fn tasks(&mut self) -> Answer<Vec<TaskRow>> {
        let query = "SELECT id, coalesce(idempotency_key, ''), state, spec ->> '$.max_attempts' \
                     FROM tasks ORDER BY number";
        let rows: Vec<(Vec<u8>, String, String, u32)> = sqlx::query_as(query).fetch_all(&mut self.0).await?;
        let read = |(id, key, state, max_attempts): (Vec<u8>, _, _, _)| {
            Ok(TaskRow { id: TaskId::from_slice(&id)?, key, state, max_attempts })
        };
        rows.into_iter().map(read).collect()
    }

    pub async fn attempts(&mut self) -> Answer<Vec<AttemptRow>> {
        let query = "SELECT id, task_id, number, state, report FROM attempts ORDER BY task_id, number";
        type Row = (Vec<u8>, Vec<u8>, u32, String, Option<String>);
        let rows: Vec<Row> = sqlx::query_as(query).fetch_all(&mut self.0).await?;
        let read = |(id, task, number, state, report): Row| {
            Ok(AttemptRow {
                id: AttemptId::from_slice(&id)?,
                task: TaskId::from_slice(&task)?,
                number,
                state,
                report: report.map(parse).transpose()?,
            })
        };
        rows.into_iter().map(read).collect()
    }

    pub async fn events(&mut self) -> Answer<Vec<EventRow>> {
        let query = "SELECT cursor, at, task_id, event, state FROM events ORDER BY cursor";
        type Row = (i64, i64, Vec<u8>, Option<String>, String);
        let rows: Vec<Row> = sqlx::query_as(query).fetch_all(&mut self.0).await?;
        let read = |(cursor, at, task, event, state): Row| {
            Ok(EventRow {
                cursor,
                at: Timestamp::from_millis(at),
                task: TaskId::from_slice(&task)?,
                event: event.map(parse).transpose()?,
                state: parse(state)?,
            })
        };
        rows.into_iter().map(read).collect()
    }
}

fn parse<T: DeserializeOwned>(text: String) -> Answer<T> {
    serde_json::from_str(&text).map_err(|error| format!("{error} in {text}").into())
}
