//! What becomes of an agent's work, and what it works in.

use std::time::Duration;

use factory_proto::client::Client;
use factory_proto::v1::{Deliver, DeliveryKind, Event, Leftovers, LogStream, Report, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::{Bell, Turnstile};
use factory_tests::harness::repository::{self, Origin};
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{processes, task};

struct Fixture {
    client: Client,
    feed: Feed,
    ctl: Ctl,
    origin: Origin,
    worker: Worker,
    _coordinator: Coordinator,
    host: Host,
}

impl Fixture {
    async fn start() -> Self {
        Self::with(WorkerSetup::named("anvil", 2)).await
    }

    async fn with(setup: WorkerSetup) -> Self {
        let host = Host::new();
        let coordinator = Coordinator::start(&host).await;
        let worker = Worker::start(&host, &coordinator, setup).await;
        let client = coordinator.client().await;
        let feed = Feed::from_start(&client).await;
        let ctl = Ctl::new(&host, &coordinator);
        let origin = Origin::new(&host, "app");
        Self { client, feed, ctl, origin, worker, _coordinator: coordinator, host }
    }

    /// A script in the origin, tried once.
    fn script(&self, text: &str) -> TaskSpec {
        TaskSpec { repo: self.origin.source(), max_attempts: Some(1), ..task::script(text) }
    }

    /// Runs one task to its end.
    async fn run(&mut self, spec: TaskSpec) -> (String, Event) {
        let submitted = task::submit_one(&self.client, spec).await;
        let end = self.feed.wait_for_end(&submitted.id).await;
        (submitted.id, end)
    }

    async fn succeed(&mut self, spec: TaskSpec) -> (String, Report) {
        let (id, end) = self.run(spec).await;
        assert_eq!(end.state(), TaskState::Succeeded, "{}", self.feed.story());
        let report = task::report(&self.client, &id).await;
        (id, report)
    }

    async fn fail(&mut self, spec: TaskSpec, reason: &str) -> (String, String) {
        let (id, end) = self.run(spec).await;
        let failure = end.failure.unwrap_or_else(|| panic!("no failure: {}", self.feed.story()));
        assert_eq!((end.state, failure.reason.as_str()), (TaskState::Failed.into(), reason), "{failure:?}");
        (id, failure.message)
    }
}

const COMMIT_ONE: &str = "echo one > one.txt; git add one.txt; git commit --quiet --message 'Add one.txt'";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_delivered_can_be_fetched_as_a_bundle() {
    let mut fixture = Fixture::start().await;
    let kept = TaskSpec { deliver: Deliver::None.into(), ..fixture.script(COMMIT_ONE) };
    let (id, report) = fixture.succeed(kept).await;
    assert_eq!(report.delivery.as_ref().expect("a delivery").kind(), DeliveryKind::Bundled);
    assert!(fixture.origin.delivered().is_empty());
    assert_bundle_holds(&fixture, &id, &report).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_origin_refuses_is_kept_and_the_refusal_told() {
    let mut fixture = Fixture::start().await;
    fixture.origin.refuse_pushes("main is frozen");
    let (id, report) = fixture.succeed(fixture.script(COMMIT_ONE)).await;
    let delivery = report.delivery.clone().expect("a delivery");
    assert_eq!(delivery.kind(), DeliveryKind::Bundled);
    assert!(delivery.why.contains("main is frozen"), "{delivery:?}");
    assert_bundle_holds(&fixture, &id, &report).await;
}

/// The bundle, fetched by factoryctl, brings the commits to whoever has the base.
async fn assert_bundle_holds(fixture: &Fixture, id: &str, report: &Report) {
    let bundle = fixture.host.path().join("work.bundle").display().to_string();
    let said = fixture.ctl.run(["result", id, "--bundle", &bundle]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    fixture.origin.git(["fetch", "--quiet", &bundle, &format!("{0}:refs/heads/fetched", report.branch)]);
    assert_eq!(fixture.origin.head_of("fetched"), report.commits[0].id);
    assert_eq!(fixture.origin.file("fetched", "one.txt"), "one");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_left_behind_are_committed_or_discarded_as_asked() {
    let mut fixture = Fixture::start().await;
    let text = format!("{COMMIT_ONE}; echo two > two.txt");
    let (_, committed) = fixture.succeed(fixture.script(&text)).await;
    assert_eq!(committed.commits.len(), 2, "{committed:?}");
    assert_eq!(fixture.origin.file(&committed.branch, "two.txt"), "two");
    let discard = TaskSpec { leftovers: Leftovers::Discard.into(), ..fixture.script(&text) };
    let (_, discarded) = fixture.succeed(discard).await;
    let files = fixture.origin.git(["ls-tree", "--name-only", &discarded.branch]);
    assert_eq!(files.lines().collect::<Vec<_>>(), ["README.md", "one.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_a_repository_leaves_files_that_can_be_fetched() {
    let mut fixture = Fixture::start().await;
    let text = "test -z \"$(ls -A)\"; mkdir deep; echo plan > deep/plan.md; echo notes > notes.txt";
    let (id, _) = fixture.succeed(task::script(text)).await;
    let listed = fixture.ctl.run(["result", &id, "--files"]).await;
    assert!(listed.stdout.contains("deep/plan.md") && listed.stdout.contains("notes.txt"), "{listed:?}");
    let folder = fixture.host.path().join("fetched");
    let fetched =
        fixture.ctl.run(["result", &id, "--files", "--output", &folder.display().to_string()]).await;
    assert_eq!(fetched.code, Some(0), "{fetched:?}");
    assert_eq!(std::fs::read_to_string(folder.join("deep/plan.md")).expect("fetched"), "plan\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_script_comes_first_and_its_failure_is_its_own() {
    let mut fixture = Fixture::start().await;
    let script = "#!/bin/sh\necho preparing\ntouch prepared\n";
    let broken = "#!/bin/sh\necho no compiler here >&2\nexit 4\n";
    fixture.origin =
        Origin::with_executables(&fixture.host, "prepared", &[("setup.sh", script), ("broken.sh", broken)]);
    let spec = TaskSpec { setup: "setup.sh".to_owned(), ..fixture.script("test -e prepared; echo began") };
    let (id, _) = fixture.succeed(spec).await;
    let log = task::log(&fixture.client, &id, 1).await;
    let setup = log.iter().position(|record| record.stream() == LogStream::Setup).expect("a set-up log");
    assert_eq!(log[setup].data, "preparing");
    let began = log.iter().position(|record| record.data == "began").expect("the agent's line");
    assert!(setup < began);

    let spec = TaskSpec { setup: "broken.sh".to_owned(), ..fixture.script("echo never") };
    let (id, message) = fixture.fail(spec, "setup_failed").await;
    assert!(message.contains("broken.sh") && message.contains('4'), "{message}");
    let log = task::log(&fixture.client, &id, 1).await;
    assert!(log.iter().any(|record| record.data == "no compiler here"), "{log:?}");
    assert!(task::stdout_lines(&log).is_empty(), "the agent never ran");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_limits_end_the_agent_and_all_it_started() {
    let mut fixture = Fixture::start().await;
    let limit = Some(u64::try_from(Duration::from_millis(700).as_millis()).expect("small"));
    let total = TaskSpec {
        timeout_ms: limit,
        ..fixture.script("setsid sleep 600 & while :; do echo busy; sleep 0.1; done")
    };
    let idle =
        TaskSpec { idle_timeout_ms: limit, ..fixture.script("echo once; setsid sleep 600 & sleep 600") };
    for (spec, reason) in [(total, "timeout_total"), (idle, "timeout_idle")] {
        let (id, _) = fixture.fail(spec, reason).await;
        let attempt = task::get(&fixture.client, &id).await.attempts.remove(0).id;
        let left = processes::of_attempt(&attempt);
        assert!(left.is_empty(), "{reason}: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_base_or_a_vanished_repository_is_the_cause_named() {
    let mut fixture = Fixture::start().await;
    let unknown = TaskSpec { base: "no-such-branch".to_owned(), ..fixture.script("true") };
    let (_, message) = fixture.fail(unknown, "base_not_found").await;
    assert!(message.contains("no-such-branch"), "{message}");
    let vanished = fixture.host.path().join("vanished.git").display().to_string();
    let gone = TaskSpec { repo: format!("file://{vanished}"), ..fixture.script("true") };
    let (_, message) = fixture.fail(gone, "repository_unavailable").await;
    assert!(message.contains(&vanished), "{message}");
    // A path may be on another worker's host: the task waits for one, and says what it waits for.
    let elsewhere = TaskSpec { repo: vanished.clone(), ..fixture.script("true") };
    let submitted = task::submit_one(&fixture.client, elsewhere).await;
    let returned = |event: &Event| event.task_id == submitted.id && event.kind == "returned";
    let event = fixture.feed.wait_for("the offer to come back", returned).await;
    assert!(event.detail.contains(&vanished), "{event:?}");
    let waiting = task::get(&fixture.client, &submitted.id).await.task.expect("a task");
    assert_eq!(waiting.state(), TaskState::Queued);
    assert!(waiting.waiting_for.contains(&vanished), "{:?}", waiting.waiting_for);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_sees_what_it_is_given_and_none_of_the_workers_secrets() {
    let setup = WorkerSetup::named("anvil", 1)
        .env("CLOUD_SECRET", "s3cret")
        .env("ANTHROPIC_API_KEY", "for-claude-alone")
        .pass("CHOSEN", "by-name");
    let mut fixture = Fixture::with(setup).await;
    let spec = TaskSpec { prompt: "Look around".to_owned(), ..fixture.script("env; cat; echo; pwd") };
    let (id, _) = fixture.succeed(spec).await;
    let lines = task::stdout_lines(&task::log(&fixture.client, &id, 1).await);
    let attempt = task::get(&fixture.client, &id).await.attempts.remove(0).id;
    let has = |wanted: &str| lines.iter().any(|line| line == wanted);
    assert!(has("CHOSEN=by-name") && has(&format!("FACTORY_ATTEMPT_ID={attempt}")), "{lines:?}");
    assert!(has("FACTORY_PROMPT=Look around") && has("Look around"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("TRACEPARENT=00-")), "{lines:?}");
    assert!(
        !lines.iter().any(|line| line.contains("s3cret") || line.contains("for-claude-alone")),
        "{lines:?}"
    );
    let workspace = fixture.worker.workspace(&attempt);
    assert!(has(&workspace.display().to_string()), "{lines:?}");
    // A worker that has drained has tidied up.
    fixture.worker.signal_drain();
    assert!(fixture.worker.ended().await.success());
    assert!(!workspace.exists(), "a delivered worktree is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_watchers_see_the_same() {
    let mut fixture = Fixture::start().await;
    let mut bell = Bell::new(&fixture.host, "bell");
    let turnstile = Turnstile::new(&fixture.host, "turnstile");
    let text = format!(
        "seq 50; echo up > {}; read _ < {}; seq 51 100",
        bell.path().display(),
        turnstile.path().display()
    );
    let submitted = task::submit_one(&fixture.client, task::script(&text)).await;
    bell.rung(1).await;
    let watches = [(); 3].map(|()| fixture.ctl.start(["watch", "--raw", &submitted.id]));
    turnstile.let_through(1);
    let expected: Vec<String> = (1..=100).map(|line| line.to_string()).collect();
    for watch in watches {
        let output = watch.wait_with_output().await.expect("a child");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    }
    fixture.feed.wait_for_end(&submitted.id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_submits_once_and_another_task_under_it_is_refused() {
    let fixture = Fixture::start().await;
    let submit = |text: &'static str| {
        ["submit", "--no-repo", "--idempotency-key", "k1", "--agent", "command", "--", "echo", text]
    };
    let first = fixture.ctl.run(submit("one")).await;
    let again = fixture.ctl.run(submit("one")).await;
    assert_eq!((first.code, &first.stdout), (again.code, &again.stdout), "{again:?}");
    let other = fixture.ctl.run(submit("two")).await;
    assert_eq!(other.code, Some(5), "{other:?}");
    assert_eq!(task::list(&fixture.client).await.tasks.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_clone_gets_the_branch_and_keeps_its_own_work() {
    let mut fixture = Fixture::start().await;
    let clone = fixture.host.path().join("clone");
    let (from, to) = (fixture.origin.source(), clone.display().to_string());
    repository::git(&fixture.host, fixture.host.path(), ["clone", "--quiet", &from, &to]);
    std::fs::write(clone.join("README.md"), "# mine\n").expect("a file");
    let (_, report) = fixture.succeed(TaskSpec { repo: to, ..fixture.script(COMMIT_ONE) }).await;
    assert_eq!(report.delivery.expect("a delivery").kind(), DeliveryKind::Pushed);
    let tip = repository::git(&fixture.host, &clone, ["rev-parse", &report.branch]);
    assert_eq!(tip, report.commits[0].id);
    assert_eq!(repository::git(&fixture.host, &clone, ["status", "--porcelain"]), " M README.md");
}
