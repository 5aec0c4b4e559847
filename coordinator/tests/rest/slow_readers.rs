//! Who reads slowly, or not at all, costs nobody anything: over HTTP as over gRPC.

use std::time::Duration;

use factory_proto::record::MAX_DATA;
use factory_proto::v1;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::caller::post;
use crate::setup::{Factory, Worker, connect, prompt, soon, succeeded};
use crate::sse::Events;

/// Readers of each stream that never read.
const STALLED: usize = 10;
/// Records of the log, each as long as one may be: far more than the kernel keeps for a connection.
const RECORDS: u64 = 192;

/// Asks for a stream and reads nothing of it.
async fn stall(factory: &Factory, path: &str) -> TcpStream {
    let mut stream = soon(TcpStream::connect(factory.coordinator.local_addr())).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", factory.coordinator.local_addr());
    soon(stream.write_all(request.as_bytes())).await.expect("sent");
    stream
}

/// Bytes of this process that are in memory.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").expect("the kernel says");
    let resident: usize = pages.split(' ').nth(1).expect("a number").parse().expect("a number");
    resident * 4096
}

async fn running(factory: &Factory) -> (Worker, v1::Offer) {
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    (worker, offer)
}

async fn print(worker: &Worker, offer: &v1::Offer) {
    let line: bytes::Bytes = vec![b'x'; MAX_DATA].into();
    for offset in 0..RECORDS {
        let record = v1::LogRecord {
            offset,
            at_ms: 1,
            stream: v1::LogStream::Stdout.into(),
            data: line.clone(),
            continues: false,
        };
        assert_eq!(worker.push_records(offer, vec![record]).await.next_offset, offset + 1);
    }
}

#[tokio::test]
async fn a_log_reaches_its_reader_beside_those_who_do_not_read() {
    let factory = Factory::start().await;
    let (worker, offer) = running(&factory).await;
    #[cfg(target_os = "linux")]
    let before = resident();
    let (mut streams, mut follows) = (Vec::new(), Vec::new());
    for _ in 0..STALLED {
        streams.push(stall(&factory, "/api/tasks/1/logs/sse").await);
        let client = connect(&factory.coordinator).await;
        let request = v1::FollowLogRequest { task: "1".into(), ..Default::default() };
        follows.push((soon(client.logs().follow(request)).await.expect("a stream"), client));
    }
    let (mut log, _) = Events::open(&factory, "/api/tasks/1/logs/sse", None).await;
    // On the worker's own connection, and not read until all is printed.
    let request = v1::FollowLogRequest { task: "1".into(), ..Default::default() };
    let mut follow = soon(factory.client.logs().follow(request)).await.expect("a stream").into_inner();

    print(&worker, &offer).await;
    worker.report(&offer, succeeded(RECORDS)).await;
    assert_eq!(log.lines().await.len() as u64, RECORDS);
    let mut followed = 0;
    while let Some(page) = soon(follow.message()).await.expect("it goes on") {
        followed += page.records.len() as u64;
    }
    assert_eq!(followed, RECORDS);

    // What is kept for each of them is bounded: all of the log for each would be 240 MiB.
    #[cfg(target_os = "linux")]
    {
        let grown = resident().saturating_sub(before) / (1024 * 1024);
        assert!(grown < 120, "{grown} MiB more than before");
    }
    // They are cut off when it ends, and do not keep it.
    let stopped = tokio::time::timeout(Duration::from_secs(10), factory.coordinator.shutdown()).await;
    assert!(stopped.is_ok());
    drop((streams, follows));
}

#[tokio::test]
async fn the_feed_and_the_board_reach_their_readers_beside_those_who_do_not_read() {
    let factory = Factory::start().await;
    let (mut streams, mut watches) = (Vec::new(), Vec::new());
    for _ in 0..STALLED {
        streams.push(stall(&factory, "/api/events/sse?after=0").await);
        streams.push(stall(&factory, "/api/messages/stream/sse?after=0").await);
        let request = v1::WatchRequest { follow: true, ..Default::default() };
        let client = connect(&factory.coordinator).await;
        watches.push((soon(client.tasks().watch(request)).await.expect("a stream"), client));
    }
    let (mut events, _) = Events::open(&factory, "/api/events/sse?after=0", None).await;
    let (mut messages, _) = Events::open(&factory, "/api/messages/stream/sse?after=0", None).await;
    let content = "x".repeat(64 * 1024);
    for number in 1..=100 {
        factory.submit(prompt(&format!("Task {number}"))).await;
        let message = serde_json::json!({ "content": content });
        post(&factory, "/api/messages", &message).await.assert_ok();
    }
    for number in 1..=100 {
        assert_eq!(events.next().await.expect("an event").data["task_number"], number);
        assert_eq!(messages.next().await.expect("a message").data["number"], number);
    }
    drop((streams, watches));
}
