//! What the retention looks at, and what it has removed.

use factory_domain::retention::is_only_copy;
use factory_domain::{AttemptId, Because, Left, Timestamp, Worth};
use serde::Serialize;
use sqlx::SqlitePool;

use super::artifact::{ArtifactRow, kind_of, name_of};
use super::job::{Tx, Verb};
use super::rows::{self, from_json, to_json};
use super::statements::retention as statements;
use crate::store::{
    ArtifactEntry, ArtifactKey, ArtifactKind, KeptArtifact, LogStanding, Pruned, PrunedItem, StoreError,
};

/// A log's name among what was pruned.
const LOG: &str = "log";

pub(super) struct PruneLogs {
    pub logs: Vec<(AttemptId, u64, Because)>,
    pub now: Timestamp,
}

#[derive(Serialize)]
struct Line<'a> {
    attempt: AttemptId,
    kind: &'a str,
    name: &'a str,
    bytes: u64,
    because: Because,
}

impl Verb for PruneLogs {
    type Output = Vec<AttemptId>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<AttemptId>, StoreError> {
        let lines = self.logs.iter().map(|(attempt, bytes, because)| Line {
            attempt: *attempt,
            kind: LOG,
            name: "",
            bytes: *bytes,
            because: *because,
        });
        let pruned: Vec<(Vec<u8>,)> = sqlx::query_as(statements::PRUNE_LOGS)
            .bind(to_json(&lines.collect::<Vec<_>>()))
            .bind(self.now.as_millis())
            .fetch_all(&mut *tx.connection)
            .await?;
        pruned.iter().map(|(attempt,)| rows::attempt_id(attempt)).collect()
    }
}

pub(super) struct PruneArtifacts {
    pub artifacts: Vec<(ArtifactKey, Because)>,
    pub now: Timestamp,
}

impl Verb for PruneArtifacts {
    type Output = Vec<ArtifactKey>;
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<ArtifactKey>, StoreError> {
        let lines = self.artifacts.iter().map(|(key, because)| Line {
            attempt: key.attempt,
            kind: name_of(key.kind),
            name: &key.name,
            bytes: 0,
            because: *because,
        });
        let lines = to_json(&lines.collect::<Vec<_>>());
        let pruned: Vec<(Vec<u8>, String, String)> = sqlx::query_as(statements::PRUNE_ARTIFACTS)
            .bind(&lines)
            .bind(self.now.as_millis())
            .fetch_all(&mut *tx.connection)
            .await?;
        sqlx::query(statements::FORGET_PRUNED)
            .bind(&lines)
            .bind(self.now.as_millis())
            .execute(&mut *tx.connection)
            .await?;
        pruned
            .into_iter()
            .map(|(attempt, kind, name)| {
                Ok(ArtifactKey { attempt: rows::attempt_id(&attempt)?, kind: kind_of(&kind)?, name })
            })
            .collect()
    }
}

pub(super) async fn log_standings(
    readers: &SqlitePool,
    attempts: &[AttemptId],
) -> Result<Vec<LogStanding>, StoreError> {
    type Row = (Vec<u8>, Vec<u8>, Option<i64>, bool);
    let rows: Vec<Row> =
        sqlx::query_as(statements::LOG_STANDINGS).bind(to_json(&attempts)).fetch_all(readers).await?;
    rows.into_iter()
        .map(|(attempt, task, ended_at, pruned)| {
            Ok(LogStanding {
                attempt: rows::attempt_id(&attempt)?,
                task: rows::task_id(&task)?,
                ended_at: ended_at.map(Timestamp::from_millis),
                pruned,
            })
        })
        .collect()
}

#[derive(sqlx::FromRow)]
struct KeptRow {
    #[sqlx(flatten)]
    artifact: ArtifactRow,
    task_id: Vec<u8>,
    state: String,
    ended_at: Option<i64>,
    keep_session: bool,
    /// Of a bundle's attempt: the newest commit it reported.
    newest: Option<String>,
    /// Of a bundle's task: what its attempts brought to the origin.
    pushed: Option<String>,
}

impl KeptRow {
    fn read(self) -> Result<KeptArtifact, StoreError> {
        let entry = self.artifact.read()?;
        let pushed: Vec<String> =
            self.pushed.as_deref().map_or(Ok(Vec::new()), |pushed| from_json(pushed, "pushed commits"))?;
        let newest = self.newest.as_deref();
        let worth = worth(&entry, &self.state, self.keep_session, newest, &pushed);
        let task = rows::task_id(&self.task_id)?;
        let bytes = entry.bytes;
        let ended_at = self.ended_at.map(Timestamp::from_millis);
        Ok(KeptArtifact { entry, left: ended_at.map(|ended_at| Left { task, ended_at, bytes, worth }) })
    }
}

fn worth(
    entry: &ArtifactEntry,
    state: &str,
    keep_session: bool,
    newest: Option<&str>,
    pushed: &[String],
) -> Worth {
    match entry.kind {
        ArtifactKind::Bundle if is_only_copy(newest, pushed) => Worth::OnlyCopy,
        ArtifactKind::Bundle | ArtifactKind::Patch | ArtifactKind::File => Worth::Record,
        ArtifactKind::CheckpointWork | ArtifactKind::CheckpointTranscript if state == "failed" => {
            Worth::Rescue
        }
        // Another task may go on from it.
        ArtifactKind::CheckpointWork | ArtifactKind::CheckpointTranscript if keep_session => Worth::Record,
        ArtifactKind::CheckpointWork | ArtifactKind::CheckpointTranscript => Worth::Spent,
    }
}

pub(super) async fn kept_artifacts(
    readers: &SqlitePool,
    after: Option<&ArtifactKey>,
    limit: u32,
) -> Result<Vec<KeptArtifact>, StoreError> {
    let (attempt, kind, name) = after
        .map_or((&[][..], "", ""), |key| (&key.attempt.as_bytes()[..], name_of(key.kind), key.name.as_str()));
    let rows: Vec<KeptRow> = sqlx::query_as(statements::KEPT_ARTIFACTS)
        .bind(attempt)
        .bind(kind)
        .bind(name)
        .bind(limit)
        .fetch_all(readers)
        .await?;
    rows.into_iter().map(KeptRow::read).collect()
}

pub(super) async fn pruned(readers: &SqlitePool, attempt: AttemptId) -> Result<Vec<Pruned>, StoreError> {
    let rows: Vec<(String, String, i64, i64, String)> =
        sqlx::query_as(statements::PRUNED).bind(&attempt.as_bytes()[..]).fetch_all(readers).await?;
    rows.into_iter()
        .map(|(kind, name, bytes, pruned_at, because)| {
            let item = match kind.as_str() {
                LOG => PrunedItem::Log,
                kind => PrunedItem::Artifact(ArtifactKey { attempt, kind: kind_of(kind)?, name }),
            };
            Ok(Pruned {
                item,
                bytes: rows::unsigned(bytes)?,
                at: Timestamp::from_millis(pruned_at),
                because: from_json(&because, "because")?,
            })
        })
        .collect()
}
