//! How long an agent's line takes to those who follow it.

use std::time::{Duration, Instant};

use factory_proto::v1;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::setup::{Factory, Worker, prompt, soon, succeeded};
use crate::sse::Events;

const LINES: u64 = 200;
/// Between two lines: an agent prints a few dozen in a second, if many.
const PAUSE: Duration = Duration::from_millis(20);

/// Pushes lines one by one, and answers with the time that each took to each reader, in order of length.
async fn spans(readers: usize) -> Vec<Duration> {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    let (pushed, _) = watch::channel(Instant::now());
    let (seen, mut spans) = mpsc::unbounded_channel();
    let mut reading = JoinSet::new();
    for _ in 0..readers {
        let (mut log, _) = Events::open(&factory, "/api/tasks/1/logs/sse", None).await;
        let (pushed, seen) = (pushed.subscribe(), seen.clone());
        reading.spawn(async move {
            while let Some(event) = log.next().await {
                if event.name == "end" {
                    return;
                }
                seen.send(pushed.borrow().elapsed()).expect("someone counts");
            }
        });
    }
    for offset in 0..LINES {
        pushed.send_replace(Instant::now());
        assert_eq!(
            worker
                .push(&offer, offset, &["{\"type\":\"text\",\"text\":\"one more line\"}"])
                .await
                .next_offset,
            offset + 1
        );
        tokio::time::sleep(PAUSE).await;
    }
    let report: v1::Report = succeeded(LINES);
    worker.report(&offer, report).await;
    while soon(reading.join_next()).await.is_some() {}
    drop(seen);
    let mut all = Vec::new();
    while let Some(span) = spans.recv().await {
        all.push(span);
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: cargo test --release -p factory-coordinator --test rest -- --ignored --nocapture lines_reach"]
async fn lines_reach_one_reader_and_two_hundred() {
    for readers in [1, 200, 1, 200] {
        let spans = spans(readers).await;
        assert!(spans.len() >= readers, "each sees one event at least");
        let at = |part: usize| spans[(spans.len() - 1) * part / 100];
        println!("{readers} readers: p50 {:?}, p99 {:?}, worst {:?}", at(50), at(99), at(100));
    }
}
