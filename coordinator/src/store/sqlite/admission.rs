//! What stands in the way of a task beside the want of a worker, read from the rows: see
//! [`factory_domain::admission`] for the rules.

use std::collections::{BTreeMap, HashMap, HashSet};

use factory_domain::schedule::rank;
use factory_domain::{
    AttemptId, Board, Capacity, Class, Holding, Limits, Needs, PathPattern, Preference, Running, TaskId,
    Timestamp, Wish,
};
use serde::Serialize;
use sqlx::SqliteConnection;

use super::job::Tx;
use super::rows::{self, to_json};
use super::statements::{self, admission};
use crate::store::{Claimed, StoreError};

/// Tasks of the queue that stand in the line at most. Those behind come up as it moves on; their
/// number bounds what a claim looks at.
pub(super) const LINE: usize = 256;

/// Classes of which tasks are queued, by the ids their tasks name them by.
pub(super) async fn queued_classes(
    connection: &mut SqliteConnection,
) -> Result<BTreeMap<i64, Class>, StoreError> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as(statements::QUEUED_PLACEMENTS).fetch_all(connection).await?;
    rows.into_iter().map(|(id, json)| Ok((id, rows::from_json(&json, "class")?))).collect()
}

/// What runs, by class.
pub(super) async fn running(connection: &mut SqliteConnection) -> Result<Running, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(admission::RUNNING).fetch_all(connection).await?;
    let mut running = Running::default();
    for (json, tasks) in rows {
        running.add(&rows::from_json::<Class>(&json, "class")?, rows::unsigned(tasks)?);
    }
    Ok(running)
}

/// A queued task that wants something for itself.
pub(super) struct Waiting {
    pub wish: Wish,
    /// The id of its class.
    pub class: i64,
    pub prefers: Option<Preference>,
}

#[derive(sqlx::FromRow)]
struct WaitingRow {
    id: Vec<u8>,
    number: i64,
    priority: i32,
    placement_id: i64,
    repo: Option<String>,
    files: Option<String>,
    keys: Option<String>,
    prefer_worker: Option<Vec<u8>>,
    prefer_until: Option<i64>,
}

impl WaitingRow {
    fn read(self) -> Result<Waiting, StoreError> {
        let needs = Needs {
            repo: self.repo,
            files: self.files.map_or_else(|| Ok(Vec::new()), |json| rows::from_json(&json, "touches"))?,
            keys: self.keys.map_or_else(|| Ok(Vec::new()), |json| rows::from_json(&json, "keys"))?,
        };
        let (task, number) = (rows::task_id(&self.id)?, rows::unsigned(self.number)?);
        Ok(Waiting {
            wish: Wish { task, rank: rank(self.priority, number), needs },
            class: self.placement_id,
            prefers: rows::preference(self.prefer_worker.as_deref(), self.prefer_until)?,
        })
    }
}

/// The line, as far as it is looked at: queued tasks that want something for themselves and that a
/// `connected` worker could take, in their order.
pub(super) async fn line(
    connection: &mut SqliteConnection,
    classes: &BTreeMap<i64, Class>,
    connected: &[&Capacity],
) -> Result<Vec<Waiting>, StoreError> {
    let could_be_taken = |class: &Class| connected.iter().any(|worker| class.requirements.met_by(worker));
    let classes = classes.iter().filter(|(_, class)| class.exclusive && could_be_taken(class));
    let classes: Vec<i64> = classes.map(|(id, _)| *id).collect();
    if classes.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<WaitingRow> = sqlx::query_as(admission::WAITING)
        .bind(to_json(&classes))
        .bind(i64::try_from(LINE).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let mut line = rows.into_iter().map(WaitingRow::read).collect::<Result<Vec<_>, _>>()?;
    line.sort_by_key(|waiting| waiting.wish.rank);
    line.truncate(LINE);
    Ok(line)
}

/// A task whose agent is at work and asks for files.
#[derive(sqlx::FromRow)]
pub(super) struct AtWorkRow {
    id: Vec<u8>,
    number: i64,
    priority: i32,
    pub repo: Option<String>,
    /// Of its attempt, where that was asked for.
    #[sqlx(default)]
    pub state: String,
    /// That it waits for.
    #[sqlx(default)]
    files: String,
}

impl AtWorkRow {
    pub(super) fn wish(self, files: Vec<PathPattern>) -> Result<Wish, StoreError> {
        let rank = rank(self.priority, rows::unsigned(self.number)?);
        let needs = Needs { repo: self.repo, files, keys: Vec::new() };
        Ok(Wish { task: rows::task_id(&self.id)?, rank, needs })
    }
}

/// Who has what, and who waits: at work, and of the queue those of `line`.
pub(super) async fn board<'l>(
    connection: &mut SqliteConnection,
    limits: &'l Limits,
    line: &[Waiting],
    now: Timestamp,
) -> Result<Board<'l>, StoreError> {
    let mut holdings = Vec::new();
    let files: Vec<(Vec<u8>, String, String)> =
        sqlx::query_as(admission::HELD_FILES).fetch_all(&mut *connection).await?;
    for (task, repo, files) in files {
        let needs = Needs { repo: Some(repo), files: patterns(&files)?, keys: Vec::new() };
        holdings.push(Holding { task: rows::task_id(&task)?, needs });
    }
    let keys: Vec<(Vec<u8>, String)> =
        sqlx::query_as(admission::HELD_KEYS).fetch_all(&mut *connection).await?;
    for (task, keys) in keys {
        let needs = Needs { keys: rows::from_json(&keys, "keys")?, ..Needs::default() };
        holdings.push(Holding { task: rows::task_id(&task)?, needs });
    }
    let at_work: Vec<AtWorkRow> =
        sqlx::query_as(admission::FILE_WISHES).bind(now.as_millis()).fetch_all(connection).await?;
    let mut wishes: Vec<Wish> = line.iter().map(|waiting| waiting.wish.clone()).collect();
    for row in at_work {
        let files = patterns(&row.files)?;
        wishes.push(row.wish(files)?);
    }
    Ok(Board::new(limits, holdings, wishes))
}

pub(super) fn patterns(json: &str) -> Result<Vec<PathPattern>, StoreError> {
    rows::from_json(json, "patterns")
}

#[derive(Serialize)]
struct FileTaken<'c> {
    attempt: AttemptId,
    repo: &'c str,
    pattern: &'c PathPattern,
    since: Timestamp,
    by_agent: u8,
}

#[derive(Serialize)]
struct KeyTaken<'c> {
    attempt: AttemptId,
    key: &'c str,
}

/// Writes down what tasks take with their leases.
pub(super) async fn take(tx: &mut Tx<'_>, claimed: &[Claimed], now: Timestamp) -> Result<(), StoreError> {
    let needs: Vec<(AttemptId, Needs)> = claimed
        .iter()
        .map(|one| (one.attempt, one.spec.needs()))
        .filter(|(_, needs)| !needs.is_empty())
        .collect();
    for (attempt, needs) in &needs {
        take_files(tx, *attempt, needs, false, now).await?;
    }
    let keys = needs
        .iter()
        .flat_map(|(attempt, needs)| needs.keys.iter().map(|key| KeyTaken { attempt: *attempt, key }));
    let keys: Vec<KeyTaken<'_>> = keys.collect();
    if !keys.is_empty() {
        sqlx::query(admission::TAKE_KEYS).bind(to_json(&keys)).execute(&mut *tx.connection).await?;
    }
    Ok(())
}

pub(super) async fn take_files(
    tx: &mut Tx<'_>,
    attempt: AttemptId,
    needs: &Needs,
    by_agent: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(repo) = needs.repo.as_deref().filter(|_| !needs.files.is_empty()) else { return Ok(()) };
    let by_agent = u8::from(by_agent);
    let files = needs.files.iter();
    let files: Vec<FileTaken<'_>> =
        files.map(|pattern| FileTaken { attempt, repo, pattern, since: now, by_agent }).collect();
    sqlx::query(admission::TAKE_FILES).bind(to_json(&files)).execute(&mut *tx.connection).await?;
    Ok(())
}

/// Numbers and titles of tasks.
pub(super) async fn titles(
    connection: &mut SqliteConnection,
    tasks: &HashSet<TaskId>,
) -> Result<HashMap<TaskId, crate::store::Other>, StoreError> {
    if tasks.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Vec<u8>, i64, String)> =
        sqlx::query_as(admission::TITLES).bind(to_json(tasks)).fetch_all(connection).await?;
    let others = rows.into_iter().map(|(id, number, title)| {
        let task = rows::task_id(&id)?;
        Ok((task, crate::store::Other { task, number: rows::unsigned(number)?, title }))
    });
    others.collect()
}
