//! A worker as a service: what `systemctl restart` and `systemctl stop` do to the work under way.
//!
//! The signals are those of the unit that is shipped.

use std::path::Path;

use factory_proto::client::Client;
use factory_proto::v1::{Event, Submitted, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::{Bell, Turnstile};
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{processes, task};
use rustix::process::Signal;

fn signal_of_unit(setting: &str) -> Signal {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd/factory-worker.service");
    let unit = std::fs::read_to_string(unit).expect("the unit is shipped");
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(setting)?.strip_prefix('='));
    match values.next() {
        Some("SIGHUP") => Signal::HUP,
        Some("SIGTERM") => Signal::TERM,
        other => panic!("{setting} is {other:?}"),
    }
}

/// A run that rings, and goes on when it is let through.
async fn submit(client: &Client, bell: &Bell, turnstile: &Turnstile) -> Submitted {
    let (bell, turnstile) = (bell.path().display(), turnstile.path().display());
    let spec = TaskSpec {
        agent: "scripted".to_owned(),
        prompt: format!("write {bell} up\nrun head -n 1 {turnstile}\nsay All is done."),
        max_attempts: Some(1),
        ..TaskSpec::default()
    };
    task::submit_one(client, spec).await
}

/// The process id of a task's agent, as its shim wrote it down.
async fn agent(client: &Client, worker: &Worker, task: &str) -> i64 {
    let attempt = task::get(client, task).await.task.expect("a task").attempt_id;
    let shim = worker.root().join("spool").join(&attempt).join("shim.json");
    let shim: serde_json::Value =
        serde_json::from_slice(&std::fs::read(shim).expect("a shim")).expect("JSON");
    let pid = shim["agent"]["pid"].as_i64().expect("an agent");
    let alive = processes::of_attempt(&attempt);
    assert!(alive.iter().any(|process| i64::from(process.pid) == pid), "{pid} is not in {alive:?}");
    pid
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_service_ends_no_agent() {
    let restart = signal_of_unit("RestartKillSignal");
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let mut worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let (mut bell, turnstile) = (Bell::new(&host, "bell"), Turnstile::new(&host, "turnstile"));
    let submitted = submit(&client, &bell, &turnstile).await;
    bell.rung(1).await;
    // The bell may have rung before the shim wrote down whom it had started.
    feed.wait_for("the start", |event| event.kind == "started").await;
    let pid = agent(&client, &worker, &submitted.id).await;

    for _ in 0..2 {
        worker.signal(restart);
        assert!(worker.ended().await.success());
        worker.start_again().await;
        assert_eq!(agent(&client, &worker, &submitted.id).await, pid, "the same process goes on");
    }
    turnstile.let_through(1);
    let end = feed.wait_for_end(&submitted.id).await;
    assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, 1), "{}", feed.story());
    assert_eq!(task::report(&client, &submitted.id).await.result_text, "All is done.");
    let ends = feed.seen().iter().filter(|event| event.kind == "ended").count();
    assert_eq!(ends, 1, "{}", feed.story());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_with_a_deadline_gives_what_still_runs_to_another_worker() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let _drained = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let (mut bell, turnstile) = (Bell::new(&host, "bell"), Turnstile::new(&host, "turnstile"));
    let submitted = submit(&client, &bell, &turnstile).await;
    bell.rung(1).await;

    let _other = Worker::start(&host, &coordinator, WorkerSetup::named("bellows", 1)).await;
    let ctl = Ctl::new(&host, &coordinator);
    let drain = ctl.run(["workers", "drain", "anvil", "--hand-over-after", "1s"]).await;
    assert_eq!(drain.code, Some(0), "{}", drain.stderr);
    let started = |event: &Event| event.kind == "started" && event.attempt_number == 2;
    feed.wait_for("the second start", started).await;
    turnstile.let_through(1);
    let end = feed.wait_for_end(&submitted.id).await;
    assert_eq!(
        (end.state(), end.worker_name.as_str()),
        (TaskState::Succeeded, "bellows"),
        "{}",
        feed.story()
    );
    let found = task::get(&client, &submitted.id).await.task.expect("a task");
    assert_eq!((found.agent_failures, found.infrastructure_failures), (0, 0), "{}", feed.story());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_service_hands_its_work_over_at_no_cost_to_the_task() {
    let stop = signal_of_unit("KillSignal");
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let mut stopped = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let (mut bell, turnstile) = (Bell::new(&host, "bell"), Turnstile::new(&host, "turnstile"));
    let submitted = submit(&client, &bell, &turnstile).await;
    bell.rung(1).await;

    let _other = Worker::start(&host, &coordinator, WorkerSetup::named("bellows", 1)).await;
    stopped.signal(stop);
    stopped.signal(Signal::INT);
    assert!(stopped.ended().await.success());
    // It goes on where it was: the bell does not ring again.
    let started = |event: &Event| event.kind == "started" && event.attempt_number == 2;
    feed.wait_for("the second start", started).await;
    turnstile.let_through(1);
    let end = feed.wait_for_end(&submitted.id).await;
    assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, 2), "{}", feed.story());
    assert_eq!(end.worker_name, "bellows");
    let found = task::get(&client, &submitted.id).await.task.expect("a task");
    assert_eq!((found.agent_failures, found.infrastructure_failures), (0, 0), "{}", feed.story());
}
