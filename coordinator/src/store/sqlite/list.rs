//! Pages of tasks, newest first.
//!
//! One branch for each state asked for, each read backwards from its own index
//! and cut at the page's length: a rare state among a million ended tasks is
//! found as quickly as a common one.

use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::rows::{TaskRow, to_json};
use super::statements::{task_columns, task_joins};
use crate::store::{ListFilter, StoreError, TaskEntry};

const HEAD: &str = concat!(
    "SELECT ",
    task_columns!(),
    " FROM tasks t ",
    task_joins!(),
    " WHERE t.number IN (SELECT number FROM ("
);
const TAIL: &str = ") ORDER BY number DESC LIMIT ";
const IN_ORDER: &str = ") ORDER BY t.number DESC";

/// Tasks whose class asks for each of the labels given.
const WITH_LABELS: &str = " AND f.placement_id IN (
    SELECT p.id FROM placements p WHERE NOT EXISTS (
        SELECT 1 FROM json_each(";
const WITH_LABELS_END: &str = ") AS wanted WHERE NOT EXISTS (
            SELECT 1 FROM json_each(p.requirements, '$.labels') AS has
            WHERE has.key = wanted.key AND has.value = wanted.value)))";

pub(super) async fn list(readers: &SqlitePool, filter: &ListFilter) -> Result<Vec<TaskEntry>, StoreError> {
    let rows: Vec<TaskRow> = statement(filter).build_query_as().fetch_all(readers).await?;
    rows.into_iter().map(TaskRow::read).collect()
}

fn statement(filter: &ListFilter) -> QueryBuilder<Sqlite> {
    let limit = i64::from(filter.limit);
    let mut query = QueryBuilder::new(HEAD);
    if filter.states.is_empty() {
        branch(&mut query, filter, None);
    }
    for (index, state) in filter.states.iter().enumerate() {
        if index > 0 {
            query.push(" UNION ");
        }
        branch(&mut query, filter, Some(state));
    }
    query.push(TAIL).push_bind(limit).push(IN_ORDER);
    query
}

/// The newest numbers in one state, or in any, that pass the filter's other conditions.
fn branch(query: &mut QueryBuilder<Sqlite>, filter: &ListFilter, state: Option<&'static str>) {
    let before = filter.before.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX);
    query.push("SELECT number FROM (SELECT f.number FROM tasks f WHERE f.number < ").push_bind(before);
    if let Some(state) = state {
        query.push(" AND f.state = ").push_bind(state);
    }
    if let Some(repo) = &filter.repo {
        query.push(" AND f.repo = ").push_bind(repo.clone());
    }
    if let Some(role) = &filter.role {
        query.push(" AND f.spec ->> '$.role' = ").push_bind(role.clone());
    }
    if let Some(session) = &filter.session {
        query.push(" AND f.spec ->> '$.session' = ").push_bind(session.clone());
    }
    if let Some(parent) = filter.parent {
        query.push(" AND f.parent_id = ").push_bind(parent.as_bytes().to_vec());
    }
    if let Some(workflow) = filter.workflow {
        query.push(" AND f.id IN (SELECT s.task_id FROM workflow_steps s WHERE s.workflow_id = ");
        query.push_bind(workflow.as_bytes().to_vec()).push(")");
    }
    if !filter.labels.is_empty() {
        query.push(WITH_LABELS).push_bind(to_json(&filter.labels)).push(WITH_LABELS_END);
    }
    query.push(" ORDER BY f.number DESC LIMIT ").push_bind(i64::from(filter.limit)).push(")");
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::super::open;
    use super::*;

    /// However many tasks have ended: the newest of a rare state are found by its own index.
    #[tokio::test]
    async fn a_state_is_read_from_its_own_index() {
        let root = tempfile::tempdir().expect("a directory");
        let (mut connection, _readers) = open::connect(&root.path().join("t.db")).await.expect("opened");
        let filter = ListFilter { states: vec!["failed", "succeeded"], limit: 50, ..ListFilter::default() };
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement(&filter).sql().as_str()));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sql).fetch_all(&mut connection).await.expect("a plan");
        let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
        let by_state =
            |step: &&&str| step.contains("SEARCH f USING COVERING INDEX tasks_by_state (state=? AND");
        assert_eq!(steps.iter().filter(by_state).count(), 2, "{steps:#?}");
        assert!(
            !steps.iter().any(|step| step.starts_with("SCAN t") || step.starts_with("SCAN f")),
            "{steps:#?}"
        );
    }
}
