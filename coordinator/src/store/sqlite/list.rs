//! Pages of tasks, newest first.
//!
//! One branch for each state asked for, each read backwards from its own index
//! and cut at the page's length: a rare state among a million ended tasks is
//! found as quickly as a common one. A search reads the words' own index in the same order.

use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::rows::{TaskRow, to_json};
use super::search::match_expression;
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
    let words = match filter.search.as_deref().map(match_expression) {
        // There is nothing to look for in what was typed.
        Some(None) => return Ok(Vec::new()),
        words => words.flatten(),
    };
    let rows: Vec<TaskRow> = statement(filter, words.as_deref()).build_query_as().fetch_all(readers).await?;
    rows.into_iter().map(TaskRow::read).collect()
}

/// `words`: as FTS5 understands them.
fn statement(filter: &ListFilter, words: Option<&str>) -> QueryBuilder<Sqlite> {
    let limit = i64::from(filter.limit);
    let mut query = QueryBuilder::new(HEAD);
    if filter.states.is_empty() {
        branch(&mut query, filter, words, None);
    }
    for (index, state) in filter.states.iter().enumerate() {
        if index > 0 {
            query.push(" UNION ");
        }
        branch(&mut query, filter, words, Some(state));
    }
    query.push(TAIL).push_bind(limit).push(IN_ORDER);
    query
}

/// The newest numbers in one state, or in any, that pass the filter's other conditions.
fn branch(
    query: &mut QueryBuilder<Sqlite>,
    filter: &ListFilter,
    words: Option<&str>,
    state: Option<&'static str>,
) {
    let before = filter.before.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX);
    query.push("SELECT number FROM (SELECT f.number FROM ");
    let number = match words {
        Some(words) => {
            query.push("task_words w CROSS JOIN tasks f ON f.number = w.rowid WHERE w.task_words MATCH ");
            query.push_bind(words.to_owned()).push(" AND ");
            "w.rowid"
        }
        None => {
            query.push("tasks f WHERE ");
            "f.number"
        }
    };
    query.push(number).push(" < ").push_bind(before);
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
    query.push(" ORDER BY ").push(number).push(" DESC LIMIT ").push_bind(i64::from(filter.limit)).push(")");
}

#[cfg(test)]
mod tests {
    use sqlx::AssertSqlSafe;

    use super::super::open;
    use super::*;

    async fn plan(filter: &ListFilter, words: Option<&str>) -> Vec<String> {
        let root = tempfile::tempdir().expect("a directory");
        let (mut connection, _readers) = open::connect(&root.path().join("t.db")).await.expect("opened");
        let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", statement(filter, words).sql().as_str()));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sql).fetch_all(&mut connection).await.expect("a plan");
        plan.into_iter().map(|(.., step)| step).collect()
    }

    /// However many tasks have ended: the newest of a rare state are found by its own index.
    #[tokio::test]
    async fn a_state_is_read_from_its_own_index() {
        let filter = ListFilter { states: vec!["failed", "succeeded"], limit: 50, ..ListFilter::default() };
        let steps = plan(&filter, None).await;
        let by_state =
            |step: &&String| step.contains("SEARCH f USING COVERING INDEX tasks_by_state (state=? AND");
        assert_eq!(steps.iter().filter(by_state).count(), 2, "{steps:#?}");
        assert!(
            !steps.iter().any(|step| step.starts_with("SCAN t") || step.starts_with("SCAN f")),
            "{steps:#?}"
        );
    }

    /// However many tasks have a word: they come in the page's order, so that the page's length ends the reading.
    #[tokio::test]
    async fn a_search_reads_the_words_index_and_sorts_nothing() {
        let filter = ListFilter { states: vec!["failed"], limit: 50, ..ListFilter::default() };
        let steps = plan(&filter, Some("\"login\"")).await;
        let words = steps.iter().position(|step| step.starts_with("SCAN w VIRTUAL TABLE INDEX"));
        let tasks = steps.iter().position(|step| step.starts_with("SEARCH f USING INTEGER PRIMARY KEY"));
        assert!(words.is_some() && words < tasks, "{steps:#?}");
        // What comes behind the page's own limit has its length at most.
        let page = steps.iter().position(|step| step.starts_with("SCAN (subquery")).expect("the page");
        assert!(steps[..page].iter().all(|step| !step.contains("TEMP B-TREE")), "{steps:#?}");
    }
}
