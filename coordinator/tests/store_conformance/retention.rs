//! What the retention is shown, and what it notes.

use factory_coordinator::store::{
    ArtifactEntry, ArtifactKey, ArtifactKind, LogStanding, Pruned, PrunedItem, Store,
};
use factory_domain::retention::{Because, Left, Worth};
use factory_domain::{AttemptId, Commit, Delivery, Outcome, SpecDraft};
use uuid::Uuid;

use crate::bench::{Worker, at, draft, submit};

const WHY: Because = Because::Size { most_bytes: 5 };

fn artifact(attempt: AttemptId, kind: ArtifactKind, name: &str) -> ArtifactEntry {
    ArtifactEntry { attempt, kind, name: name.into(), bytes: 10, sha256: [1; 32] }
}

pub async fn only_what_ended_tasks_left_is_pruned(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    submit(store, draft("ends")).await;
    let ended = worker.run_one(store, at(0)).await;
    submit(store, draft("goes on")).await;
    let live = worker.run_one(store, at(0)).await;
    let key = |attempt| artifact(attempt, ArtifactKind::Patch, "changes.patch").key();
    for attempt in [ended.attempt, live.attempt] {
        store
            .add_artifact(artifact(attempt, ArtifactKind::Patch, "changes.patch"), at(1))
            .await
            .expect("kept");
    }
    store.report(worker.reports(&ended, Outcome::Succeeded), at(2)).await.expect("taken");

    let stranger = AttemptId::from_uuid(Uuid::now_v7());
    let mut standings = store.log_standings(&[ended.attempt, live.attempt, stranger]).await.expect("read");
    standings.sort_by_key(|standing| standing.attempt);
    let standing = |claimed: &factory_coordinator::store::Claimed, ended_at| LogStanding {
        attempt: claimed.attempt,
        task: claimed.task,
        ended_at,
        pruned: false,
    };
    assert_eq!(standings, [standing(&ended, Some(at(2))), standing(&live, None)]);

    let logs = [ended.attempt, live.attempt, stranger].map(|attempt| (attempt, 7, WHY));
    assert_eq!(store.prune_logs(logs.to_vec(), at(3)).await.expect("noted"), [ended.attempt]);
    assert_eq!(store.prune_logs(logs.to_vec(), at(4)).await.expect("noted"), [], "once");
    let artifacts = [ended.attempt, live.attempt, stranger].map(|attempt| (key(attempt), WHY)).to_vec();
    assert_eq!(store.prune_artifacts(artifacts, at(3)).await.expect("noted"), [key(ended.attempt)]);

    assert_eq!(store.artifacts(ended.attempt).await.expect("read"), []);
    assert_eq!(store.artifacts(live.attempt).await.expect("read").len(), 1);
    let pruned = |item, bytes| Pruned { item, bytes, at: at(3), because: WHY };
    assert_eq!(
        store.pruned(ended.attempt).await.expect("read"),
        [pruned(PrunedItem::Log, 7), pruned(PrunedItem::Artifact(key(ended.attempt)), 10)]
    );
    assert_eq!(store.pruned(live.attempt).await.expect("read"), []);
}

pub async fn the_conversation_of_a_task_that_others_may_go_on_from_is_kept_as_a_record(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    for keep_session in [false, true] {
        submit(store, SpecDraft { keep_session, ..draft("ends") }).await;
        let claimed = worker.run_one(store, at(0)).await;
        let transcript = artifact(claimed.attempt, ArtifactKind::CheckpointTranscript, "1");
        store.add_artifact(transcript, at(1)).await.expect("kept");
        store.report(worker.reports(&claimed, Outcome::Succeeded), at(2)).await.expect("taken");
    }
    let kept = store.kept_artifacts(None, 10).await.expect("read");
    let worths: Vec<_> = kept.into_iter().filter_map(|kept| Some(kept.left?.worth)).collect();
    assert_eq!(worths, [Worth::Spent, Worth::Record]);
}

pub async fn what_is_kept_is_read_in_pages_with_its_worth(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    let mut keys: Vec<ArtifactKey> = Vec::new();
    for delivery in [Delivery::Bundled { why: "no".into() }, Delivery::Pushed] {
        submit(store, draft("ends")).await;
        let claimed = worker.run_one(store, at(0)).await;
        for (kind, name) in [(ArtifactKind::Bundle, "commits.bundle"), (ArtifactKind::File, "a")] {
            store.add_artifact(artifact(claimed.attempt, kind, name), at(1)).await.expect("kept");
            keys.push(artifact(claimed.attempt, kind, name).key());
        }
        let mut reported = worker.reports(&claimed, Outcome::Succeeded);
        reported.report.delivery = delivery;
        reported.report.commits = vec![Commit { id: "c1".into(), subject: String::new() }];
        store.report(reported, at(2)).await.expect("taken");
    }
    let (mut read, mut worths, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = store.kept_artifacts(after.as_ref(), 3).await.expect("read");
        let Some(last) = page.last() else { break };
        after = Some(last.entry.key());
        for kept in page {
            let Left { ended_at, bytes, worth, .. } = kept.left.expect("its task has ended");
            assert_eq!((ended_at, bytes), (at(2), 10));
            read.push(kept.entry.key());
            worths.push(worth);
        }
    }
    assert_eq!(read, keys);
    assert_eq!(worths, [Worth::OnlyCopy, Worth::Record, Worth::Record, Worth::Record]);
}
