//! A task to be tried again goes back to where its work is, and waits for nobody.

use factory_coordinator::store::{Claim, Claimed, Store};
use factory_domain::{Event, FailureReason, Outcome, Preference, ReturnReason, SpecDraft, TaskId, Timestamp};

use crate::bench::{Worker, apply, at, draft, failed, limited_until, state, submit};

/// Ends an attempt in a way that parks its task, and wakes that; returns when.
async fn wakes_after(store: &dyn Store, worker: &Worker, claimed: &Claimed, outcome: Outcome) -> Timestamp {
    store.report(worker.reports(claimed, outcome), at(1)).await.expect("heard");
    loop {
        let due = store.next_due().await.expect("read").expect("a wake time");
        store.apply_due(due).await.expect("applied");
        if state(store, claimed.task).await == "queued" {
            return due;
        }
    }
}

/// What `worker` is given while `other` could take something as well.
async fn beside(store: &dyn Store, worker: &Worker, other: &Worker, now: Timestamp) -> Vec<Claimed> {
    let claim = Claim { left_to: vec![(other.id, other.wants(1).capacity)], ..worker.wants(4) };
    store.claim(claim, now).await.expect("claimed")
}

fn tasks(claimed: Vec<Claimed>) -> Vec<TaskId> {
    claimed.into_iter().map(|one| one.task).collect()
}

async fn prefers(store: &dyn Store, task: TaskId) -> Option<Preference> {
    store.task(task).await.expect("read").expect("there").prefers
}

fn seconds_after(time: Timestamp, seconds: u64) -> Timestamp {
    time.after(std::time::Duration::from_secs(seconds))
}

pub async fn a_task_tried_again_is_left_to_the_worker_where_its_work_is(store: &dyn Store) {
    let task = submit(store, SpecDraft { max_attempts: Some(9), ..draft("x") }).await;
    let (home, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    let first = home.run_one(store, at(0)).await;
    let woken = wakes_after(store, &home, &first, failed(FailureReason::AgentError)).await;
    let until = seconds_after(woken, 15);
    assert_eq!(prefers(store, task).await, Some(Preference { worker: home.id, until }));
    submit(store, draft("anyone's")).await;
    let taken = beside(store, &other, &home, woken).await;
    assert_eq!(taken.len(), 1, "what prefers nobody is everybody's");
    assert_ne!(taken[0].task, task);
    let back = home.claim(store, 1, woken).await.remove(0);
    assert_eq!((back.task, prefers(store, task).await), (task, None));

    // Declined there, it is anyone's.
    let why = ReturnReason::Declined { why: "the disk is full".into() };
    apply(store, task, Event::Returned { attempt: back.attempt, why }, woken).await;
    let elsewhere = beside(store, &other, &home, woken).await.remove(0);
    assert_eq!(elsewhere.task, task);
    for event in
        [Event::Accepted { attempt: elsewhere.attempt }, Event::Started { attempt: elsewhere.attempt }]
    {
        apply(store, task, event, woken).await;
    }

    // So it is where that worker cannot, and when it has not in time.
    let woken = wakes_after(store, &other, &elsewhere, limited_until(50)).await;
    assert!(!tasks(beside(store, &home, &other, woken).await).contains(&task));
    let late = seconds_after(woken, 15);
    assert!(tasks(beside(store, &home, &other, late).await).contains(&task));
}

pub async fn a_worker_that_is_not_there_keeps_no_task_waiting(store: &dyn Store) {
    let task = submit(store, SpecDraft { max_attempts: Some(9), ..draft("x") }).await;
    let (home, other) = (Worker::register(store, &[]).await, Worker::register(store, &[]).await);
    let first = home.run_one(store, at(0)).await;
    let woken = wakes_after(store, &home, &first, failed(FailureReason::AgentError)).await;
    let next = other.run_one(store, woken).await;
    assert_eq!(next.task, task);

    // Trouble of a host's own leaves the work there once; the second time it makes nobody preferred.
    wakes_after(store, &other, &next, failed(FailureReason::WorkerError)).await;
    assert_eq!(prefers(store, task).await.map(|kept| kept.worker), Some(other.id));
    let next = home.run_one(store, at(100)).await;
    let woken = wakes_after(store, &home, &next, failed(FailureReason::WorkerError)).await;
    assert_eq!(prefers(store, task).await, None);

    // Nor does a hand-over.
    let next = home.run_one(store, woken).await;
    store.report(home.reports(&next, Outcome::HandedOver), woken).await.expect("heard");
    assert_eq!(prefers(store, task).await, None);
    let next = home.run_one(store, woken).await;
    for lapses in [seconds_after(woken, 100), seconds_after(woken, 500)] {
        store.apply_due(lapses).await.expect("applied");
    }
    let wake = store.next_due().await.expect("read").expect("a wake time");
    store.apply_due(wake).await.expect("applied");
    assert_eq!((next.task, prefers(store, task).await), (task, None), "nor does a loss");
}
