//! `kill -9` of the coordinator, and a start on what it left.

use std::collections::BTreeSet;

use factory_proto::client::follow::{self, Update};
use factory_proto::v1::{FollowLogRequest, LogPosition, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::Turnstile;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{soon, task};
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::{assert_each_ended_once, counted, counting, follow_from, is_line};

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_submit_survives_a_kill_right_after_the_reply() {
    let host = Host::new();
    let mut coordinator = Coordinator::start(&host).await;
    let mut accepted = BTreeSet::new();
    for round in 1..=3 {
        let client = coordinator.client().await;
        for _ in 0..10 {
            accepted.insert(task::submit_one(&client, task::script("true")).await.id);
        }
        coordinator.kill9().await;
        coordinator.start_again().await;
        let client = coordinator.client().await;
        let list = task::list(&client).await;
        let there: BTreeSet<String> = list.tasks.iter().map(|task| task.id.clone()).collect();
        assert_eq!(there, accepted, "after kill {round}");
        assert!(list.tasks.iter().all(|task| task.state() == TaskState::Queued));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_go_on_through_a_kill_and_are_reported_once() {
    const RUNNING: usize = 2;
    let host = Host::new();
    let mut coordinator = Coordinator::start(&host).await;
    let _worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 2)).await;
    let client = coordinator.client().await;
    let origin = Origin::new(&host, "app");
    let turnstile = Turnstile::new(&host, "turnstile");
    let specs: Vec<TaskSpec> = (0..5)
        .map(|index| TaskSpec {
            repo: origin.source(),
            title: format!("Count {index}"),
            ..counting(40, 80, &turnstile)
        })
        .collect();
    let submitted = task::submit(&client, specs).await;
    for running in &submitted[..RUNNING] {
        follow_from(&client, &running.id, LogPosition::default(), |record| is_line(record, "line-5")).await;
    }

    coordinator.kill9().await;
    // They end while nobody listens: their reports wait in the outbox.
    turnstile.let_through(submitted.len());
    coordinator.start_again().await;

    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    for task in &submitted {
        let end = feed.wait_for_end(&task.id).await;
        assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());
    }
    let ids: Vec<String> = submitted.iter().map(|task| task.id.clone()).collect();
    assert_each_ended_once(&feed, &ids, TaskState::Succeeded);
    for id in &ids {
        let found = task::get(&client, id).await;
        assert_eq!(found.attempts.len(), 1, "{:?}\n{}", found.attempts, feed.story());
        assert_eq!(task::stdout_lines(&task::log(&client, id, 1).await), counted(80));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_resumes_by_cursor_without_a_lost_or_doubled_line() {
    let host = Host::new();
    let mut coordinator = Coordinator::start(&host).await;
    let _worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let turnstile = Turnstile::new(&host, "turnstile");
    let submitted = task::submit_one(&client, counting(100, 200, &turnstile)).await;
    let mut feed = Feed::from_start(&client).await;
    feed.wait_for_state(&submitted.id, TaskState::Running).await;
    let mut read =
        follow_from(&client, &submitted.id, LogPosition::default(), |record| is_line(record, "line-30"))
            .await;
    let last_event = feed.seen().last().expect("events").cursor;

    coordinator.kill9().await;
    coordinator.start_again().await;
    turnstile.let_through(1);

    let client = coordinator.client().await;
    let next = read.last().expect("lines").offset + 1;
    let from = LogPosition { attempt_number: 1, offset: next };
    read.extend(follow_from(&client, &submitted.id, from, |_| false).await);
    let offsets: Vec<u64> = read.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (0..read.len() as u64).collect::<Vec<_>>());
    assert_eq!(task::stdout_lines(&read), counted(200));

    let mut resumed = Feed::after(&client, last_event).await;
    resumed.wait_for_end(&submitted.id).await;
    let mut all = Feed::from_start(&client).await;
    all.wait_for_end(&submitted.id).await;
    let cursors = |feed: &Feed| feed.seen().iter().map(|event| event.cursor).collect::<Vec<_>>();
    assert_eq!([cursors(&feed), cursors(&resumed)].concat(), cursors(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_follows_through_a_kill_by_itself() {
    let host = Host::new();
    let mut coordinator = Coordinator::start(&host).await;
    let _worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let turnstile = Turnstile::new(&host, "turnstile");
    let submitted = task::submit_one(&client, counting(60, 120, &turnstile)).await;
    let request = FollowLogRequest { task: submitted.id, ..FollowLogRequest::default() };
    let mut log = follow::log(coordinator.client_config(), request);
    let (mut read, mut breaks) = (Vec::new(), 0);
    let mut killed = false;
    while let Some(update) = soon("the log", log.next()).await {
        match update.expect("the coordinator answers") {
            Update::Next(batch) => read.extend(batch.records),
            Update::Disconnected { .. } => breaks += 1,
            Update::Reconnected => {}
        }
        if !killed && read.iter().any(|record| is_line(record, "line-20")) {
            killed = true;
            coordinator.kill9().await;
            coordinator.start_again().await;
            turnstile.let_through(1);
        }
    }
    assert!(breaks > 0, "the kill was noticed");
    assert_eq!(task::stdout_lines(&read), counted(120));
}

#[tokio::test(flavor = "multi_thread")]
async fn factoryctl_watch_shows_each_line_once_through_a_kill() {
    let host = Host::new();
    let mut coordinator = Coordinator::start(&host).await;
    let _worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let turnstile = Turnstile::new(&host, "turnstile");
    let submitted = task::submit_one(&client, counting(60, 120, &turnstile)).await;
    let ctl = Ctl::new(&host, &coordinator);
    let mut watch = ctl.start(["watch", "--raw", &submitted.id]);
    let mut lines = BufReader::new(watch.stdout.take().expect("piped")).lines();
    let mut shown = Vec::new();
    while shown.last().map(String::as_str) != Some("line-30") {
        let line = soon("a line", lines.next_line()).await.expect("readable");
        shown.push(line.unwrap_or_else(|| panic!("the watch ended after {shown:?}")));
    }
    coordinator.kill9().await;
    coordinator.start_again().await;
    turnstile.let_through(1);
    while let Some(line) = soon("a line", lines.next_line()).await.expect("readable") {
        shown.push(line);
    }
    let status = soon("the watch to end", watch.wait()).await.expect("a child");
    assert!(status.success(), "{status}");
    assert_eq!(shown, counted(120));
}
