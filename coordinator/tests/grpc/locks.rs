//! Files that tasks and agents have for themselves, over the wire.

use std::num::NonZeroU32;
use std::pin::pin;

use factory_proto::v1;
use futures_util::future::{Either, select};
use tonic::{Code, Status};

use crate::setup::{Factory, Worker, prompt, soon, succeeded};

const LONG_MS: u64 = 60_000;

fn touching(text: &str, touches: &[&str]) -> v1::TaskSpec {
    v1::TaskSpec {
        repo: "owner/name".to_owned(),
        touches: touches.iter().map(|path| (*path).to_owned()).collect(),
        ..prompt(text)
    }
}

fn attempt(worker: &Worker, offer: &v1::Offer) -> Option<v1::AttemptRef> {
    Some(v1::AttemptRef {
        worker_id: worker.id.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
    })
}

async fn lock(
    worker: &Worker,
    offer: &v1::Offer,
    paths: &[&str],
    wait_ms: u64,
) -> Result<v1::LockFilesResponse, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = v1::LockFilesRequest { attempt: attempt(worker, offer), paths, wait_ms };
    Ok(soon(worker.client().agents().lock_files(request)).await?.into_inner())
}

async fn unlock(worker: &Worker, offer: &v1::Offer) {
    let request = v1::UnlockFilesRequest { attempt: attempt(worker, offer), paths: Vec::new() };
    soon(worker.client().agents().unlock_files(request)).await.expect("unlocked");
}

#[tokio::test]
async fn a_task_whose_files_are_held_says_so_and_is_offered_once_they_are_free() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(touching("Fix login", &["src/auth"])).await;
    let login = worker.run().await;
    let audit = factory.submit(touching("Audit", &["src/**"])).await;
    let task = factory.get("2").await.task.expect("a task");
    assert_eq!(task.waiting_for, "src/auth held by task 1 (Fix login)");
    let held = factory.get("1").await.task.expect("a task").files;
    assert!(matches!(&held[..], [file] if file.path == "src/auth" && file.since_ms > 0), "{held:?}");

    worker.credits(1).await;
    factory.submit(touching("Write docs", &["docs"])).await;
    let docs = worker.offer().await;
    assert_eq!(docs.task_number, 3, "it holds no slot meanwhile");
    worker.accept(&docs).await;
    worker.credits(1).await;
    worker.report(&login, succeeded(0)).await;
    assert_eq!(worker.offer().await.task_id, audit.id);
    soon(factory.coordinator.shutdown()).await;
}

#[tokio::test]
async fn of_two_agents_that_would_wait_for_each_other_one_is_told() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(touching("one", &[])).await;
    factory.submit(touching("two", &[])).await;
    let (one, two) = (worker.run().await, worker.run().await);
    for (offer, path) in [(&one, "a"), (&two, "b")] {
        assert!(lock(&worker, offer, &[path], 0).await.expect("answered").granted);
    }
    let now = lock(&worker, &one, &["b", "c"], 0).await.expect("answered");
    assert!(!now.granted && now.refused_because.is_empty());
    let [held] = &now.held[..] else { panic!("{now:?}") };
    assert_eq!((held.path.as_str(), held.task_number, held.title.as_str()), ("b", 2, "two"));

    let first = pin!(lock(&worker, &one, &["b"], LONG_MS));
    let second = pin!(lock(&worker, &two, &["a"], LONG_MS));
    let (told, loser, waits) = match select(first, second).await {
        Either::Left((told, waits)) => (told.expect("answered"), &one, waits),
        Either::Right((told, waits)) => (told.expect("answered"), &two, waits),
    };
    assert!(!told.granted && told.refused_because.contains("which waits for this one"), "{told:?}");
    unlock(&worker, loser).await;
    let granted = waits.await;
    assert!(granted.expect("answered").granted, "what it waited for was given back");
    soon(factory.coordinator.shutdown()).await;
}

#[tokio::test]
async fn an_agent_that_waits_gets_files_when_their_holder_ends() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(touching("holds", &["src"])).await;
    factory.submit(touching("waits", &[])).await;
    let (holds, waits) = (worker.run().await, worker.run().await);
    let (granted, _) =
        tokio::join!(lock(&worker, &waits, &["src/main.rs"], LONG_MS), worker.report(&holds, succeeded(0)));
    assert!(granted.expect("answered").granted);
    worker.report(&waits, succeeded(0)).await;
    let late = lock(&worker, &waits, &["src"], 0).await.expect_err("it has ended");
    assert_eq!(late.code(), Code::FailedPrecondition);
    soon(factory.coordinator.shutdown()).await;
}

#[tokio::test]
async fn what_cannot_be_locked_is_named() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("without a repository")).await;
    let offer = worker.run().await;
    for (paths, said) in
        [(vec!["src", "../etc"], "paths[1]"), (vec![], "paths names no files"), (vec!["src"], "a repository")]
    {
        let refused = lock(&worker, &offer, &paths, 0).await.expect_err("refused");
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(said), "{refused:?}");
    }
    soon(factory.coordinator.shutdown()).await;
}

#[tokio::test]
async fn a_limit_holds_for_all_workers_and_is_named() {
    let limit = |config: &mut factory_coordinator::Config| config.rules.limits.fleet = NonZeroU32::new(1);
    let factory = Factory::start_with(limit).await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("first")).await;
    let second = factory.submit(prompt("second")).await;
    let first = worker.run().await;
    let mut other = Worker::connect(&factory.client).await;
    other.credits(4).await;
    let task = factory.get(&second.id).await.task.expect("a task");
    assert_eq!(
        (task.state(), task.waiting_for.as_str()),
        (v1::TaskState::Queued, "the limit of 1 running task(s)")
    );
    worker.report(&first, succeeded(0)).await;
    assert_eq!(other.offer().await.task_id, second.id);
    soon(factory.coordinator.shutdown()).await;
}
