//! Pages of messages, newest or oldest first.
//!
//! A search reads the text's own index in the page's order; what a task said or heard is found by its
//! own indexes; anything else reads the table, or the index of the one filter that narrows it best.

use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::board::{MessageRow, position, recipient_columns};
use super::rows::to_json;
use super::search::match_expression;
use super::statements::board::{message_columns, message_joins};
use crate::store::{MessageEntry, MessageFilter, MessageRange, StoreError};

const HEAD: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m ",
    message_joins!(),
    " WHERE m.number IN (SELECT l.number FROM messages l WHERE l.number "
);
const SEARCH_HEAD: &str = concat!(
    "SELECT ",
    message_columns!(),
    " FROM messages m ",
    message_joins!(),
    " WHERE m.number IN (SELECT s.rowid FROM messages_text s CROSS JOIN messages l ON l.number = s.rowid \
     WHERE s.rowid "
);

pub(super) async fn messages(
    readers: &SqlitePool,
    filter: &MessageFilter,
) -> Result<Vec<MessageEntry>, StoreError> {
    let expression = match &filter.search {
        None => None,
        Some(typed) => match match_expression(typed) {
            None => return Ok(Vec::new()),
            expression => expression,
        },
    };
    let rows: Vec<MessageRow> = statement(filter, expression).build_query_as().fetch_all(readers).await?;
    rows.into_iter().map(MessageRow::read).collect()
}

fn statement(filter: &MessageFilter, expression: Option<String>) -> QueryBuilder<Sqlite> {
    let number = if expression.is_some() { "s.rowid" } else { "l.number" };
    let mut query = QueryBuilder::new(if expression.is_some() { SEARCH_HEAD } else { HEAD });
    let order = match filter.range {
        MessageRange::Before(number) => {
            query.push("< ").push_bind(number.map_or(i64::MAX, position));
            " DESC"
        }
        MessageRange::After(number) => {
            query.push("> ").push_bind(position(number));
            " ASC"
        }
    };
    if let Some(expression) = expression {
        query.push(" AND messages_text MATCH ").push_bind(expression);
    }
    if let Some(task) = filter.task {
        let task = task.as_bytes().to_vec();
        query
            .push(" AND l.number IN (SELECT number FROM messages WHERE from_task = ")
            .push_bind(task.clone());
        query.push(" UNION SELECT number FROM messages WHERE to_task = ").push_bind(task).push(")");
    }
    if !filter.types.is_empty() {
        let types = to_json(&filter.types);
        query.push(" AND l.type IN (SELECT value FROM json_each(").push_bind(types).push("))");
    }
    if let Some(to) = &filter.to {
        let (recipient, task) = recipient_columns(to);
        query.push(" AND l.recipient = ").push_bind(recipient.to_owned());
        query.push(" AND l.to_task IS ").push_bind(task.map(<[u8]>::to_vec));
    }
    if let Some(from) = &filter.from {
        query.push(" AND l.sender = ").push_bind(from.clone());
    }
    query.push(" ORDER BY ").push(number).push(order).push(" LIMIT ").push_bind(filter.limit);
    query.push(") ORDER BY m.number").push(order);
    query
}

#[cfg(test)]
mod tests {
    use factory_domain::TaskId;
    use sqlx::AssertSqlSafe;
    use uuid::Uuid;

    use super::super::open;
    use super::*;

    /// However long the board is: a page of one task, and one of a search, is read by an index.
    #[tokio::test]
    async fn a_tasks_messages_and_a_search_are_read_from_their_own_indexes() {
        let root = tempfile::tempdir().expect("a directory");
        let (mut connection, _readers) = open::connect(&root.path().join("t.db")).await.expect("opened");
        let filter = MessageFilter {
            range: MessageRange::Before(None),
            task: Some(TaskId::from_uuid(Uuid::nil())),
            types: Vec::new(),
            to: None,
            from: None,
            search: None,
            limit: 50,
        };
        let any = MessageFilter { task: None, ..filter.clone() };
        for (filter, search, indexes) in [
            (filter, None, ["messages_from", "messages_to"]),
            (any, Some("\"x\"".to_owned()), ["SCAN s VIRTUAL TABLE", "SEARCH l USING"]),
        ] {
            let sql = format!("EXPLAIN QUERY PLAN {}", statement(&filter, search).sql().as_str());
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("a plan");
            let steps: Vec<&str> = plan.iter().map(|(.., step)| step.as_str()).collect();
            for index in indexes {
                assert!(steps.iter().any(|step| step.contains(index)), "{index} is not used: {steps:#?}");
            }
            assert!(!steps.contains(&"SCAN l") && !steps.contains(&"SCAN m"), "{steps:#?}");
        }
    }
}
