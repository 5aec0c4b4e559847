//! The one writer: owns the only writing connection and commits in groups.
//!
//! It takes whatever has queued up, runs it in one transaction, commits once,
//! and only then answers each. A lone verb waits for nobody, a burst shares one
//! sync, and those of one kind are run as a set. A verb that fails is
//! undone alone; a commit that fails is everyone's answer, and the writer goes on.

use std::error::Error;
use std::time::Duration;

use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::job::{Job, Tx};
use super::placements::Placements;
use super::statements;
use crate::store::{Rules, StoreError};

/// Verbs that wait for the writer at most; beyond, callers wait for a place.
pub(super) const QUEUE: usize = 1024;
/// Verbs in one commit at most, so that the first of a long burst is not kept waiting.
const GROUP: usize = 256;
/// The writer has nothing to do for this long: time to move the log into the database.
const IDLE: Duration = Duration::from_millis(250);
/// How long a writer that is never idle leaves the log where it is.
const LONGEST: Duration = Duration::from_secs(30);
/// Bytes of write-ahead log past which something must be holding it back.
const LARGE_WAL: u64 = 64 * 1024 * 1024;

/// Where those who follow what is committed learn of it.
pub(super) struct Heads {
    /// The feed's last cursor.
    pub events: watch::Sender<u64>,
    /// Number of the board's newest message.
    pub messages: watch::Sender<u64>,
}

/// What a group's transaction comes to, told once it is committed.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reached {
    cursor: u64,
    message: u64,
}

impl Heads {
    fn reached(&self) -> Reached {
        Reached { cursor: *self.events.borrow(), message: *self.messages.borrow() }
    }

    fn tell(&self, reached: Reached) {
        let tell =
            |head: &watch::Sender<u64>, to| head.send_if_modified(|last| std::mem::replace(last, to) != to);
        tell(&self.events, reached.cursor);
        tell(&self.messages, reached.message);
    }
}

pub(super) struct Writer {
    connection: SqliteConnection,
    placements: Placements,
    rules: Rules,
    heads: Heads,
    /// Something was committed since the last checkpoint.
    dirty: bool,
    /// The last commit found no room, which has been said.
    full: bool,
    checkpointed: Instant,
    /// The log is large, which has been said.
    large: bool,
}

impl Writer {
    pub(super) fn new(connection: SqliteConnection, rules: Rules, heads: Heads) -> Self {
        Self {
            connection,
            placements: Placements::default(),
            rules,
            heads,
            dirty: false,
            full: false,
            checkpointed: Instant::now(),
            large: false,
        }
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
                    self.checkpoint_if_overdue().await;
                }
                () = tokio::time::sleep(IDLE), if self.dirty => self.checkpoint().await,
            }
        }
        if let Err(error) = sqlx::query(statements::CHECKPOINT_AND_CUT).execute(&mut self.connection).await {
            tracing::warn!(%error, "the write-ahead log could not be moved into the database at closing");
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the database did not close cleanly");
        }
    }

    async fn commit_group(&mut self, waiting: &mut Vec<Box<dyn Job>>) {
        let mut group = gather(waiting);
        let committed = self.run_group(&mut group).await;
        match &committed {
            Ok(reached) => {
                self.dirty = true;
                // An empty commit needs no room, and says nothing of it.
                if self.full && *reached != self.heads.reached() {
                    self.full = false;
                    tracing::info!("commits find room again");
                }
                self.heads.tell(*reached);
            }
            Err(error) => {
                let cause: &(dyn Error + Send + Sync + 'static) = error;
                let writes: usize = group.iter().map(|job| job.calls()).sum();
                let is_full = matches!(error, StoreError::Full { .. });
                if std::mem::replace(&mut self.full, is_full) && is_full {
                    tracing::debug!(error = cause as &dyn Error, writes, "a commit failed again");
                } else {
                    tracing::error!(error = cause as &dyn Error, writes, "a commit failed");
                }
                self.roll_back().await;
            }
        }
        let committed = committed.map(|_| ());
        for job in group {
            job.answer(committed.clone());
        }
    }

    async fn run_group(&mut self, group: &mut [Box<dyn Job>]) -> Result<Reached, StoreError> {
        let reached = match self.run_as_sets(group).await {
            Ok(reached) => reached,
            Err(error) => {
                tracing::debug!(error = &error as &dyn Error, "a write failed; each is tried by itself");
                self.roll_back().await;
                self.run_one_by_one(group).await?
            }
        };
        sqlx::query(statements::COMMIT).execute(&mut self.connection).await?;
        Ok(reached)
    }

    /// The way nearly every group goes: nothing fails, so nothing needs a savepoint.
    async fn run_as_sets(&mut self, group: &mut [Box<dyn Job>]) -> Result<Reached, StoreError> {
        let mut tx = self.begin().await?;
        for job in group {
            job.run_set(&mut tx).await?;
        }
        Ok(Reached { cursor: tx.cursor, message: tx.message })
    }

    async fn run_one_by_one(&mut self, group: &mut [Box<dyn Job>]) -> Result<Reached, StoreError> {
        let mut tx = self.begin().await?;
        for job in group {
            for call in 0..job.calls() {
                run_in_savepoint(job.as_mut(), call, &mut tx).await?;
            }
        }
        Ok(Reached { cursor: tx.cursor, message: tx.message })
    }

    async fn begin(&mut self) -> Result<Tx<'_>, StoreError> {
        let Reached { cursor, message } = self.heads.reached();
        sqlx::query(statements::BEGIN).execute(&mut self.connection).await?;
        let Self { connection, placements, rules, .. } = self;
        Ok(Tx { connection, placements, rules, cursor, message })
    }

    async fn roll_back(&mut self) {
        self.placements.forget();
        // Fails where SQLite has rolled back by itself, which is as good.
        drop(sqlx::query(statements::ROLLBACK).execute(&mut self.connection).await);
    }

    async fn checkpoint_if_overdue(&mut self) {
        if self.dirty && self.checkpointed.elapsed() >= LONGEST {
            self.checkpoint().await;
        }
    }

    async fn checkpoint(&mut self) {
        (self.dirty, self.checkpointed) = (false, Instant::now());
        match sqlx::query_as::<_, (i64, i64, i64)>(statements::CHECKPOINT)
            .fetch_one(&mut self.connection)
            .await
        {
            Ok((_, pages, moved)) => self.watch_wal(pages, moved),
            Err(error) => tracing::warn!(%error, "the write-ahead log could not be moved into the database"),
        }
    }

    /// Says once of a log that grows, and so fills the disk and slows every read, that it does.
    fn watch_wal(&mut self, pages: i64, moved: i64) {
        let bytes = u64::try_from(pages).unwrap_or(0) * u64::from(super::open::PAGE_SIZE);
        tracing::debug!(bytes, pages, moved, "checkpoint");
        let large = bytes > LARGE_WAL;
        if !std::mem::replace(&mut self.large, large) && large {
            tracing::warn!(
                bytes,
                pages,
                moved,
                "the write-ahead log is large: a reader may be holding it back"
            );
        }
    }
}

/// Those of one kind become one job, in the place of the first of them. Of those that wait none
/// has been answered, so that nobody could tell one order from another.
fn gather(waiting: &mut Vec<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let mut gathered: Vec<Box<dyn Job>> = Vec::new();
    for mut job in waiting.drain(..) {
        if !gathered.iter_mut().any(|earlier| earlier.absorb(job.as_mut())) {
            gathered.push(job);
        }
    }
    gathered
}

/// `Err` means that the whole transaction is gone.
async fn run_in_savepoint(job: &mut dyn Job, call: usize, tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let before = (tx.cursor, tx.message);
    sqlx::query(statements::SAVEPOINT).execute(&mut *tx.connection).await?;
    if let Err(cause) = job.run_one(call, tx).await {
        (tx.cursor, tx.message) = before;
        tx.placements.forget();
        let undone = sqlx::query(statements::ROLLBACK_TO_SAVEPOINT).execute(&mut *tx.connection).await;
        // On a full disk and the like SQLite gives up the transaction itself:
        // then there is no savepoint left, and the cause is everyone's.
        undone.map_err(|error| cause.unwrap_or_else(|| error.into()))?;
    }
    sqlx::query(statements::RELEASE_SAVEPOINT).execute(&mut *tx.connection).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use factory_domain::{Brief, Links, SpecDraft, TaskId, Timestamp};
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::super::{job::Calls, open, read, submit::Submit};
    use super::*;
    use crate::store::{NewTask, SubmitError, Submitted};

    fn heads() -> (Heads, watch::Receiver<u64>) {
        let (events, feed) = watch::channel(0);
        (Heads { events, messages: watch::Sender::new(0) }, feed)
    }

    fn submit(prompt: String) -> Submit {
        let draft = SpecDraft { prompt, ..SpecDraft::default() };
        let task = NewTask {
            id: TaskId::from_uuid(Uuid::now_v7()),
            spec: draft.validate().expect("a valid spec"),
            idempotency_key: None,
            retry_of: None,
            links: Links::default(),
            brief: Brief::default(),
            traceparent: String::new(),
        };
        Submit { tasks: vec![task], now: Timestamp::from_millis(0) }
    }

    type Answer = oneshot::Receiver<Result<Vec<Submitted>, SubmitError>>;

    fn queued(verb: Submit) -> (Box<dyn Job>, Answer) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Calls::of(verb, reply)), answer)
    }

    #[tokio::test]
    async fn a_full_disk_is_said_and_outlived() {
        let root = tempfile::tempdir().expect("a directory");
        let (mut connection, readers) = open::connect(&root.path().join("t.db")).await.expect("opened");
        // SQLite's own bound on the file stands in for the disk's.
        let pages: i64 =
            sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut connection).await.expect("counted");
        let bound = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 40));
        sqlx::query(bound).execute(&mut connection).await.expect("set");
        let (heads, feed) = heads();
        let mut writer = Writer::new(connection, Rules::default(), heads);

        let (small, first) = queued(submit("small".into()));
        let (large, second) = queued(submit("large".repeat(200_000)));
        writer.commit_group(&mut vec![small, large]).await;
        let full = second.await.expect("answered");
        assert!(matches!(full, Err(SubmitError::Store(StoreError::Full { .. }))), "{full:?}");
        let kept = match first.await.expect("answered") {
            Ok(_) => 1,
            Err(SubmitError::Store(StoreError::Full { .. })) => 0,
            other => panic!("{other:?}"),
        };
        assert_eq!(read::live_count(&readers).await.expect("counted"), kept);

        let (again, third) = queued(submit("small".into()));
        writer.commit_group(&mut vec![again]).await;
        third.await.expect("answered").expect("there is room for a small one");
        assert_eq!(read::live_count(&readers).await.expect("counted"), kept + 1);
        assert_eq!(*feed.borrow(), kept + 1);
    }

    #[tokio::test]
    async fn a_writer_that_is_never_idle_moves_the_log_all_the_same() {
        let root = tempfile::tempdir().expect("a directory");
        let (connection, _readers) = open::connect(&root.path().join("t.db")).await.expect("opened");
        let (heads, _feed) = heads();
        let mut writer = Writer::new(connection, Rules::default(), heads);
        let (one, _answer) = queued(submit("one".into()));
        writer.commit_group(&mut vec![one]).await;
        writer.checkpoint_if_overdue().await;
        assert!(writer.dirty, "it has just begun");
        writer.checkpointed = Instant::now().checked_sub(LONGEST).expect("the host has been up for so long");
        writer.checkpoint_if_overdue().await;
        assert!(!writer.dirty);
        let (_, pages, moved): (i64, i64, i64) =
            sqlx::query_as(statements::CHECKPOINT).fetch_one(&mut writer.connection).await.expect("asked");
        assert_eq!(pages, moved, "nothing is left in the log alone");
    }

    #[tokio::test]
    async fn a_commit_that_fails_is_everyones_answer_and_the_writer_goes_on() {
        let root = tempfile::tempdir().expect("a directory");
        let (mut connection, readers) = open::connect(&root.path().join("t.db")).await.expect("opened");
        // A reference checked only at the commit: the one failure a statement cannot show before.
        sqlx::raw_sql(
            "CREATE TABLE debts (task BLOB REFERENCES tasks (id) DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER owe AFTER INSERT ON prompts WHEN new.prompt = 'owe'
             BEGIN INSERT INTO debts VALUES (x'00'); END;",
        )
        .execute(&mut connection)
        .await
        .expect("made");
        let (heads, feed) = heads();
        let mut writer = Writer::new(connection, Rules::default(), heads);

        let (sound, first) = queued(submit("sound".into()));
        let (owing, second) = queued(submit("owe".into()));
        writer.commit_group(&mut vec![sound, owing]).await;
        for answer in [first, second] {
            let answer = answer.await.expect("answered");
            assert!(matches!(answer, Err(SubmitError::Store(StoreError::Database(_)))), "{answer:?}");
        }
        assert_eq!((read::live_count(&readers).await.expect("counted"), *feed.borrow()), (0, 0));

        let (again, third) = queued(submit("sound".into()));
        writer.commit_group(&mut vec![again]).await;
        assert_eq!(third.await.expect("answered").expect("accepted")[0].number, 1);
        assert_eq!(*feed.borrow(), 1);
    }
}
