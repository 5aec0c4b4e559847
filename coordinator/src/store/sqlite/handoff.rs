//! Handoffs: what one task gives another, and to which tasks each has come.

use std::collections::HashMap;

use factory_domain::board::HandedOn;
use factory_domain::{HandoffId, Notice, Slug, TaskId, Timestamp, WorkflowId};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::board::{LIVE, position, task_name};
use super::inbox;
use super::job::{Tx, Verb};
use super::rows::{self, corrupt, from_json, to_json};
use super::statements::board::{self as statements, handoff_columns};
use crate::store::board::HANDED_AT_MOST;
use crate::store::{HandoffEntry, HandoffFilter, HandoffName, HandoffTo, NewHandoff, StoreError};

/// Handoffs of one task that come to a task submitted after them: the last.
const HANDED_BY_ONE: u32 = 10;

pub(super) struct HandOff {
    pub handoff: NewHandoff,
    pub now: Timestamp,
}

impl Verb for HandOff {
    type Output = HandoffEntry;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<HandoffEntry, StoreError> {
        hand_off(tx, &self.handoff, self.now).await
    }
}

/// Keeps a handoff and tells those it comes to, as part of whatever brought it about.
pub(super) async fn hand_off(
    tx: &mut Tx<'_>,
    handoff: &NewHandoff,
    now: Timestamp,
) -> Result<HandoffEntry, StoreError> {
    if let Some(earlier) = earlier(tx, handoff).await? {
        return Ok(earlier);
    }
    let entry = keep(tx, handoff, now).await?;
    sqlx::query(statements::TELL_OF_HANDOFF)
        .bind(position(entry.number))
        .bind(now.as_millis())
        .bind(to_json(&handed_on(&entry).notice()))
        .execute(&mut *tx.connection)
        .await?;
    Ok(entry)
}

/// Keeps a handoff without telling of it, for whom it comes to knows of it otherwise.
pub(super) async fn keep(
    tx: &mut Tx<'_>,
    handoff: &NewHandoff,
    now: Timestamp,
) -> Result<HandoffEntry, StoreError> {
    let number = add(tx, handoff, now).await?;
    let row: HandoffRow =
        sqlx::query_as(statements::HANDOFF_NUMBERED).bind(number).fetch_one(&mut *tx.connection).await?;
    let entry = row.read()?;
    hand_to(tx, &entry).await?;
    Ok(entry)
}

/// The handoff already kept under this key.
async fn earlier(tx: &mut Tx<'_>, handoff: &NewHandoff) -> Result<Option<HandoffEntry>, StoreError> {
    let Some(key) = &handoff.key else { return Ok(None) };
    let row: Option<HandoffRow> =
        sqlx::query_as(statements::HANDOFF_UNDER_KEY).bind(key).fetch_optional(&mut *tx.connection).await?;
    row.map(HandoffRow::read).transpose()
}

/// Answers with its number.
async fn add(tx: &mut Tx<'_>, handoff: &NewHandoff, now: Timestamp) -> Result<i64, StoreError> {
    let (to_task, to_role) = match &handoff.to {
        HandoffTo::Task(task) => (Some(&task.as_bytes()[..]), None),
        HandoffTo::Role(role) => (None, Some(role.as_str())),
        HandoffTo::Dependents => (None, None),
    };
    let (workflow, iteration) = handoff.workflow.unzip();
    Ok(sqlx::query_scalar(statements::HAND_OFF)
        .bind(&handoff.id.as_bytes()[..])
        .bind(now.as_millis())
        .bind(&handoff.from_task.as_bytes()[..])
        .bind(handoff.from_attempt.as_ref().map(|attempt| &attempt.as_bytes()[..]))
        .bind(to_task)
        .bind(to_role)
        .bind(workflow.as_ref().map(|workflow| &workflow.as_bytes()[..]))
        .bind(iteration.unwrap_or(0))
        .bind(&handoff.context)
        .bind(to_json(&handoff.artifacts))
        .bind(&handoff.branch)
        .bind(&handoff.key)
        .fetch_one(&mut *tx.connection)
        .await?)
}

async fn hand_to(tx: &mut Tx<'_>, entry: &HandoffEntry) -> Result<(), StoreError> {
    let (task, states, role): (_, &[&str], _) = match &entry.to {
        HandoffTo::Task(task) => (Some(&task.as_bytes()[..]), &[], None),
        HandoffTo::Role(role) => (None, LIVE, Some(role.as_str())),
        HandoffTo::Dependents => (None, &[], None),
    };
    let needed = match entry.to {
        HandoffTo::Dependents => Some(&entry.from.id.as_bytes()[..]),
        HandoffTo::Task(_) | HandoffTo::Role(_) => None,
    };
    sqlx::query(statements::HAND_TO)
        .bind(position(entry.number))
        .bind(task)
        .bind(to_json(&states))
        .bind(role)
        .bind(HANDED_AT_MOST)
        .bind(needed)
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// Gives new tasks what those they depend on have handed on already.
pub(super) async fn hand_to_dependents(
    tx: &mut Tx<'_>,
    tasks: &[TaskId],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut handed: Vec<(Vec<u8>, i64)> = sqlx::query_as(statements::HAND_TO_DEPENDENTS)
        .bind(to_json(&tasks))
        .bind(HANDED_BY_ONE)
        .fetch_all(&mut *tx.connection)
        .await?;
    if handed.is_empty() {
        return Ok(());
    }
    handed.sort_by_key(|(_, handoff)| *handoff);
    let numbers: Vec<i64> = handed.iter().map(|(_, handoff)| *handoff).collect();
    let rows: Vec<HandoffRow> = sqlx::query_as(statements::HANDOFFS_NUMBERED)
        .bind(to_json(&numbers))
        .fetch_all(&mut *tx.connection)
        .await?;
    let notices: HashMap<i64, Notice> = rows
        .into_iter()
        .map(|row| Ok((row.number, handed_on(&row.read()?).notice())))
        .collect::<Result<_, StoreError>>()?;
    let mut entries = Vec::with_capacity(handed.len());
    for (task, handoff) in &handed {
        if let Some(notice) = notices.get(handoff) {
            entries.push(inbox::Entry::new(rows::task_id(task)?, notice));
        }
    }
    inbox::add(tx, &entries, now).await
}

fn handed_on(entry: &HandoffEntry) -> HandedOn<'_> {
    HandedOn {
        number: entry.number,
        from_task: entry.from.number,
        from_title: &entry.from_title,
        from_role: entry.from_role.as_deref(),
        context: &entry.context,
        artifacts: &entry.artifacts,
        branch: entry.branch.as_deref(),
        iteration: entry.workflow.map_or(0, |(_, iteration)| iteration),
    }
}

pub(super) async fn handoff(
    readers: &SqlitePool,
    name: HandoffName,
) -> Result<Option<HandoffEntry>, StoreError> {
    let row: Option<HandoffRow> = match name {
        HandoffName::Id(id) => {
            let wanted = sqlx::query_as(statements::HANDOFF_WITH_ID).bind(&id.as_bytes()[..]);
            wanted.fetch_optional(readers).await?
        }
        HandoffName::Number(number) => {
            let wanted = sqlx::query_as(statements::HANDOFF_NUMBERED).bind(position(number));
            wanted.fetch_optional(readers).await?
        }
    };
    row.map(HandoffRow::read).transpose()
}

pub(super) async fn handoffs(
    readers: &SqlitePool,
    filter: &HandoffFilter,
) -> Result<Vec<HandoffEntry>, StoreError> {
    let rows: Vec<HandoffRow> = statement(filter).build_query_as().fetch_all(readers).await?;
    rows.into_iter().map(HandoffRow::read).collect()
}

fn statement(filter: &HandoffFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(concat!("SELECT ", handoff_columns!(), " WHERE h.number < "));
    query.push_bind(filter.before.map_or(i64::MAX, position));
    if let Some(task) = filter.task {
        let task = task.as_bytes().to_vec();
        query
            .push(" AND h.number IN (SELECT number FROM handoffs WHERE from_task = ")
            .push_bind(task.clone());
        query.push(" UNION SELECT handoff FROM handed_to WHERE task_id = ").push_bind(task).push(")");
    }
    if let Some(workflow) = filter.workflow {
        query.push(" AND h.workflow_id = ").push_bind(workflow.as_bytes().to_vec());
    }
    query.push(" ORDER BY h.number DESC LIMIT ").push_bind(filter.limit);
    query
}

#[derive(sqlx::FromRow)]
struct HandoffRow {
    number: i64,
    id: Vec<u8>,
    at: i64,
    from_task: Vec<u8>,
    from_number: i64,
    from_title: Option<String>,
    from_role: Option<String>,
    from_attempt: Option<Vec<u8>>,
    to_task: Option<Vec<u8>>,
    to_number: Option<i64>,
    to_role: Option<String>,
    workflow_id: Option<Vec<u8>>,
    iteration: u32,
    context: String,
    artifacts: String,
    branch: Option<String>,
}

impl HandoffRow {
    fn read(self) -> Result<HandoffEntry, StoreError> {
        let from = task_name(Some(&self.from_task), Some(self.from_number))?;
        let to = match (self.to_task.as_deref(), self.to_role.as_deref()) {
            (Some(task), _) => HandoffTo::Task(rows::task_id(task)?),
            (None, Some(role)) => HandoffTo::Role(Slug::parse(role).map_err(corrupt)?),
            (None, None) => HandoffTo::Dependents,
        };
        let workflow =
            self.workflow_id.as_deref().map(WorkflowId::from_slice).transpose().map_err(corrupt)?;
        Ok(HandoffEntry {
            id: HandoffId::from_slice(&self.id).map_err(corrupt)?,
            number: rows::unsigned(self.number)?,
            at: Timestamp::from_millis(self.at),
            from: from.ok_or_else(|| corrupt("a handoff comes from no task"))?,
            from_title: self.from_title.unwrap_or_default(),
            from_role: self.from_role,
            from_attempt: self.from_attempt.as_deref().map(rows::attempt_id).transpose()?,
            to,
            to_number: self.to_number.map(rows::unsigned).transpose()?,
            workflow: workflow.map(|workflow| (workflow, self.iteration)),
            context: self.context,
            artifacts: from_json(&self.artifacts, "artifacts")?,
            branch: self.branch,
        })
    }
}
