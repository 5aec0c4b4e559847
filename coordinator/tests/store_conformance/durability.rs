//! What is SQLite's own part: replies that survive a crash, groups, and files that cannot be opened.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use factory_coordinator::store::sqlite::{OpenError, SqliteStore};
use factory_coordinator::store::{NewTask, Rules, Store, StoreError, SubmitError};
use factory_domain::{Event, Outcome};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::bench::{Worker, apply, at, draft, keyed, new_task, state, story, submit};

fn database(root: &TempDir) -> PathBuf {
    root.path().join("agent-factory.db")
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Rules::default()).await.expect("opened")
}

/// What a crash at this moment would leave: the files as they are, the open store not asked.
fn crash(root: &TempDir) -> TempDir {
    let left = tempfile::tempdir().expect("a directory");
    for name in ["agent-factory.db", "agent-factory.db-wal"] {
        std::fs::copy(root.path().join(name), left.path().join(name)).expect("copied");
    }
    left
}

#[tokio::test]
async fn everything_survives_a_reopen() {
    let root = tempfile::tempdir().expect("a directory");
    let store = open(&database(&root)).await;
    let (ended, queued) = (submit(&store, draft("a")).await, submit(&store, draft("b")).await);
    let worker = Worker::register(&store, &[]).await;
    let claimed = worker.run_one(&store, at(1)).await;
    store.report(worker.reports(&claimed, Outcome::Succeeded), at(2)).await.expect("heard");
    let cursor = *store.feed().borrow();
    store.close().await;
    assert!(!root.path().join("agent-factory.db-wal").exists(), "the log was left behind at closing");

    let store = open(&database(&root)).await;
    assert_eq!(*store.feed().borrow(), cursor);
    assert_eq!((state(&store, ended).await, state(&store, queued).await), ("succeeded", "queued"));
    assert_eq!(story(&store, ended).await, ["submitted", "offered", "accepted", "started", "ended"]);
    assert_eq!(store.submit(vec![new_task(draft("c"))], at(3)).await.expect("accepted")[0].number, 3);
    store.close().await;
}

#[tokio::test]
async fn what_was_answered_survives_a_crash() {
    let root = tempfile::tempdir().expect("a directory");
    let store = Arc::new(open(&database(&root)).await);
    let mut submitters = JoinSet::new();
    for n in 0..64 {
        let store = Arc::clone(&store);
        submitters.spawn(async move { submit(store.as_ref(), draft(&format!("task {n}"))).await });
    }
    let answered = submitters.join_all().await;
    let left = crash(&root);

    let after = open(&database(&left)).await;
    assert_eq!(after.live_count().await.expect("counted"), 64);
    for task in answered {
        assert_eq!(story(&after, task).await, ["submitted"]);
    }
    let worker = Worker::register(&after, &[]).await;
    assert_eq!(worker.claim(&after, 100, at(1)).await.len(), 64);
    after.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_write_that_fails_does_not_take_its_neighbours_with_it() {
    let root = tempfile::tempdir().expect("a directory");
    let store = open(&database(&root)).await;
    let first = new_task(draft("first"));
    let id = first.id;
    store.submit(vec![first], at(0)).await.expect("accepted");
    store.submit(vec![keyed("one", "k")], at(0)).await.expect("accepted");
    // One thread, one turn: all of these are in the writer's queue before it next looks.
    let (before, taken, reused, rejected, after) = tokio::join!(
        store.submit(vec![new_task(draft("before"))], at(1)),
        // Fails in the database: the id is taken.
        store.submit(vec![NewTask { id, ..new_task(draft("taken")) }], at(1)),
        store.submit(vec![new_task(draft("x")), keyed("two", "k")], at(1)),
        store.apply(id, Event::Woken, at(1)),
        store.submit(vec![new_task(draft("after"))], at(1)),
    );
    assert!(matches!(taken, Err(SubmitError::Store(StoreError::Database(_)))), "{taken:?}");
    assert!(matches!(reused, Err(SubmitError::KeyReused { .. })), "{reused:?}");
    assert!(rejected.is_err());
    assert_eq!((before.expect("accepted")[0].number, after.expect("accepted")[0].number), (3, 4));
    assert_eq!(store.live_count().await.expect("counted"), 4);
    let cursors: Vec<u64> =
        store.events_after(0, &[], 10).await.expect("read").iter().map(|event| event.cursor).collect();
    assert_eq!(cursors, [1, 2, 3, 4]);
    assert_eq!(*store.feed().borrow(), 4);
    store.close().await;
}

#[tokio::test]
async fn keys_hold_among_submits_that_are_written_together() {
    let root = tempfile::tempdir().expect("a directory");
    let store = open(&database(&root)).await;
    let refused_first = keyed("refused", "left behind");
    // One thread, one turn: all of these are in the writer's queue before it next looks.
    let (first, again, reused, freed) = tokio::join!(
        store.submit(vec![keyed("one", "k")], at(1)),
        store.submit(vec![new_task(draft("x")), keyed("one", "k")], at(1)),
        store.submit(vec![refused_first, keyed("two", "k")], at(1)),
        store.submit(vec![keyed("another", "left behind")], at(1)),
    );
    let (first, again) = (first.expect("accepted"), again.expect("accepted"));
    assert_eq!((again[1].id, again[1].number, again[1].existed), (first[0].id, 1, true));
    assert!(!first[0].existed && !again[0].existed);
    let Err(SubmitError::KeyReused { index: 1, existing, .. }) = reused else { panic!("{reused:?}") };
    assert_eq!(existing, first[0].id);
    // A refused submit holds none of its keys.
    assert!(!freed.expect("accepted")[0].existed);
    assert_eq!(store.live_count().await.expect("counted"), 3);
    assert_eq!(*store.feed().borrow(), 3);
    store.close().await;
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let root = tempfile::tempdir().expect("a directory");
    let store = open(&database(&root)).await;
    // Given before the close: still done.
    let (given, ()) = tokio::join!(store.submit(vec![new_task(draft("x"))], at(0)), store.close());
    given.expect("accepted");
    let late = store.submit(vec![new_task(draft("y"))], at(0)).await;
    assert!(matches!(late, Err(SubmitError::Store(StoreError::Closed))), "{late:?}");
    assert!(matches!(store.live_count().await, Err(StoreError::Closed)));
    store.close().await;
}

async fn beside(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).foreign_keys(true).connect().await.expect("opened")
}

#[tokio::test]
async fn the_schema_itself_refuses_what_must_not_be() {
    let root = tempfile::tempdir().expect("a directory");
    let store = open(&database(&root)).await;
    let (ended, live) = (submit(&store, draft("a")).await, submit(&store, draft("b")).await);
    apply(&store, ended, Event::CancelRequested, at(1)).await;
    Worker::register(&store, &[]).await.run_one(&store, at(1)).await;
    let mut database = beside(&database(&root)).await;
    for (what, statement) in [
        ("an ended task that moves", "UPDATE tasks SET updated_at = 0 WHERE state = 'cancelled'"),
        ("an unknown state", "UPDATE tasks SET state = 'lost' WHERE state = 'running'"),
        ("a queued task with a lease", "UPDATE tasks SET state = 'queued' WHERE state = 'running'"),
        ("a running task without one", "UPDATE tasks SET attempt_id = NULL WHERE state = 'running'"),
        ("a parked task that never wakes", "UPDATE tasks SET state = 'parked', attempt_id = NULL"),
        ("a live attempt without a deadline", "UPDATE attempts SET deadline_at = NULL"),
        ("an ended attempt with a deadline", "UPDATE attempts SET state = 'lost', ended_at = 1"),
        ("a report of a live attempt", "UPDATE attempts SET report = '{}', report_digest = zeroblob(32)"),
        (
            "a second live attempt",
            "INSERT INTO attempts (id, task_id, number, worker_id, state, offered_at, deadline_at)
             SELECT randomblob(16), task_id, 2, worker_id, 'offered', 1, 1 FROM attempts",
        ),
        ("an event that is changed", "UPDATE events SET at = 0"),
        (
            "an event named other than it is",
            "INSERT INTO events (at, task_id, kind, event, state)
             SELECT 1, task_id, 'woken', '{\"kind\":\"lost\"}', '{}' FROM events LIMIT 1",
        ),
        (
            "a task of an attempt that is not there",
            "UPDATE tasks SET attempt_id = randomblob(16) WHERE state = 'running'",
        ),
    ] {
        let done = sqlx::query(AssertSqlSafe(statement)).execute(&mut database).await;
        assert!(done.is_err(), "{what} was taken");
    }
    assert_eq!((state(&store, ended).await, state(&store, live).await), ("cancelled", "running"));
    store.close().await;
}

#[tokio::test]
async fn rows_nobody_can_read_are_an_error_that_says_so() {
    let root = tempfile::tempdir().expect("a directory");
    let store = open(&database(&root)).await;
    let task = submit(&store, draft("a")).await;
    let mut database = beside(&database(&root)).await;
    sqlx::query("UPDATE tasks SET spec = '{}'").execute(&mut database).await.expect("written");
    let read = store.task(task).await;
    assert!(matches!(&read, Err(StoreError::Corrupt(why)) if why.contains("spec")), "{read:?}");
    store.close().await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_named() {
    let root = tempfile::tempdir().expect("a directory");
    let nowhere = SqliteStore::open(&root.path().join("no/such/place.db"), Rules::default()).await;
    assert!(matches!(&nowhere, Err(OpenError::Open { path, .. }) if path.ends_with("place.db")));

    let text = root.path().join("text.db");
    std::fs::write(&text, "this is not a database, however long one looks at it. ".repeat(100))
        .expect("written");
    let text = SqliteStore::open(&text, Rules::default()).await;
    assert!(matches!(text, Err(OpenError::Open { source: StoreError::Corrupt(_), .. })));

    open(&database(&root)).await.close().await;
    let mut newer = beside(&database(&root)).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, x'00', 0)",
    )
    .execute(&mut newer)
    .await
    .expect("written");
    let newer = SqliteStore::open(&database(&root), Rules::default()).await;
    assert!(matches!(newer, Err(OpenError::FromNewerRelease { version: 9999, .. })));
}

#[tokio::test]
async fn a_state_is_read_as_it_was_decided() {
    let root = tempfile::tempdir().expect("a directory");
    let store = open(&database(&root)).await;
    let task = submit(&store, draft("a")).await;
    let worker = Worker::register(&store, &[]).await;
    let claimed = worker.run_one(&store, at(0)).await;
    for (event, now) in [
        (Event::ContactLost { attempt: claimed.attempt }, at(60)),
        (Event::CancelRequested, at(61)),
        (Event::Lost { attempt: claimed.attempt }, at(400)),
    ] {
        let applied = apply(&store, task, event, now).await;
        let entry = store.task(task).await.expect("read").expect("there");
        assert_eq!(entry.state, applied.state);
    }
    assert_eq!(state(&store, task).await, "cancelled");
    store.close().await;
}
