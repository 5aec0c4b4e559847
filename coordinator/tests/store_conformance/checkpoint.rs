//! Checkpoints: the newest counts, and its files are there.

use factory_coordinator::store::{
    ArtifactEntry, ArtifactKind, CheckpointError, Claimed, Store, TakenCheckpoint,
};
use factory_domain::{AttemptState, Checkpoint, Snapshot, Timestamp};

use crate::bench::{Worker, at, draft, submit};

const FILES: [ArtifactKind; 2] = [ArtifactKind::CheckpointWork, ArtifactKind::CheckpointTranscript];

fn checkpoint(number: u32) -> Checkpoint {
    Checkpoint {
        number,
        taken_at: Timestamp::from_millis(5),
        agent_session: Some("a-session".into()),
        branch: None,
        snapshot: Some(Snapshot { base: None, tip: None, commit: "c".repeat(40) }),
        has_transcript: true,
    }
}

fn taken(worker: &Worker, claimed: &Claimed, number: u32) -> TakenCheckpoint {
    let (task, attempt) = (claimed.task, claimed.attempt);
    TakenCheckpoint { worker: worker.id, task, attempt, checkpoint: checkpoint(number) }
}

async fn upload(store: &dyn Store, claimed: &Claimed, kind: ArtifactKind, name: &str) {
    let entry =
        ArtifactEntry { attempt: claimed.attempt, kind, name: name.into(), bytes: 3, sha256: [1; 32] };
    store.add_artifact(entry, at(1)).await.expect("kept");
}

/// Uploads the files and makes the checkpoint current; returns the names of those it took the place of.
async fn keep(store: &dyn Store, worker: &Worker, claimed: &Claimed, number: u32) -> Vec<String> {
    for kind in FILES {
        upload(store, claimed, kind, &number.to_string()).await;
    }
    let older = store.keep_checkpoint(taken(worker, claimed, number), at(2)).await.expect("kept");
    older.into_iter().map(|file| file.name).collect()
}

async fn kept(store: &dyn Store, claimed: &Claimed) -> Option<u32> {
    store.checkpoint(claimed.attempt).await.expect("read").map(|checkpoint| checkpoint.number)
}

pub async fn the_newest_checkpoint_of_an_attempt_counts(store: &dyn Store) {
    submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    upload(store, &claimed, ArtifactKind::File, "1").await;
    assert_eq!(kept(store, &claimed).await, None);

    assert!(keep(store, &worker, &claimed, 2).await.is_empty());
    assert_eq!(store.checkpoint(claimed.attempt).await.expect("read"), Some(checkpoint(2)));
    assert!(keep(store, &worker, &claimed, 2).await.is_empty(), "the same again changes nothing");
    assert!(keep(store, &worker, &claimed, 1).await.is_empty(), "overtaken on its way");
    assert_eq!(kept(store, &claimed).await, Some(2));

    // By number, not by text; and what came late goes along.
    assert_eq!(keep(store, &worker, &claimed, 10).await, ["1", "2", "1", "2"]);
    assert_eq!(kept(store, &claimed).await, Some(10));
    let left = store.artifacts(claimed.attempt).await.expect("read");
    let mut left: Vec<_> = left.iter().map(|file| (file.kind, file.name.as_str())).collect();
    left.sort_by_key(|(kind, _)| *kind as u8);
    let [work, transcript] = FILES;
    assert_eq!(left, [(ArtifactKind::File, "1"), (work, "10"), (transcript, "10")]);
}

pub async fn a_checkpoint_stands_on_files_that_are_here(store: &dyn Store) {
    submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    keep(store, &worker, &claimed, 1).await;
    for uploaded in FILES {
        let refused = store.keep_checkpoint(taken(&worker, &claimed, 2), at(2)).await;
        assert!(matches!(refused, Err(CheckpointError::FileMissing { number: 2, .. })), "{refused:?}");
        assert_eq!(kept(store, &claimed).await, Some(1), "the older one stands");
        upload(store, &claimed, uploaded, "2").await;
    }
    store.keep_checkpoint(taken(&worker, &claimed, 2), at(2)).await.expect("kept");

    let bare = Checkpoint { snapshot: None, has_transcript: false, ..checkpoint(3) };
    let older = TakenCheckpoint { checkpoint: bare, ..taken(&worker, &claimed, 3) };
    let older = store.keep_checkpoint(older, at(3)).await.expect("it has no files");
    assert_eq!(older.len(), 2);
    assert!(store.artifacts(claimed.attempt).await.expect("read").is_empty());
}

pub async fn a_checkpoint_is_fenced_and_outlives_the_lease(store: &dyn Store) {
    let other_task = submit(store, draft("x")).await;
    submit(store, draft("y")).await;
    let (worker, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    worker.run_one(store, at(0)).await;
    let claimed = worker.run_one(store, at(0)).await;
    let right = taken(&worker, &claimed, 1);
    for wrong in
        [TakenCheckpoint { worker: other.id, ..right.clone() }, TakenCheckpoint { task: other_task, ..right }]
    {
        let refused = store.keep_checkpoint(wrong, at(1)).await;
        assert!(matches!(refused, Err(CheckpointError::NotYours(_))), "{refused:?}");
    }
    for lapses in [at(60), at(360)] {
        store.apply_due(lapses).await.expect("applied");
    }
    let attempt = store.attempt(claimed.attempt).await.expect("read").expect("there");
    assert_eq!(attempt.state, AttemptState::Lost);
    keep(store, &worker, &claimed, 1).await;
    assert_eq!(kept(store, &claimed).await, Some(1), "work is saved, whatever became of the lease");
}
