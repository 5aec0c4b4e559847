//! However an attempt ends, nothing of it is alive: seen in `/proc`, setsid children and processes that
//! ignore signals included.

use factory_proto::client::Client;
use factory_proto::v1::{CancelRequest, Event, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::Bell;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{processes, task};

struct Fixture {
    client: Client,
    feed: Feed,
    bell: Bell,
    _worker: Worker,
    _coordinator: Coordinator,
    _host: Host,
}

impl Fixture {
    async fn start() -> Self {
        let host = Host::new();
        let coordinator = Coordinator::start(&host).await;
        let setup =
            WorkerSetup::named("anvil", 2).flag("--kill-grace-ms", 300).flag("--linger-timeout-ms", 300);
        let worker = Worker::start(&host, &coordinator, setup).await;
        let client = coordinator.client().await;
        let (feed, bell) = (Feed::from_start(&client).await, Bell::new(&host, "bell"));
        Self { client, feed, bell, _worker: worker, _coordinator: coordinator, _host: host }
    }

    /// A tree that will not go by itself: each of it ignores SIGTERM, and one left the agent's session.
    fn stubborn(&self) -> String {
        let bell = self.bell.path().display();
        let child = format!("sh -c 'trap \"\" TERM INT HUP; echo up > {bell}; while :; do sleep 600; done'");
        format!("trap '' TERM INT HUP; setsid {child} & {child} & while :; do wait; done")
    }

    /// Submits it, and waits until both of its children run. The task, and its attempt.
    async fn begin(&mut self, spec: TaskSpec) -> (String, String) {
        let id = task::submit_one(&self.client, spec).await.id;
        self.bell.rung(2).await;
        let attempt = task::get(&self.client, &id).await.task.expect("a task").attempt_id;
        (id, attempt)
    }

    async fn ends_with_nothing_left(&mut self, id: &str, attempt: &str) -> (TaskState, String) {
        let end = self.feed.wait_for_end(id).await;
        let left = processes::of_attempt(attempt);
        assert!(left.is_empty(), "{left:?}");
        (end.state(), end.failure.map(|failure| failure.reason).unwrap_or_default())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_what_ignores_it() {
    let mut fixture = Fixture::start().await;
    let (id, attempt) = fixture.begin(task::script(&fixture.stubborn())).await;
    assert!(processes::of_attempt(&attempt).len() >= 3, "the agent and both children");
    let request = fixture.client.request(CancelRequest { task: id.clone(), with_children: false });
    fixture.client.tasks().cancel(request).await.expect("it runs");
    let end = fixture.ends_with_nothing_left(&id, &attempt).await;
    assert_eq!(end, (TaskState::Cancelled, String::new()), "{}", fixture.feed.story());
}

#[tokio::test(flavor = "multi_thread")]
async fn both_time_limits_end_what_ignores_them() {
    let mut fixture = Fixture::start().await;
    let limit = Some(1500);
    let total = TaskSpec { timeout_ms: limit, ..task::script(&fixture.stubborn()) };
    let idle = TaskSpec { idle_timeout_ms: limit, ..task::script(&fixture.stubborn()) };
    for (spec, reason) in [(total, "timeout_total"), (idle, "timeout_idle")] {
        let (id, attempt) = fixture.begin(TaskSpec { max_attempts: Some(1), ..spec }).await;
        let end = fixture.ends_with_nothing_left(&id, &attempt).await;
        assert_eq!(end, (TaskState::Failed, reason.to_owned()), "{}", fixture.feed.story());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_stays_after_its_result_has_succeeded_and_is_gone() {
    let mut fixture = Fixture::start().await;
    let prompt = "orphan\nlinger 1000000\nsay done".to_owned();
    let spec = TaskSpec { agent: "scripted".to_owned(), prompt, ..TaskSpec::default() };
    let id = task::submit_one(&fixture.client, spec).await.id;
    let started = |event: &Event| event.task_id == id && event.kind == "started";
    let attempt = fixture.feed.wait_for("it to start", started).await.attempt_id;
    let end = fixture.ends_with_nothing_left(&id, &attempt).await;
    assert_eq!(end, (TaskState::Succeeded, String::new()), "{}", fixture.feed.story());
}
