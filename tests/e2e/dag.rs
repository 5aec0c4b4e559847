//! Tasks that start from one another's branches, submitted as a batch.

use std::path::{Path, PathBuf};

use factory_proto::client::Client;
use factory_proto::v1::{ListHandoffsRequest, Task, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::{Ctl, Said};
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::task;
use factory_tests::harness::worker::{Worker, WorkerSetup};

struct Fixture {
    client: Client,
    ctl: Ctl,
    origin: Origin,
    host: Host,
    _workers: [Worker; 2],
    _coordinator: Coordinator,
}

impl Fixture {
    /// Two workers, so that work goes from one to another.
    async fn start() -> Self {
        let host = Host::new();
        let coordinator = Coordinator::start(&host).await;
        let left = Worker::start(&host, &coordinator, WorkerSetup::named("left", 1)).await;
        let right = Worker::start(&host, &coordinator, WorkerSetup::named("right", 1)).await;
        let client = coordinator.client().await;
        let ctl = Ctl::new(&host, &coordinator);
        let origin = Origin::new(&host, "app");
        Self { client, ctl, origin, host, _workers: [left, right], _coordinator: coordinator }
    }

    /// Submits a file and watches its tasks to their ends.
    async fn batch(&self, file: &Path) -> Said {
        let repo = self.origin.source();
        self.ctl
            .run(["batch".as_ref(), file.as_os_str(), "--repo".as_ref(), repo.as_ref(), "--watch".as_ref()])
            .await
    }

    /// The same, of a text; each of its tasks is tried once.
    async fn plan(&self, tasks: &str) -> Said {
        let file = self.host.path().join("plan.yaml");
        let text = format!("defaults: {{agent: scripted, max_attempts: 1}}\ntasks:\n{tasks}");
        std::fs::write(&file, text).expect("a file");
        self.batch(&file).await
    }

    /// A task by its number: its place in the file.
    async fn task(&self, number: u64) -> Task {
        task::get(&self.client, &number.to_string()).await.task.expect("a task")
    }

    /// The branch of one that succeeded, and its newest commit.
    async fn work_of(&self, number: u64) -> (String, String) {
        let task = self.task(number).await;
        assert_eq!(task.state(), TaskState::Succeeded, "{:?}", task.failure);
        let report = task.report.expect("a report");
        (report.branch, report.commits.first().expect("a commit").id.clone())
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_a_diamond_starts_from_both_sides_merged() {
    let fixture = Fixture::start().await;
    let said = fixture.batch(&example("batch.yaml")).await;
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let (branch, _) = fixture.work_of(4).await;
    for (file, text) in [
        ("base", "what both build on"),
        ("left", "one side"),
        ("right", "the other side"),
        ("both", "both sides"),
    ] {
        assert_eq!(fixture.origin.file(&branch, &format!("notes/{file}.txt")), text);
    }
    let own = fixture.task(4).await.report.expect("a report").commits;
    assert_eq!(own.iter().map(|commit| &commit.subject).collect::<Vec<_>>(), ["Add what needs both"]);
    for before in 1..=3 {
        let (_, commit) = fixture.work_of(before).await;
        fixture.origin.git(["merge-base", "--is-ancestor", &commit, &branch]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_the_order_of_a_batch() {
    let fixture = Fixture::start().await;
    let said = fixture.batch(&example("batch.toml")).await;
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let again = fixture.ctl.run(["status", "3"]).await;
    assert!(again.stdout.contains("Say what was found"), "{}", again.stdout);
}

const CLASH: &str = "- {id: one, prompt: \"write same.txt one\\ncommit Say one\"}\n\
                     - {id: two, prompt: \"write same.txt two\\ncommit Say two\"}\n";

#[tokio::test(flavor = "multi_thread")]
async fn branches_that_do_not_merge_fail_the_task_with_the_files() {
    let fixture = Fixture::start().await;
    let said = fixture.plan(&format!("{CLASH}- {{id: both, after: [one, two], prompt: say hello}}\n")).await;
    assert_eq!(said.code, Some(1), "{}{}", said.stdout, said.stderr);
    let failure = fixture.task(3).await.failure.expect("a failure");
    assert_eq!(failure.reason, "merge_conflict");
    let ((one, _), (two, _)) = (fixture.work_of(1).await, fixture.work_of(2).await);
    for part in [one.as_str(), two.as_str(), "In conflict: same.txt"] {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_settles_the_merge_it_begins_in() {
    let fixture = Fixture::start().await;
    let both = "- {id: both, after: [one, two], on_conflict: agent, prompt: \"PROMPT\"}\n";
    let settles = both.replace("PROMPT", "write same.txt one and two\\ncommit Settle the merge");
    let said = fixture.plan(&format!("{CLASH}{settles}")).await;
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let (branch, _) = fixture.work_of(3).await;
    assert_eq!(fixture.origin.file(&branch, "same.txt"), "one and two");
    for before in 1..=2 {
        let (_, commit) = fixture.work_of(before).await;
        fixture.origin.git(["merge-base", "--is-ancestor", &commit, &branch]);
    }
    let own = fixture.task(3).await.report.expect("a report").commits;
    assert_eq!(own.len(), 1, "{own:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_settle_it_has_not_succeeded() {
    let fixture = Fixture::start().await;
    let idle = "- {id: both, after: [one, two], on_conflict: agent, prompt: \"say all done\"}\n";
    let said = fixture.plan(&format!("{CLASH}{idle}")).await;
    assert_eq!(said.code, Some(1), "{}{}", said.stdout, said.stderr);
    let failure = fixture.task(3).await.failure.expect("a failure");
    assert_eq!(failure.reason, "agent_error");
    assert!(failure.message.contains("still in conflict: same.txt"), "{}", failure.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_is_not_pushed_and_work_behind_a_task_without_any_are_started_from() {
    let fixture = Fixture::start().await;
    let said = fixture
        .plan(
            "- {id: kept, deliver: none, prompt: \"write kept.txt k\\ncommit Keep\"}\n\
             - {id: looks, after: [kept], prompt: say looked}\n\
             - {id: last, after: [looks], prompt: \"write last.txt l\\ncommit Last\"}\n",
        )
        .await;
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let (branch, _) = fixture.work_of(3).await;
    assert_eq!(fixture.origin.file(&branch, "kept.txt"), "k");
    assert_eq!(fixture.origin.file(&branch, "last.txt"), "l");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_hands_on_is_shown_with_both_and_names_its_branch() {
    let fixture = Fixture::start().await;
    let said = fixture
        .plan(
            "- {id: first, task: \"write a.txt x\\ncommit Add a\\nhandoff reviewer: Look at a.txt first.\"}
- {id: next, role: reviewer, after: [first], task: say hello}\n",
        )
        .await;
    assert_eq!(said.code, Some(0), "{}{}", said.stdout, said.stderr);
    let (branch, _) = fixture.work_of(1).await;
    for task in ["1", "2"] {
        let list = ListHandoffsRequest { task: task.to_owned(), ..ListHandoffsRequest::default() };
        let handoffs =
            fixture.client.board().list_handoffs(list).await.expect("listed").into_inner().handoffs;
        let [handoff] = handoffs.as_slice() else { panic!("of task {task}: {handoffs:?}") };
        assert_eq!((handoff.from_task_number, handoff.to_role.as_str()), (1, "reviewer"));
        assert_eq!((handoff.context.as_str(), &handoff.branch), ("Look at a.txt first.", &branch));
    }
}
