//! Requirement classes the writer has met, so that a submit of a known class asks the database nothing.

use std::collections::{BTreeSet, HashMap};

use sqlx::SqliteConnection;

use super::rows::{corrupt, to_json};
use super::statements;
use crate::store::StoreError;

/// Classes remembered at most. A factory has few; past this someone makes one for each task.
const MOST: usize = 4096;

/// Ids by requirements, as of the writer's transaction.
#[derive(Default)]
pub(super) struct Placements(HashMap<String, i64>);

impl Placements {
    /// The ids of the classes `wanted`, in that order; a new class is entered.
    pub(super) async fn ids(
        &mut self,
        connection: &mut SqliteConnection,
        wanted: &[String],
    ) -> Result<Vec<i64>, StoreError> {
        let unknown: BTreeSet<&String> = wanted.iter().filter(|class| !self.0.contains_key(*class)).collect();
        if !unknown.is_empty() {
            let entered: Vec<(String, i64)> = sqlx::query_as(statements::ENTER_PLACEMENTS)
                .bind(to_json(&unknown))
                .fetch_all(connection)
                .await?;
            self.0.extend(entered);
        }
        let id = |class| self.0.get(class).copied();
        let ids = wanted.iter().map(|class| id(class).ok_or_else(|| corrupt("a placement was not entered")));
        let ids = ids.collect();
        if self.0.len() > MOST {
            self.forget();
        }
        ids
    }

    /// After a rollback: a class may have been entered by what was undone.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
