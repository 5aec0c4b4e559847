//! `kill -9` of the worker's daemon, and of its whole host.

use factory_proto::v1::{LogPosition, TaskState};
use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup, SHORT_LEASES};
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::{Bell, Turnstile};
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{processes, task};

use crate::{assert_each_ended_once, counted, counting, follow_from, is_line};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_outlives_its_daemon_and_is_adopted() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let mut worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let turnstile = Turnstile::new(&host, "turnstile");
    let submitted = task::submit_one(&client, counting(60, 120, &turnstile)).await;
    follow_from(&client, &submitted.id, LogPosition::default(), |record| is_line(record, "line-20")).await;
    let attempt = task::get(&client, &submitted.id).await.task.expect("a task").attempt_id;
    let before = processes::of_attempt(&attempt);

    worker.kill9().await;
    let alive: Vec<i32> = processes::of_attempt(&attempt).iter().map(|process| process.pid).collect();
    assert!(before.iter().any(|process| alive.contains(&process.pid)), "{before:?} → {alive:?}");
    worker.start_again().await;
    turnstile.let_through(1);

    let mut feed = Feed::from_start(&client).await;
    let end = feed.wait_for_end(&submitted.id).await;
    assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());
    assert_each_ended_once(&feed, std::slice::from_ref(&submitted.id), TaskState::Succeeded);
    assert_eq!(task::stdout_lines(&task::log(&client, &submitted.id, 1).await), counted(120));
    assert!(processes::of_attempt(&attempt).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_gone_loses_its_lease_and_another_runs_the_task() {
    let host = Host::new();
    let setup = CoordinatorSetup { config: SHORT_LEASES.to_owned(), ..CoordinatorSetup::new(&host) };
    let coordinator = Coordinator::try_start(&host, setup).await.expect("the coordinator starts");
    let lost_host = Host::new();
    let mut lost = Worker::start(&lost_host, &coordinator, WorkerSetup::named("lost", 1)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let mut bell = Bell::new(&host, "bell");
    let turnstile = Turnstile::new(&host, "turnstile");
    let text = format!("echo up > {}; read _ < {}", bell.path().display(), turnstile.path().display());
    let submitted = task::submit_one(&client, task::script(&text)).await;
    bell.rung(1).await;

    lost.kill9().await;
    lost_host.kill_all();
    let _other = Worker::start(&host, &coordinator, WorkerSetup::named("other", 1)).await;
    feed.wait_for("its contact to be lost", |event| event.kind == "contact_lost").await;
    feed.wait_for("it to be lost", |event| event.kind == "lost").await;
    turnstile.let_through(1);
    let end = feed.wait_for_end(&submitted.id).await;
    assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, 2), "{}", feed.story());
    assert_eq!(end.worker_name, "other");
    let found = task::get(&client, &submitted.id).await.task.expect("a task");
    assert_eq!((found.agent_failures, found.infrastructure_failures), (0, 1), "the loss is not the task's");
}
