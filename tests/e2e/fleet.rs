//! Many tasks over several workers: placement, bounds, retries, cancels.

use std::collections::{BTreeSet, HashSet};

use factory_proto::client::Client;
use factory_proto::v1::{CancelRequest, Event, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::{Bell, Turnstile};
use factory_tests::harness::repository::Origin;
use factory_tests::harness::task;
use factory_tests::harness::worker::{Worker, WorkerSetup};

/// The most attempts that were ever live at once, from offer to end.
fn most_live(events: &[Event]) -> usize {
    let mut live = HashSet::new();
    let mut most = 0;
    for event in events {
        match event.kind.as_str() {
            "offered" => drop(live.insert(event.attempt_id.clone())),
            "ended" | "returned" | "lost" => drop(live.remove(&event.attempt_id)),
            _ => {}
        }
        most = most.max(live.len());
    }
    most
}

async fn attempts_of(client: &Client, task: &str) -> usize {
    task::get(client, task).await.attempts.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_tasks_over_two_workers_of_two_slots() {
    const TASKS: usize = 10;
    const SLOTS: usize = 4;
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let _left = Worker::start(&host, &coordinator, WorkerSetup::named("left", 2)).await;
    let _right = Worker::start(&host, &coordinator, WorkerSetup::named("right", 2)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let origin = Origin::new(&host, "app");
    let mut bell = Bell::new(&host, "bell");
    let turnstile = Turnstile::new(&host, "turnstile");
    let specs = (0..TASKS).map(|index| TaskSpec {
        repo: origin.source(),
        title: format!("Write file {index}"),
        ..task::script(&format!(
            "pwd > {bell}\nread _ < {turnstile} || true\n\
             echo content-{index} > file-{index}\ngit add --all\ngit commit --quiet --message 'Add file {index}'\n\
             echo finished {index}",
            bell = bell.path().display(),
            turnstile = turnstile.path().display(),
        ))
    });
    let submitted = task::submit(&client, specs.collect()).await;

    // Four run, in four worktrees; no fifth starts while they do.
    let mut worktrees: BTreeSet<String> = bell.rung(SLOTS).await.into_iter().collect();
    let running = task::list(&client).await.tasks;
    let counted = |state| running.iter().filter(|task| task.state() == state).count();
    assert_eq!(counted(TaskState::Queued), TASKS - SLOTS);
    turnstile.let_through(TASKS);
    worktrees.extend(bell.rung(TASKS - SLOTS).await);

    for task in &submitted {
        let end = feed.wait_for_end(&task.id).await;
        assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());
    }
    assert_eq!(worktrees.len(), TASKS, "each has a worktree of its own: {worktrees:?}");
    assert_eq!(most_live(feed.seen()), SLOTS, "{}", feed.story());
    for (index, submitted) in submitted.iter().enumerate() {
        let report = task::report(&client, &submitted.id).await;
        assert_eq!(report.commits.len(), 1, "{report:?}");
        assert_eq!(origin.head_of(&report.branch), report.commits[0].id);
        assert_eq!(origin.file(&report.branch, &format!("file-{index}")), format!("content-{index}"));
        let lines = task::stdout_lines(&task::log(&client, &submitted.id, 1).await);
        assert!(lines.contains(&format!("finished {index}")), "{lines:?}");
        assert_eq!(attempts_of(&client, &submitted.id).await, 1);
    }
    assert_eq!(origin.delivered().len(), TASKS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_task_is_tried_again_and_at_last_given_up() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let _worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 2)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let mark = host.path().join("mark");
    let recovers =
        task::script(&format!("test -e {0} || {{ touch {0}; exit 3; }}; echo well", mark.display()));
    let never = TaskSpec { max_attempts: Some(2), ..task::script("echo so it goes >&2; exit 7") };
    let submitted = task::submit(&client, vec![recovers, never]).await;

    let end = feed.wait_for_end(&submitted[0].id).await;
    assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, 2), "{}", feed.story());
    let parked = feed.wait_for_state(&submitted[0].id, TaskState::Parked).await;
    assert_eq!(parked.failure.expect("the failure before").reason, "agent_error");
    assert!(parked.wake_at_ms > 0);
    let woken = feed
        .wait_for("the pause to end", |event| event.task_id == submitted[0].id && event.kind == "woken")
        .await;
    assert!(parked.cursor < woken.cursor && woken.cursor < end.cursor);
    let log = task::stdout_lines(&task::log(&client, &submitted[0].id, 2).await);
    assert_eq!(log, ["well"], "each attempt has a log of its own");

    let end = feed.wait_for_end(&submitted[1].id).await;
    assert_eq!((end.state(), end.attempt_number), (TaskState::Failed, 2), "{}", feed.story());
    let failure = end.failure.expect("a failure");
    assert_eq!(failure.reason, "agent_error");
    assert!(failure.message.contains('7'), "the exit code is named: {failure:?}");
    assert_eq!(attempts_of(&client, &submitted[1].id).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_task_is_cancelled_at_once_and_never_runs() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let [unwanted, wanted] = task::submit(&client, vec![task::script("true"), task::script("true")])
        .await
        .try_into()
        .expect("two");
    let request = client.request(CancelRequest { task: unwanted.number.to_string(), with_children: false });
    let cancelled = client.tasks().cancel(request).await.expect("cancelled").into_inner();
    assert_eq!(cancelled.task.expect("a task").state(), TaskState::Cancelled);

    let _worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 2)).await;
    feed.wait_for_end(&wanted.id).await;
    assert_eq!(attempts_of(&client, &unwanted.id).await, 0, "{}", feed.story());
    let again = client.request(CancelRequest { task: unwanted.id, with_children: false });
    let refusal = client.tasks().cancel(again).await.expect_err("it has ended");
    assert_eq!(refusal.code(), tonic::Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_priority_goes_first_and_then_the_older() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let priorities = [0, 5, -5, 5, 0];
    let specs = priorities.map(|priority| TaskSpec { priority, ..task::script("true") });
    let submitted = task::submit(&client, specs.into()).await;
    let _worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    for task in &submitted {
        feed.wait_for_end(&task.id).await;
    }
    let offered = feed.seen().iter().filter(|event| event.kind == "offered").map(|event| event.task_number);
    let expected = [1, 3, 0, 4, 2].map(|index: usize| submitted[index].number);
    assert_eq!(offered.collect::<Vec<_>>(), expected, "{}", feed.story());
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_place_tasks_and_what_nobody_offers_waits_with_a_reason() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let labelled = |value: &str| TaskSpec {
        labels: [("gpu".to_owned(), value.to_owned())].into(),
        ..task::script("true")
    };
    let _with = Worker::start(&host, &coordinator, WorkerSetup::named("with", 2).label("gpu=yes")).await;
    let _without = Worker::start(&host, &coordinator, WorkerSetup::named("without", 2).label("gpu=no")).await;
    let claude = TaskSpec { prompt: "Nobody can".to_owned(), ..TaskSpec::default() };
    let specs =
        vec![labelled("yes"), labelled("no"), labelled("yes"), labelled("no"), labelled("maybe"), claude];
    let submitted = task::submit(&client, specs).await;
    for (task, expected) in submitted.iter().zip(["with", "without", "with", "without"]) {
        let end = feed.wait_for_end(&task.id).await;
        assert_eq!((end.state(), end.worker_name.as_str()), (TaskState::Succeeded, expected));
    }
    for (index, named) in [(4, "gpu=maybe"), (5, "claude")] {
        let waiting = task::get(&client, &submitted[index].id).await.task.expect("a task");
        assert_eq!(waiting.state(), TaskState::Queued);
        assert!(waiting.waiting_for.contains(named), "{:?}", waiting.waiting_for);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drained_worker_finishes_what_it_runs_and_takes_nothing_new() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let mut worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let mut bell = Bell::new(&host, "bell");
    let turnstile = Turnstile::new(&host, "turnstile");
    let text = format!("echo up > {}; read _ < {}", bell.path().display(), turnstile.path().display());
    let submitted = task::submit(&client, vec![task::script(&text), task::script("true")]).await;
    bell.rung(1).await;
    worker.signal_drain();
    turnstile.let_through(1);
    let end = feed.wait_for_end(&submitted[0].id).await;
    assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());
    assert!(worker.ended().await.success());
    assert_eq!(attempts_of(&client, &submitted[1].id).await, 0, "{}", feed.story());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_declined_waits_with_the_workers_reason_and_costs_nothing() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let client = coordinator.client().await;
    let ctl = Ctl::new(&host, &coordinator);
    let _anvil = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    // A path that is only there on another host, as far as this one can see.
    let elsewhere = TaskSpec { repo: "/nowhere/app".to_owned(), ..task::script("true") };
    let submitted = task::submit_one(&client, elsewhere).await;
    let why = "the repository /nowhere/app is not on this worker's host";
    let mut feed = Feed::from_start(&client).await;
    feed.wait_for("a refusal", |event| event.kind == "returned").await;
    let found = task::get(&client, &submitted.id).await.task.expect("a task");
    assert!(found.waiting_for.contains(why), "{}", found.waiting_for);
    assert_eq!((found.agent_failures, found.infrastructure_failures), (0, 0));
    let shown = ctl.run(["workers", "show", "anvil"]).await;
    assert!(shown.stdout.contains(why), "{shown:?}");
    let status = ctl.run(["status", &submitted.number.to_string()]).await;
    assert!(status.stdout.contains(why), "{status:?}");
}
