//! Draining: no new leases for a worker, and nothing else changed.

use factory_coordinator::store::{Holding, Reported, Store};
use factory_domain::{AttemptState, Outcome, WorkerId};
use uuid::Uuid;

use crate::bench::{Worker, at, draft, state, submit};

async fn drain(store: &dyn Store, worker: &Worker, seconds: u64) {
    assert!(store.drain_worker(worker.id, None, at(seconds)).await.expect("written"));
}

async fn resume(store: &dyn Store, worker: &Worker) {
    assert!(store.resume_worker(worker.id).await.expect("written"));
}

pub async fn a_draining_worker_claims_nothing_until_it_is_resumed(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let (worker, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    drain(store, &worker, 1).await;
    assert!(worker.claim(store, 1, at(2)).await.is_empty());
    assert_eq!(state(store, task).await, "queued");
    assert_eq!(other.claim(store, 1, at(2)).await.len(), 1, "another worker is not concerned");
    submit(store, draft("y")).await;
    resume(store, &worker).await;
    assert_eq!(worker.claim(store, 1, at(3)).await.len(), 1);
}

pub async fn what_a_draining_worker_holds_goes_on(store: &dyn Store) {
    let task = submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    let claimed = worker.run_one(store, at(0)).await;
    drain(store, &worker, 1).await;
    let verdicts = store.renew(worker.holds(&[(&claimed, true)]), at(50)).await.expect("renewed");
    assert_eq!(verdicts, [(claimed.attempt, Holding::CarryOn)]);
    assert_eq!(store.next_due().await.expect("read"), Some(at(50 + 60)), "its lease was extended");
    let reported = store.report(worker.reports(&claimed, Outcome::Succeeded), at(51)).await.expect("heard");
    assert!(matches!(reported, Reported::Accepted(_)), "{reported:?}");
    assert_eq!(state(store, task).await, "succeeded");
}

pub async fn a_drain_outlives_the_session_and_keeps_its_first_time(store: &dyn Store) {
    submit(store, draft("x")).await;
    let worker = Worker::register(store, &[]).await;
    drain(store, &worker, 1).await;
    let again = worker.restart(store).await;
    drain(store, &worker, 5).await;
    assert!(again.claim(store, 1, at(6)).await.is_empty());
    let row = store.worker(worker.id).await.expect("read").expect("there");
    assert_eq!(row.draining_since, Some(at(1)));
    resume(store, &worker).await;
    resume(store, &worker).await;
    assert_eq!(store.workers().await.expect("read")[0].draining_since, None);
}

pub async fn a_drain_with_a_deadline_is_set_anew_and_ends_with_the_drain(store: &dyn Store) {
    let worker = Worker::register(store, &[]).await;
    let row = async || store.worker(worker.id).await.expect("read").expect("there");
    for (deadline, seconds) in [(None, 1), (Some(at(60)), 2), (Some(at(1)), 3), (None, 4), (Some(at(9)), 5)] {
        assert!(store.drain_worker(worker.id, deadline, at(seconds)).await.expect("written"));
        let row = row().await;
        assert_eq!((row.draining_since, row.hand_over_at), (Some(at(1)), deadline));
    }
    worker.restart(store).await;
    assert_eq!(row().await.hand_over_at, Some(at(9)));
    resume(store, &worker).await;
    assert_eq!((row().await.draining_since, row().await.hand_over_at), (None, None));
}

pub async fn nobody_drains_a_stranger(store: &dyn Store) {
    let stranger = WorkerId::from_uuid(Uuid::now_v7());
    assert!(!store.drain_worker(stranger, None, at(0)).await.expect("read"));
    assert!(!store.resume_worker(stranger).await.expect("read"));
    assert!(store.worker(stranger).await.expect("read").is_none());
}

pub async fn what_a_worker_holds_is_told_with_its_tasks(store: &dyn Store) {
    let (first, _) = (submit(store, draft("Mend the roof")).await, submit(store, draft("Sweep")).await);
    let (worker, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    let running = worker.run_one(store, at(1)).await;
    let offered = worker.claim(store, 1, at(2)).await.remove(0);
    let held = store.held_by(worker.id).await.expect("read");
    assert_eq!(
        held.iter().map(|entry| entry.attempt).collect::<Vec<_>>(),
        [running.attempt, offered.attempt]
    );
    assert_eq!((held[0].task, held[0].task_number, held[0].number), (first, 1, 1));
    assert_eq!((held[0].title.as_str(), held[0].state), ("Mend the roof", AttemptState::Running));
    assert_eq!((held[0].offered_at, held[0].started_at), (at(1), Some(at(1))));
    assert_eq!((held[1].state, held[1].started_at), (AttemptState::Offered, None));
    assert!(store.held_by(other.id).await.expect("read").is_empty());
    store.report(worker.reports(&running, Outcome::Succeeded), at(3)).await.expect("heard");
    assert_eq!(store.held_by(worker.id).await.expect("read").len(), 1, "what has ended is not held");
}
