//! An agent asks: its slot is free while nobody answers, and its conversation goes on with the answer. With the
//! real Claude Code CLI, which asks through its MCP tool, and a scripted Messages API that sees what it remembers.

use factory_proto::client::Client;
use factory_proto::v1::{Event, Submitted, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::{Ctl, Said};
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{claude, soon, task};
use factory_tests::messages_api::{MessagesApi, Script, Turn};
use serde_json::{Value, json};

use crate::claude::worker_with;

/// A coordinator, and a worker with one slot that offers the real CLI.
struct Stage {
    api: MessagesApi,
    setup: WorkerSetup,
    worker: Worker,
    client: Client,
    feed: Feed,
    ctl: Ctl,
    origin: Origin,
    coordinator: Coordinator,
    host: Host,
}

impl Stage {
    /// `None` where there is no CLI, which was said.
    async fn set() -> Option<Self> {
        let cli = claude::find()?;
        let host = Host::new();
        let api = MessagesApi::start().await.expect("the API starts");
        // The agent is told at once to end its turn.
        let setup = worker_with(&cli, &api, "anvil", 1).flag("--ask-wait-ms", 1);
        let coordinator = Coordinator::start(&host).await;
        let worker = Worker::start(&host, &coordinator, setup.clone()).await;
        let client = coordinator.client().await;
        let feed = Feed::from_start(&client).await;
        let ctl = Ctl::new(&host, &coordinator).env("USER", "ada");
        let origin = Origin::new(&host, "app");
        Some(Self { api, setup, worker, client, feed, ctl, origin, coordinator, host })
    }

    async fn submit(&self, prompt: &str) -> Submitted {
        let spec = TaskSpec {
            prompt: prompt.to_owned(),
            repo: self.origin.source(),
            max_attempts: Some(1),
            ..TaskSpec::default()
        };
        task::submit_one(&self.client, spec).await
    }

    /// Waits until the task waits for its answers.
    async fn waits(&mut self, task: &str) {
        let wanted = |event: &Event| event.task_id == task && event.state() == TaskState::Waiting;
        self.feed.wait_for("the task to wait", wanted).await;
    }

    /// The task succeeds in its second attempt, and its one commit is delivered.
    async fn delivered(&mut self, task: &str) {
        let end = self.feed.wait_for_end(task).await;
        let story = self.feed.story();
        assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, 2), "{story}");
        let report = task::report(&self.client, task).await;
        let subjects: Vec<_> = report.commits.iter().map(|commit| commit.subject.as_str()).collect();
        assert_eq!(subjects, ["Paint it"]);
        assert_eq!(self.origin.delivered(), std::slice::from_ref(&report.branch));
        assert_eq!(self.origin.file(&report.branch, "wall.txt"), "not painted yet");
    }

    async fn ctl(&self, args: &[&str]) -> Said {
        self.ctl.run(args).await
    }
}

/// Does something, asks, and ends its turn; what comes after the answer is told with it.
fn asks(questions: &[Value]) -> Script {
    let write = json!({ "file_path": "wall.txt", "content": "not painted yet\n" });
    let script = Script::new().turn(Turn::tool("Write", write));
    let asked = questions
        .iter()
        .fold(script, |script, question| script.turn(Turn::tool("mcp__factory__ask_user", question.clone())));
    let commit = "git add wall.txt && git commit --quiet --message 'Paint it'";
    asked
        .turn(Turn::text("I wait for the colour."))
        .turn(Turn::tool("Bash", json!({ "command": commit })))
        .turn(Turn::text("It is painted."))
}

fn colour() -> Value {
    json!({ "question": "Which colour shall the wall have?", "options": ["red", "dark blue"] })
}

/// The words of a request, the agent's tool calls and their results included.
fn words(request: &Value) -> String {
    request["messages"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_cli_asks_and_its_conversation_goes_on_with_the_answer() {
    let Some(mut stage) = Stage::set().await else { return };
    stage.api.script("paint-me", asks(&[colour()]));
    let submitted = stage.submit("paint-me: paint the wall").await;
    let watch = stage.ctl.start(["watch", &submitted.id]);
    stage.waits(&submitted.id).await;
    let asked = stage.feed.seen().iter().find(|event| event.kind == "asked").expect("told");
    assert_eq!(asked.detail, "question 1: Which colour shall the wall have? [red | dark blue]");
    assert!(stage.origin.delivered().is_empty(), "nothing is delivered of a turn that was not the last");

    // The one slot is another's meanwhile.
    stage.api.script("pass-me", Script::new().turn(Turn::text("I passed.")));
    let other = stage.submit("pass-me: go first").await;
    assert_eq!(stage.feed.wait_for_end(&other.id).await.state(), TaskState::Succeeded);

    let listed = stage.ctl(&["questions", "-o", "json"]).await;
    let listed: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    assert_eq!((&listed[0]["number"], &listed[0]["state"]), (&json!(1), &json!("open")));
    assert_eq!(listed[0]["options"], json!(["red", "dark blue"]));
    let status = stage.ctl(&["status", &submitted.id]).await.stdout;
    for shown in ["waiting", "2) dark blue", "answer with: factoryctl answer 1"] {
        assert!(status.contains(shown), "no {shown:?} in {status}");
    }
    let refused = stage.ctl(&["answer", "1", "green"]).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("1) red, 2) dark blue"), "{}", refused.stderr);
    let answered = stage.ctl(&["answer", "1", "2"]).await;
    assert_eq!(
        (answered.code, answered.stdout.trim()),
        (Some(0), "question 1 of task 1 is answered: dark blue")
    );

    stage.delivered(&submitted.id).await;
    let requests = stage.api.requests("paint-me");
    assert_eq!(requests.len(), 5, "three before, two after");
    assert!(words(&requests[2]).contains("End your turn now"), "{}", words(&requests[2]));
    let resumed = words(&requests[3]);
    for remembered in
        ["paint-me: paint the wall", "wall.txt", "mcp__factory__ask_user", "I wait for the colour."]
    {
        assert!(resumed.contains(remembered), "no {remembered:?} in {resumed}");
    }
    for told in ["The answer, by ada", "> dark blue", "same working directory", "same conversation"] {
        assert!(resumed.contains(told), "no {told:?} in {resumed}");
    }
    assert!(!resumed.contains("interrupted"), "nobody did: {resumed}");

    let watched = soon("the end of the watch", watch.wait_with_output()).await.expect("a child");
    let shown = String::from_utf8_lossy(&watched.stdout);
    assert_eq!(watched.status.code(), Some(0), "{shown}");
    for line in ["asks · question 1: Which colour", "answer with: factoryctl answer 1", "by ada: dark blue"]
    {
        assert!(shown.contains(line), "no {line:?} in {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_reaches_the_real_cli_on_another_host_where_the_first_is_gone() {
    let Some(mut stage) = Stage::set().await else { return };
    stage.api.script("move-and-paint", asks(&[colour()]));
    let submitted = stage.submit("move-and-paint: paint the wall").await;
    stage.waits(&submitted.id).await;
    stage.worker.kill_host().await;
    std::fs::remove_dir_all(stage.worker.root()).expect("removed");
    let elsewhere = WorkerSetup { name: "birch".to_owned(), ..stage.setup.clone() };
    let _another = Worker::start(&stage.host, &stage.coordinator, elsewhere).await;
    assert_eq!(stage.ctl(&["answer", &submitted.id, "red"]).await.code, Some(0));
    stage.delivered(&submitted.id).await;
    let resumed = words(&stage.api.requests("move-and-paint")[3]);
    for said in ["paint the wall", "I wait for the colour.", "> red", "It was restored from what was saved"] {
        assert!(resumed.contains(said), "no {said:?} in {resumed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_waits_for_all_its_answers_and_through_the_coordinators_death() {
    let Some(mut stage) = Stage::set().await else { return };
    stage.api.script("ask-twice", asks(&[colour(), json!({ "question": "How many coats?" })]));
    let submitted = stage.submit("ask-twice: paint the wall").await;
    stage.waits(&submitted.id).await;
    let which = stage.ctl(&["answer", "1", "red"]).await;
    assert_eq!(which.code, Some(5), "{which:?}");
    assert!(which.stderr.contains("several open questions (1, 2)"), "{}", which.stderr);
    assert_eq!(stage.ctl(&["answer", "1", "--question", "2", "three"]).await.code, Some(0));

    stage.coordinator.kill9().await;
    stage.coordinator.start_again().await;
    stage.client = stage.coordinator.client().await;
    stage.feed = Feed::from_start(&stage.client).await;
    stage.ctl = Ctl::new(&stage.host, &stage.coordinator).env("USER", "ada");
    let entry = task::get(&stage.client, &submitted.id).await.task.expect("a task");
    assert_eq!((entry.state(), entry.open_questions), (TaskState::Waiting, 1));
    assert_eq!(stage.ctl.run_with_input(["answer", "1", "-"], b"red\n").await.code, Some(0));
    stage.delivered(&submitted.id).await;
    let requests = stage.api.requests("ask-twice");
    let resumed = words(requests.last().expect("requests"));
    for told in ["> three", "> red"] {
        assert!(resumed.contains(told), "no {told:?} in {resumed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_task_is_cancelled_with_what_it_asked() {
    let Some(mut stage) = Stage::set().await else { return };
    stage.api.script("never-mind", asks(&[colour()]));
    let submitted = stage.submit("never-mind: paint the wall").await;
    stage.waits(&submitted.id).await;
    assert_eq!(stage.ctl(&["cancel", "1"]).await.code, Some(0));
    let end = stage.feed.wait_for_end(&submitted.id).await;
    assert_eq!(end.state(), TaskState::Cancelled, "{}", stage.feed.story());
    let late = stage.ctl(&["answer", "1", "--question", "1", "red"]).await;
    assert_eq!(late.code, Some(5), "{late:?}");
    assert!(late.stderr.contains("question 1 is withdrawn: its task has ended"), "{}", late.stderr);
    assert_eq!(stage.ctl(&["questions", "-o", "json"]).await.stdout.trim(), "[]");
    let kept = stage.ctl(&["questions", "--all"]).await.stdout;
    assert!(kept.contains("withdrawn"), "{kept}");
}
