//! The one writer: owns the only writing connection and commits in groups.
//!
//! It takes whatever has queued up, runs each verb in a savepoint of one
//! transaction, commits once, and only then answers each. A lone verb waits for
//! nobody, a burst shares one sync. A verb that fails is rolled back alone; a
//! commit that fails is everyone's answer, and the writer goes on.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::error::Failure;
use super::statements;
use crate::store::{Rules, StoreError};

/// Verbs that wait for the writer at most; beyond, callers wait for a place.
pub(super) const QUEUE: usize = 1024;
/// Verbs in one commit at most, so that the first of a long burst is not kept waiting.
const GROUP: usize = 256;
/// The writer has nothing to do for this long: time to move the log into the database.
const IDLE: Duration = Duration::from_millis(250);
/// Bytes of write-ahead log past which something must be holding it back.
const LARGE_WAL: u64 = 64 * 1024 * 1024;

/// One write: runs wholly inside the group's transaction, and awaits nothing but the database.
pub(super) trait Verb: Send + Sync + 'static {
    type Output: Send + 'static;
    type Error: Failure;

    fn run(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// The group's transaction, as a verb sees it.
pub(super) struct Tx<'c> {
    pub connection: &'c mut SqliteConnection,
    pub rules: Rules,
    /// The feed's last cursor, as of this transaction.
    pub cursor: u64,
}

/// A verb in the writer's queue, its type hidden.
#[async_trait]
pub(super) trait Job: Send {
    /// Runs the verb and keeps its outcome; the error is given where it is the store's own.
    async fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Option<StoreError>>;
    /// Answers, once it is known whether the group was committed.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

pub(super) struct Waiting<V: Verb> {
    verb: V,
    outcome: Option<Result<V::Output, V::Error>>,
    reply: oneshot::Sender<Result<V::Output, V::Error>>,
}

impl<V: Verb> Waiting<V> {
    pub(super) fn new(verb: V, reply: oneshot::Sender<Result<V::Output, V::Error>>) -> Self {
        Self { verb, outcome: None, reply }
    }
}

#[async_trait]
impl<V: Verb> Job for Waiting<V> {
    async fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Option<StoreError>> {
        let outcome = self.verb.run(tx).await;
        let kept = outcome.as_ref().map(|_| ()).map_err(|error| error.of_the_store().cloned());
        self.outcome = Some(outcome);
        kept
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.outcome) {
            (_, Some(Err(own))) => Err(own),
            (Ok(()), Some(Ok(output))) => Ok(output),
            (Ok(()), None) => Err(StoreError::Closed.into()),
            (Err(error), _) => Err(error.into()),
        };
        // Nobody may be waiting any more; what was written stays written.
        drop(self.reply.send(answer));
    }
}

pub(super) struct Writer {
    connection: SqliteConnection,
    rules: Rules,
    feed: watch::Sender<u64>,
    /// Something was committed since the last checkpoint.
    dirty: bool,
}

impl Writer {
    pub(super) fn new(connection: SqliteConnection, rules: Rules, feed: watch::Sender<u64>) -> Self {
        Self { connection, rules, feed, dirty: false }
    }

    /// Serves until `closing`, then finishes what it was given, checkpoints and lets go of the database.
    pub(super) async fn serve(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>, closing: CancellationToken) {
        let mut group: Vec<Box<dyn Job>> = Vec::with_capacity(GROUP);
        loop {
            tokio::select! {
                biased;
                () = closing.cancelled(), if !queue.is_closed() => queue.close(),
                taken = queue.recv_many(&mut group, GROUP) => {
                    if taken == 0 {
                        break;
                    }
                    self.commit_group(&mut group).await;
                }
                () = tokio::time::sleep(IDLE), if self.dirty => self.checkpoint_when_idle().await,
            }
        }
        if let Err(error) = sqlx::query(statements::CHECKPOINT_AND_CUT).execute(&mut self.connection).await {
            tracing::warn!(%error, "the write-ahead log could not be moved into the database at closing");
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }

    async fn commit_group(&mut self, group: &mut Vec<Box<dyn Job>>) {
        let committed = self.run_group(group).await;
        match &committed {
            Ok(cursor) => {
                self.dirty = true;
                self.feed.send_if_modified(|last| std::mem::replace(last, *cursor) != *cursor);
            }
            Err(error) => {
                tracing::error!(%error, writes = group.len(), "a commit failed");
                // Fails where SQLite has rolled back by itself, which is as good.
                drop(sqlx::query(statements::ROLLBACK).execute(&mut self.connection).await);
            }
        }
        let committed = committed.map(|_| ());
        for job in group.drain(..) {
            job.answer(committed.clone());
        }
    }

    /// Answers with the feed's last cursor.
    async fn run_group(&mut self, group: &mut [Box<dyn Job>]) -> Result<u64, StoreError> {
        let cursor = *self.feed.borrow();
        sqlx::query(statements::BEGIN).execute(&mut self.connection).await?;
        let mut tx = Tx { connection: &mut self.connection, rules: self.rules, cursor };
        for job in group {
            run_in_savepoint(job.as_mut(), &mut tx).await?;
        }
        let cursor = tx.cursor;
        sqlx::query(statements::COMMIT).execute(&mut self.connection).await?;
        Ok(cursor)
    }

    async fn checkpoint_when_idle(&mut self) {
        self.dirty = false;
        match sqlx::query_as::<_, (i64, i64, i64)>(statements::CHECKPOINT)
            .fetch_one(&mut self.connection)
            .await
        {
            Ok((_, pages, moved)) => self.watch_wal(pages, moved),
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be moved into the database"),
        }
    }

    fn watch_wal(&self, pages: i64, moved: i64) {
        let bytes = u64::try_from(pages).unwrap_or(0) * u64::from(super::open::PAGE_SIZE);
        tracing::debug!(bytes, pages, moved, "checkpoint");
        if bytes > LARGE_WAL {
            tracing::warn!(
                bytes,
                pages,
                moved,
                "the write-ahead log is large: a reader may be holding it back"
            );
        }
    }
}

/// `Err` means that the whole transaction is gone.
async fn run_in_savepoint(job: &mut dyn Job, tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let before = tx.cursor;
    sqlx::query(statements::SAVEPOINT).execute(&mut *tx.connection).await?;
    if let Err(cause) = job.run(tx).await {
        tx.cursor = before;
        let undone = sqlx::query(statements::ROLLBACK_TO_SAVEPOINT).execute(&mut *tx.connection).await;
        // On a full disk and the like SQLite gives up the transaction itself:
        // then there is no savepoint left, and the cause is everyone's.
        undone.map_err(|error| cause.unwrap_or_else(|| error.into()))?;
    }
    sqlx::query(statements::RELEASE_SAVEPOINT).execute(&mut *tx.connection).await?;
    Ok(())
}
