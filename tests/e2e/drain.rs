//! Draining a worker from the coordinator's side, as one who takes down its host would.

use factory_proto::client::Client;
use factory_proto::v1::{Task, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::{Bell, Turnstile};
use factory_tests::harness::soon;
use factory_tests::harness::task;
use factory_tests::harness::worker::{Worker, WorkerSetup};

async fn look_at(client: &Client, task: &str) -> Task {
    task::get(client, task).await.task.expect("a task")
}

async fn show(ctl: &Ctl) -> serde_json::Value {
    let said = ctl.run(["workers", "show", "anvil", "-o", "json"]).await;
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    serde_json::from_str(&said.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_finishes_waits_through_restarts_and_goes_on_when_resumed() {
    let host = Host::new();
    let mut coordinator = Coordinator::start(&host).await;
    let mut worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 2)).await;
    let ctl = Ctl::new(&host, &coordinator);
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let mut bell = Bell::new(&host, "bell");
    let turnstile = Turnstile::new(&host, "turnstile");
    let text = format!("echo up > {}; read _ < {}", bell.path().display(), turnstile.path().display());
    let running = task::submit_one(&client, task::script(&text)).await;
    bell.rung(1).await;

    let drained = ctl.run(["workers", "drain", "anv"]).await;
    assert_eq!(drained.code, Some(0), "{}", drained.stderr);
    assert!(drained.stdout.starts_with("anvil drains"), "{}", drained.stdout);
    // A slot is free, and still nothing is offered.
    let queued = task::submit_one(&client, task::script("true")).await;
    let waiting = look_at(&client, &queued.id).await;
    assert_eq!(waiting.waiting_for, "the only matching workers are draining");
    let shown = show(&ctl).await;
    assert_eq!((&shown["drain"], &shown["busy"]), (&"draining".into(), &1.into()));
    assert_eq!(shown["attempts"][0]["task_number"], running.number);

    // What runs goes on to its end.
    turnstile.let_through(1);
    let end = feed.wait_for_end(&running.id).await;
    assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, 1), "{}", feed.story());
    assert_eq!(show(&ctl).await["drain"], "drained");

    // Neither side forgets: the worker's ready line says so after both were killed.
    worker.kill9().await;
    coordinator.kill9().await;
    coordinator.start_again().await;
    worker.start_again().await;
    assert!(worker.ready_line().ends_with(", draining until it is resumed"), "{}", worker.ready_line());
    assert!(worker.log().contains("drained by the coordinator"), "{}", worker.log());
    let client = coordinator.client().await;
    let waiting = look_at(&client, &queued.id).await;
    assert_eq!((waiting.state(), waiting.attempts), (TaskState::Queued, 0));
    assert_eq!(waiting.waiting_for, "the only matching workers are draining");

    let resumed = ctl.run(["workers", "resume", "anvil"]).await;
    assert_eq!((resumed.code, resumed.stdout.as_str()), (Some(0), "anvil is offered work again\n"));
    let mut feed = Feed::from_start(&client).await;
    let end = feed.wait_for_end(&queued.id).await;
    assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, 1), "{}", feed.story());
    assert_eq!(show(&ctl).await["drain"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_told_to_stop_on_its_host_is_seen_draining() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let mut worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let mut bell = Bell::new(&host, "bell");
    let turnstile = Turnstile::new(&host, "turnstile");
    let text = format!("echo up > {}; read _ < {}", bell.path().display(), turnstile.path().display());
    let running = task::submit_one(&client, task::script(&text)).await;
    bell.rung(1).await;
    worker.signal_drain();
    let ctl = Ctl::new(&host, &coordinator);
    // The worker's own word for it is on its way, and makes no event.
    soon("the drain to be seen", async { while show(&ctl).await["drain"] != "draining" {} }).await;
    let shown = ctl.run(["workers", "show", "anvil"]).await.stdout;
    assert!(shown.contains("told to stop on its own host"), "{shown}");
    turnstile.let_through(1);
    assert_eq!(feed.wait_for_end(&running.id).await.state(), TaskState::Succeeded, "{}", feed.story());
    assert!(worker.ended().await.success());
}
