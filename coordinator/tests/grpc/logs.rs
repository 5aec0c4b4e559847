//! Lines pushed by a worker, read and followed by people.

use std::time::Duration;

use factory_proto::v1;
use tonic::Streaming;

use crate::setup::{Factory, Worker, failed, prompt, soon, succeeded};

async fn follow(factory: &Factory, task: &str, from: (u32, u64)) -> Streaming<v1::FollowLogResponse> {
    let from = v1::LogPosition { attempt_number: from.0, offset: from.1 };
    let request = v1::FollowLogRequest { task: task.to_owned(), from: Some(from), attempt_number: None };
    soon(factory.client.logs().follow(request)).await.expect("a stream").into_inner()
}

/// The next lines, with the number of their attempt.
async fn lines(log: &mut Streaming<v1::FollowLogResponse>) -> Option<(u32, Vec<String>)> {
    let page = soon(log.message()).await.expect("no error")?;
    let text = page.records.iter().map(|record| String::from_utf8_lossy(&record.data).into_owned());
    Some((page.attempt_number, text.collect()))
}

async fn to_the_end(log: &mut Streaming<v1::FollowLogResponse>) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    while let Some((attempt, page)) = lines(log).await {
        all.extend(page.into_iter().map(|line| (attempt, line)));
    }
    all
}

async fn running(factory: &Factory) -> (Worker, v1::Submitted, v1::Offer) {
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(v1::TaskSpec { max_attempts: Some(2), ..prompt("Work") }).await;
    let offer = worker.run().await;
    (worker, task, offer)
}

#[tokio::test]
async fn lines_arrive_while_the_agent_runs_and_the_follow_ends_after_the_last() {
    let factory = Factory::start().await;
    let (worker, task, offer) = running(&factory).await;
    let mut log = follow(&factory, &task.id, (0, 0)).await;
    worker.push(&offer, 0, &["one", "two"]).await;
    assert_eq!(lines(&mut log).await, Some((1, vec!["one".into(), "two".into()])));
    // The report overtakes the last line.
    worker.report(&offer, succeeded(3)).await;
    let ack = worker.push(&offer, 2, &["three"]).await;
    assert!(ack.closed && ack.next_offset == 3, "{ack:?}");
    assert_eq!(to_the_end(&mut log).await, [(1, "three".to_owned())]);
}

#[tokio::test]
async fn the_coordinators_offset_is_final() {
    let factory = Factory::start().await;
    let (worker, task, offer) = running(&factory).await;
    assert_eq!(worker.push(&offer, 0, &["a", "b"]).await.next_offset, 2);
    assert_eq!(worker.push(&offer, 5, &["f"]).await.next_offset, 2, "a gap is not taken");
    assert_eq!(worker.push(&offer, 1, &["b", "c"]).await.next_offset, 3, "what is there is not doubled");
    worker.report(&offer, succeeded(3)).await;
    let mut log = follow(&factory, &task.id, (0, 0)).await;
    let text: Vec<_> = to_the_end(&mut log).await.into_iter().map(|(_, line)| line).collect();
    assert_eq!(text, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_follow_goes_on_with_the_next_attempt_and_resumes_anywhere() {
    let factory = Factory::start_with(|config| config.rules.backoff.base = Duration::from_millis(5)).await;
    let (mut worker, task, first) = running(&factory).await;
    let mut log = follow(&factory, &task.id, (0, 0)).await;
    worker.push(&first, 0, &["first"]).await;
    worker.report(&first, failed("agent_error", 1)).await;
    let second = worker.run().await;
    worker.push(&second, 0, &["second", "last"]).await;
    worker.report(&second, succeeded(2)).await;
    let whole = [(1, "first".to_owned()), (2, "second".to_owned()), (2, "last".to_owned())];
    assert_eq!(to_the_end(&mut log).await, whole);

    let factory = factory.restart().await;
    let mut rest = follow(&factory, &task.id, (2, 1)).await;
    assert_eq!(to_the_end(&mut rest).await, [(2, "last".to_owned())]);
}

#[tokio::test]
async fn a_lost_attempts_log_ends_where_it_is() {
    let factory = Factory::start_with(|config| {
        config.rules.terms.heartbeat = Duration::from_millis(50);
        config.rules.terms.lease = Duration::from_millis(100);
        config.rules.terms.lost_after = Duration::from_millis(50);
        config.rules.max_infrastructure_failures = 1;
    })
    .await;
    let (worker, task, offer) = running(&factory).await;
    worker.push(&offer, 0, &["all there is"]).await;
    let mut log = follow(&factory, &task.id, (0, 0)).await;
    assert_eq!(to_the_end(&mut log).await, [(1, "all there is".to_owned())]);
    assert_eq!(factory.state(&task.id).await, v1::TaskState::Failed);
}

#[tokio::test]
async fn nobody_pushes_into_anothers_log() {
    let factory = Factory::start().await;
    let (_worker, task, offer) = running(&factory).await;
    let stranger = Worker::connect(&factory.client).await;
    let ack = stranger.push(&offer, 0, &["forged"]).await;
    assert!(ack.closed, "{ack:?}");
    let request = v1::ReadLogRequest { task: task.id, ..Default::default() };
    let page = soon(factory.client.logs().read(request)).await.expect("a page").into_inner();
    assert!(page.records.is_empty() && page.at_end && !page.complete, "{page:?}");
}

#[tokio::test]
async fn the_tail_of_a_log_is_read_alone() {
    let factory = Factory::start().await;
    let (worker, task, offer) = running(&factory).await;
    worker.push(&offer, 0, &["a", "b", "c"]).await;
    worker.report(&offer, succeeded(3)).await;
    let request = v1::ReadLogRequest { task: task.id, tail: Some(2), ..Default::default() };
    let page = soon(factory.client.logs().read(request)).await.expect("a page").into_inner();
    let offsets: Vec<_> = page.records.iter().map(|record| record.offset).collect();
    assert_eq!((offsets, page.next_offset, page.complete, page.attempt_number), (vec![1, 2], 3, true, 1));
}
