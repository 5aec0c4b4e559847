//! Pages of messages, newest or oldest first.
//!
//! A search reads the text's own index in the page's order; anything else reads the table, or the
//! index of the one filter that narrows it best.

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
        query.push(" AND (l.from_task = ").push_bind(task.clone());
        query.push(" OR l.to_task = ").push_bind(task).push(")");
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
