//! Who waits for whom: entered with the tasks, settled as they end.

use std::collections::BTreeMap;

use factory_domain::{Dependency, DependencyPolicy, Event, Settled, TaskId, Timestamp, dependency};
use serde::Serialize;

use super::job::Tx;
use super::moves;
use super::rows::{self, to_json};
use super::statements::dependencies as statements;
use crate::store::StoreError;

/// A new task that waits for others.
pub(super) struct Waiting {
    pub task: TaskId,
    /// Each once, and not the task itself.
    pub after: Vec<TaskId>,
    pub at: Timestamp,
}

#[derive(Serialize)]
struct Added {
    task: TaskId,
    position: usize,
    needs: TaskId,
    settled: Option<Settled>,
}

/// Enters what new tasks wait for, in that order; what has ended already is settled at once.
pub(super) async fn add(tx: &mut Tx<'_>, waiting: &[Waiting]) -> Result<(), StoreError> {
    let needed: Vec<TaskId> = waiting.iter().flat_map(|one| &one.after).copied().collect();
    let needed = moves::load(tx, &needed).await?;
    let settled = |task| needed.get(task).and_then(|found| Settled::of(&found.standing.state));
    let added = waiting.iter().flat_map(|one| {
        one.after.iter().enumerate().map(|(position, needs)| Added {
            task: one.task,
            position,
            needs: *needs,
            settled: settled(needs),
        })
    });
    sqlx::query(statements::ADD_DEPENDENCIES)
        .bind(to_json(&added.collect::<Vec<_>>()))
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// A task that has ended, as those that wait for it see it.
#[derive(Serialize)]
pub(super) struct Ended {
    pub task: TaskId,
    pub settled: Settled,
    /// It has a parent.
    #[serde(skip)]
    pub is_child: bool,
    #[serde(skip)]
    pub cause: Cause,
}

/// The one of the moves written together that all of this follows from, and when it happened.
#[derive(Clone, Copy)]
pub(super) struct Cause {
    pub place: usize,
    pub at: Timestamp,
}

/// Notes that tasks have `ended`, and answers with those that waited for one of them.
pub(super) async fn settle(tx: &mut Tx<'_>, ended: &[Ended]) -> Result<BTreeMap<TaskId, Cause>, StoreError> {
    let rows: Vec<(Vec<u8>, Vec<u8>)> = sqlx::query_as(statements::SETTLE_DEPENDENCIES)
        .bind(to_json(&ended))
        .fetch_all(&mut *tx.connection)
        .await?;
    let causes: BTreeMap<TaskId, Cause> = ended.iter().map(|one| (one.task, one.cause)).collect();
    let mut waited = BTreeMap::new();
    for (task, needs) in rows {
        let cause = causes.get(&rows::task_id(&needs)?);
        let cause = cause.ok_or_else(|| rows::corrupt("a dependency was settled that nobody asked for"))?;
        waited.insert(rows::task_id(&task)?, *cause);
    }
    Ok(waited)
}

#[derive(sqlx::FromRow)]
struct DependencyRow {
    task_id: Vec<u8>,
    on_failed_dependency: String,
    held: bool,
    needs_id: Vec<u8>,
    settled: Option<String>,
}

/// What befalls those of `tasks` that are blocked, by what they wait for. Most wait on.
pub(super) async fn verdicts(tx: &mut Tx<'_>, tasks: &[TaskId]) -> Result<Vec<(TaskId, Event)>, StoreError> {
    let rows: Vec<DependencyRow> = sqlx::query_as(statements::DEPENDENCIES_OF_BLOCKED)
        .bind(to_json(&tasks))
        .fetch_all(&mut *tx.connection)
        .await?;
    let mut verdicts = Vec::new();
    for group in rows.chunk_by(|one, next| one.task_id == next.task_id) {
        let task = rows::task_id(&group[0].task_id)?;
        let policy = policy(&group[0].on_failed_dependency)?;
        let dependencies = group.iter().map(DependencyRow::read).collect::<Result<Vec<_>, _>>()?;
        let verdict = dependency::verdict(policy, &dependencies);
        // Its release unblocks it, where nothing else is left to wait for.
        let verdict = verdict.filter(|event| !group[0].held || *event != Event::Unblocked);
        verdicts.extend(verdict.map(|event| (task, event)));
    }
    Ok(verdicts)
}

impl DependencyRow {
    fn read(&self) -> Result<Dependency, StoreError> {
        Ok(Dependency {
            task: rows::task_id(&self.needs_id)?,
            settled: self.settled.as_deref().map(settled).transpose()?,
        })
    }
}

pub(super) fn policy(name: &str) -> Result<DependencyPolicy, StoreError> {
    rows::from_name(name, "on_failed_dependency")
}

pub(super) fn settled(name: &str) -> Result<Settled, StoreError> {
    rows::from_name(name, "settled")
}
