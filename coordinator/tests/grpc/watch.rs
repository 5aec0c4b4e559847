//! The event feed, by cursor.

use factory_proto::v1;
use tonic::{Code, Streaming};

use crate::setup::{Factory, Worker, prompt, soon, succeeded};

async fn watch(factory: &Factory, request: v1::WatchRequest) -> Streaming<v1::WatchResponse> {
    soon(factory.client.tasks().watch(request)).await.expect("a stream").into_inner()
}

async fn next(events: &mut Streaming<v1::WatchResponse>) -> Option<v1::Event> {
    soon(events.message()).await.expect("no error").and_then(|response| response.event)
}

#[tokio::test]
async fn a_watch_shows_every_step_and_ends_with_its_task() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    let request = v1::WatchRequest { tasks: vec![task.id.clone()], until_ended: true, ..Default::default() };
    let mut events = watch(&factory, request).await;
    factory.submit(prompt("Something else")).await;
    let offer = worker.run().await;
    let mut kinds = Vec::new();
    while let Some(event) = next(&mut events).await {
        assert_eq!(event.task_id, task.id);
        // Said on the session: a report could overtake it.
        if event.kind == "started" {
            worker.report(&offer, succeeded(0)).await;
        }
        kinds.push(event.kind);
    }
    assert_eq!(kinds, ["submitted", "offered", "accepted", "started", "ended"]);
}

#[tokio::test]
async fn a_watch_resumes_by_cursor_after_a_restart_without_loss_or_repetition() {
    let factory = Factory::start().await;
    let all = |after, follow| v1::WatchRequest { after, follow, ..Default::default() };
    let mut events = watch(&factory, all(0, true)).await;
    factory.submit(prompt("one")).await;
    factory.submit(prompt("two")).await;
    let first = next(&mut events).await.expect("an event");
    drop(events);

    let factory = factory.restart().await;
    factory.submit(prompt("three")).await;
    let mut events = watch(&factory, all(first.cursor, false)).await;
    let mut numbers = Vec::new();
    while let Some(event) = next(&mut events).await {
        assert!(event.cursor > first.cursor);
        numbers.push(event.task_number);
    }
    assert_eq!(numbers, [2, 3]);
}

#[tokio::test]
async fn a_stop_ends_a_watch_with_unavailable() {
    let factory = Factory::start().await;
    let request = v1::WatchRequest { follow: true, ..Default::default() };
    let mut events = watch(&factory, request).await;
    soon(factory.coordinator.shutdown()).await;
    assert_eq!(soon(events.message()).await.expect_err("ended").code(), Code::Unavailable);
}

#[tokio::test]
async fn a_cursor_of_another_factory_is_refused() {
    let factory = Factory::start().await;
    let request = v1::WatchRequest { after: 1000, follow: true, ..Default::default() };
    let refused = soon(factory.client.tasks().watch(request)).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    let beyond = v1::WatchRequest { tasks: vec!["77".into()], ..Default::default() };
    let missing = soon(factory.client.tasks().watch(beyond)).await.expect_err("no such task");
    assert_eq!(missing.code(), Code::NotFound);
}
