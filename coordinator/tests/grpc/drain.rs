//! Draining a worker: what is offered, what is told, what survives.

use factory_proto::v1;
use factory_proto::v1::session_request::Message as Say;
use factory_proto::v1::session_response::Message as Heard;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::setup::{Factory, Worker, hello, prompt, soon, succeeded};

async fn drain(factory: &Factory, worker: &str) -> Result<v1::DrainWorkerResponse, Status> {
    drain_within(factory, worker, None).await
}

async fn drain_within(
    factory: &Factory,
    worker: &str,
    hand_over_after_ms: Option<u64>,
) -> Result<v1::DrainWorkerResponse, Status> {
    let request = v1::DrainWorkerRequest { worker: worker.to_owned(), hand_over_after_ms };
    Ok(soon(factory.client.fleet().drain_worker(request)).await?.into_inner())
}

async fn resume(factory: &Factory, worker: &str) -> v1::Worker {
    let request = v1::ResumeWorkerRequest { worker: worker.to_owned() };
    let reply = soon(factory.client.fleet().resume_worker(request)).await.expect("taken");
    reply.into_inner().worker.expect("a worker")
}

async fn get(factory: &Factory, worker: &str) -> v1::GetWorkerResponse {
    let request = v1::GetWorkerRequest { worker: worker.to_owned() };
    soon(factory.client.fleet().get_worker(request)).await.expect("found").into_inner()
}

async fn told(worker: &mut Worker) -> bool {
    told_in_full(worker).await.draining
}

async fn told_in_full(worker: &mut Worker) -> v1::Drain {
    match worker.hear().await {
        Ok(Some(Heard::Drain(drain))) => drain,
        other => panic!("instead of a drain: {other:?}"),
    }
}

async fn waiting_for(factory: &Factory, task: &str) -> String {
    factory.get(task).await.task.expect("a task").waiting_for
}

#[tokio::test]
async fn a_draining_worker_finishes_and_is_offered_nothing_until_it_is_resumed() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let running = factory.submit(prompt("First things first")).await;
    let offer = worker.run().await;
    let drained = drain(&factory, "hand").await.expect("taken");
    assert_eq!(drained.worker.expect("a worker").drain(), v1::DrainState::Draining);
    assert_eq!(drained.attempts.len(), 1);
    let held = &drained.attempts[0];
    assert_eq!((held.id.as_str(), held.task_id.as_str()), (offer.attempt_id.as_str(), running.id.as_str()));
    assert_eq!((held.task_number, held.number, held.title.as_str()), (1, 1, "First things first"));
    assert!(told(&mut worker).await);

    worker.credits(4).await;
    let queued = factory.submit(prompt("Later")).await;
    assert_eq!(worker.report(&offer, succeeded(0)).await, v1::ReportVerdict::Accepted);
    assert_eq!(waiting_for(&factory, &queued.id).await, "the only matching workers are draining");
    let seen = get(&factory, "hand").await;
    assert!(seen.attempts.is_empty());
    let seen = seen.worker.expect("a worker");
    assert_eq!(seen.drain(), v1::DrainState::Drained);
    assert!(seen.draining_since_ms > 0 && seen.connected);

    assert_eq!(resume(&factory, "hand").await.drain(), v1::DrainState::Unspecified);
    // Its next word is the end of the drain: nothing was offered before.
    assert!(!told(&mut worker).await);
    assert_eq!(worker.offer().await.task_id, queued.id);
}

#[tokio::test]
async fn others_take_what_a_draining_worker_does_not() {
    let factory = Factory::start().await;
    let drained = Worker::connect(&factory.client).await;
    drained.credits(8).await;
    drain(&factory, &drained.id.to_string()).await.expect("taken");
    let mut other = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    assert_eq!(other.run().await.task_id, task.id);
}

#[tokio::test]
async fn a_drain_outlives_restarts_of_worker_and_coordinator() {
    let factory = Factory::start().await;
    let id = Uuid::now_v7();
    let worker = Worker::connect_as(&factory.client, hello(id)).await.expect("welcome");
    assert!(!worker.welcome.draining);
    drain(&factory, "hand").await.expect("taken");
    let again = Worker::connect_as(&factory.client, hello(id)).await.expect("welcome");
    assert!(again.welcome.draining, "after a restart of the worker");

    let factory = factory.restart().await;
    let away = get(&factory, "hand").await.worker.expect("a worker");
    assert_eq!((away.connected, away.drain()), (false, v1::DrainState::Drained));
    let mut worker = Worker::connect_as(&factory.client, hello(id)).await.expect("welcome");
    assert!(worker.welcome.draining, "after a restart of the coordinator");
    worker.credits(1).await;
    let task = factory.submit(prompt("Work")).await;
    resume(&factory, "hand").await;
    assert!(!told(&mut worker).await);
    assert_eq!(worker.offer().await.task_id, task.id);
}

#[tokio::test]
async fn a_worker_that_is_about_to_stop_is_seen_draining() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    worker.say(Say::Credits(v1::Credits { free_slots: 0, stopping: true })).await;
    // Accepting again is answered once the word before it was heard.
    assert!(matches!(worker.accept(&offer).await, Heard::Confirm(_)));
    let seen = get(&factory, "hand").await.worker.expect("a worker");
    assert_eq!((seen.drain(), seen.draining_since_ms), (v1::DrainState::Draining, 0));
}

#[tokio::test]
async fn a_name_of_none_or_of_several_is_not_found() {
    let factory = Factory::start().await;
    let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
    for id in [one, other] {
        Worker::connect_as(&factory.client, hello(id)).await.expect("welcome");
    }
    let none = drain(&factory, "foot").await.expect_err("refused");
    assert_eq!((none.code(), none.message()), (Code::NotFound, "there is no worker `foot`"));
    let several = drain(&factory, "hand").await.expect_err("refused");
    assert_eq!(several.code(), Code::NotFound);
    for id in [one, other] {
        assert!(several.message().contains(&id.to_string()), "{several}");
    }
    let meant = get(&factory, &one.to_string()).await.worker.expect("a worker");
    assert_eq!((meant.drain(), meant.id), (v1::DrainState::Unspecified, one.to_string()));
}

#[tokio::test]
async fn a_worker_hears_how_long_it_has_until_it_hands_over() {
    let factory = Factory::start().await;
    let id = Uuid::now_v7();
    let mut worker = Worker::connect_as(&factory.client, hello(id)).await.expect("welcome");
    assert_eq!((worker.welcome.draining, worker.welcome.hand_over_after_ms), (false, 0));

    let hour = 3_600_000;
    let drained = drain_within(&factory, "hand", Some(hour)).await.expect("taken");
    let seen = drained.worker.expect("a worker");
    let left = told_in_full(&mut worker).await.hand_over_after_ms;
    assert!(left > hour - 60_000 && left <= hour, "{left}");
    assert_eq!(seen.hand_over_at_ms - seen.draining_since_ms, i64::try_from(hour).expect("small"));

    // Through restarts of both sides.
    let factory = factory.restart().await;
    let mut worker = Worker::connect_as(&factory.client, hello(id)).await.expect("welcome");
    let left = worker.welcome.hand_over_after_ms;
    assert!(worker.welcome.draining && left > 0 && left < hour, "{left}");

    // At once, which is not the same as never; and past by the time it comes back.
    drain_within(&factory, "hand", Some(0)).await.expect("taken");
    assert_eq!(told_in_full(&mut worker).await.hand_over_after_ms, 1);
    let mut worker = Worker::connect_as(&factory.client, hello(id)).await.expect("welcome");
    assert_eq!(worker.welcome.hand_over_after_ms, 1);

    drain(&factory, "hand").await.expect("taken");
    assert_eq!(told_in_full(&mut worker).await, v1::Drain { draining: true, hand_over_after_ms: 0 });
    drain_within(&factory, "hand", Some(hour)).await.expect("taken");
    told_in_full(&mut worker).await;
    let resumed = resume(&factory, "hand").await;
    assert_eq!((resumed.drain(), resumed.hand_over_at_ms), (v1::DrainState::Unspecified, 0));
    assert_eq!(told_in_full(&mut worker).await, v1::Drain::default());
}

/// One of an older release, or frozen: its lease goes on as any other's, and its result counts.
#[tokio::test]
async fn a_worker_that_does_not_hand_over_keeps_what_it_holds() {
    let factory = Factory::start().await;
    let mut deaf = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    let offer = deaf.run().await;
    let mut other =
        Worker::connect_as(&factory.client, v1::Hello { name: "other".into(), ..hello(Uuid::now_v7()) })
            .await
            .expect("welcome");
    other.credits(1).await;
    drain_within(&factory, "hand", Some(0)).await.expect("taken");
    assert!(told(&mut deaf).await);
    let later = factory.submit(prompt("More")).await;
    assert_eq!(other.offer().await.task_id, later.id, "and not what the other still runs");
    assert_eq!(factory.state(&task.id).await, v1::TaskState::Running);
    assert_eq!(deaf.report(&offer, succeeded(0)).await, v1::ReportVerdict::Accepted);
}
