//! Whatever dies, the task goes on: its agent adopted, or resumed where it was, or on another host with
//! what was saved. With the real Claude Code CLI, whose Messages API sees what it remembers, and with the
//! scripted agent.

use std::path::{Path, PathBuf};

use factory_proto::client::Client;
use factory_proto::v1::{LogStream, Report, Submitted, TaskSpec, TaskState};
use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup, SHORT_LEASES};
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::{Bell, Turnstile};
use factory_tests::harness::repository::Origin;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{claude, processes, soon, task};
use factory_tests::messages_api::{MessagesApi, Script, Turn};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::claude::worker_with;

/// A coordinator, a worker, an origin, and a place where agents are caught at work.
struct Stage {
    host: Host,
    coordinator: Coordinator,
    worker: Worker,
    client: Client,
    feed: Feed,
    origin: Origin,
    bell: Bell,
    turnstile: Turnstile,
}

impl Stage {
    async fn set(setup: WorkerSetup) -> Self {
        Self::set_on(Host::new(), setup, None).await
    }

    /// `leases`: of the coordinator, where the usual ones will not do.
    async fn set_on(host: Host, setup: WorkerSetup, leases: Option<&str>) -> Self {
        let mut coordinator = CoordinatorSetup::new(&host);
        if let Some(leases) = leases {
            leases.clone_into(&mut coordinator.config);
        }
        let coordinator = Coordinator::try_start(&host, coordinator).await.expect("the coordinator starts");
        let worker = Worker::start(&host, &coordinator, setup).await;
        let client = coordinator.client().await;
        let feed = Feed::from_start(&client).await;
        let origin = Origin::new(&host, "app");
        let (bell, turnstile) = (Bell::new(&host, "bell"), Turnstile::new(&host, "turnstile"));
        Self { host, coordinator, worker, client, feed, origin, bell, turnstile }
    }

    /// What an agent is caught in: it says that it is there, and waits to be let through.
    fn trap(&self) -> String {
        format!("echo up > {}; read -r _ < {}", self.bell.path().display(), self.turnstile.path().display())
    }

    /// As a prompt for the scripted agent.
    fn steps(&self) -> String {
        let trap = self.host.path().join("trap.sh");
        std::fs::write(&trap, self.trap()).expect("written");
        format!(
            "write draft.txt a draft\nrun sh {}\ncommit Add the draft\nsay It is committed.",
            trap.display()
        )
    }

    /// The same for the model behind the real CLI.
    fn script(&self) -> Script {
        let commit = "git add draft.txt && git commit --quiet --message 'Add the draft'";
        Script::new()
            .turn(Turn::tool("Write", json!({ "file_path": "draft.txt", "content": "a draft\n" })))
            .turn(Turn::tool("Bash", json!({ "command": self.trap(), "timeout": 600_000 })))
            .turn(Turn::tool("Bash", json!({ "command": commit })))
            .turn(Turn::text("It is committed."))
    }

    /// Kills every process of the worker's host, its agent's and its shim's among them.
    async fn kill_host(&mut self, attempt: &str) {
        self.worker.kill_host().await;
        for process in processes::of_attempt(attempt) {
            // It may have ended since: that is what is wanted.
            let _ = Pid::from_raw(process.pid).map(|pid| kill_process(pid, Signal::KILL));
        }
        let gone = async {
            while !processes::of_attempt(attempt).is_empty() {
                tokio::task::yield_now().await;
            }
        };
        soon("the end of what was killed", gone).await;
    }

    async fn submit(&self, agent: &str, prompt: &str) -> Submitted {
        let spec = TaskSpec {
            prompt: prompt.to_owned(),
            agent: agent.to_owned(),
            repo: self.origin.source(),
            max_attempts: Some(2),
            ..TaskSpec::default()
        };
        task::submit_one(&self.client, spec).await
    }

    async fn attempt_of(&self, task: &str) -> String {
        task::get(&self.client, task).await.task.expect("a task").attempt_id
    }

    /// The report of a task that succeeded in its nth attempt, and whose `draft.txt` was delivered by one commit.
    async fn delivered(&mut self, task: &str, attempt_number: u32) -> Report {
        let end = self.feed.wait_for_end(task).await;
        let story = self.feed.story();
        assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, attempt_number), "{story}");
        let ends =
            self.feed.seen().iter().filter(|event| event.task_id == task && event.state().is_terminal());
        assert_eq!(ends.count(), 1, "{story}");
        let report = task::report(&self.client, task).await;
        let subjects: Vec<_> = report.commits.iter().map(|commit| commit.subject.as_str()).collect();
        assert_eq!(subjects, ["Add the draft"], "no work is lost, or counted twice");
        assert_eq!(self.origin.delivered(), std::slice::from_ref(&report.branch));
        assert_eq!(self.origin.file(&report.branch, "draft.txt"), "a draft");
        report
    }

    /// What the factory says in the log of an attempt.
    async fn notes(&self, task: &str, attempt_number: u32) -> String {
        let records = task::log(&self.client, task, attempt_number).await;
        let own = records.iter().filter(|record| record.stream() == LogStream::Factory);
        own.map(|record| String::from_utf8_lossy(&record.data).into_owned() + "\n").collect()
    }

    /// Waits until a checkpoint of the attempt is current whose conversation holds the words.
    async fn saved(&self, task: &str, attempt: &str, words: &str) {
        let directory = self.coordinator.root().join("artifacts").join(attempt);
        soon(&format!("a checkpoint with {words:?}"), async {
            loop {
                let log = self.worker.log();
                let taken = log.lines().rev().find_map(|line| line.split_once("checkpoint taken number="));
                let number = taken.map(|(_, number)| number.trim()).unwrap_or_default();
                let transcript = directory.join(format!("checkpoint-{number}.transcript"));
                if std::fs::read_to_string(transcript).is_ok_and(|transcript| transcript.contains(words)) {
                    return;
                }
                // Nothing tells of it: looked at again, at the coordinator's pace.
                task::get(&self.client, task).await;
            }
        })
        .await;
    }
}

/// The CLI's set-up, and the API that it talks to; `None` where there is no CLI, which was said.
async fn real_cli() -> Option<(MessagesApi, WorkerSetup)> {
    let cli = claude::find()?;
    let api = MessagesApi::start().await.expect("the API starts");
    let setup = worker_with(&cli, &api, "anvil", 1);
    Some((api, setup))
}

/// The words of a request, the agent's tool calls included.
fn words(request: &Value) -> String {
    request["messages"].to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_cli_outlives_its_daemon_and_is_adopted() {
    let Some((api, setup)) = real_cli().await else { return };
    let mut stage = Stage::set(setup).await;
    api.script("adopt-me", stage.script());
    let submitted = stage.submit("claude", "adopt-me: draft and commit").await;
    stage.bell.rung(1).await;
    let attempt = stage.attempt_of(&submitted.id).await;
    stage.worker.kill9().await;
    assert!(!processes::of_attempt(&attempt).is_empty(), "the agent goes on");
    stage.worker.start_again().await;
    stage.turnstile.let_through(1);
    stage.delivered(&submitted.id, 1).await;
    assert_eq!(api.requests("adopt-me").len(), 4, "nothing was asked twice");
    assert!(processes::of_attempt(&attempt).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_cli_killed_with_its_host_resumes_its_conversation_in_the_same_worktree() {
    let Some((api, setup)) = real_cli().await else { return };
    let mut stage = Stage::set(setup).await;
    api.script("resume-me", stage.script());
    let submitted = stage.submit("claude", "resume-me: draft and commit").await;
    stage.bell.rung(1).await;
    let attempt = stage.attempt_of(&submitted.id).await;
    stage.kill_host(&attempt).await;
    let draft = stage.worker.workspace(&attempt).join("draft.txt");
    assert!(draft.exists(), "what was not committed is still there");
    stage.worker.start_again().await;

    let report = stage.delivered(&submitted.id, 2).await;
    assert_eq!(report.result_text, "It is committed.");
    let notes = stage.notes(&submitted.id, 2).await;
    assert!(notes.contains("in the same workspace; the agent resumes its conversation"), "{notes}");
    let requests = api.requests("resume-me");
    assert_eq!(requests.len(), 4, "two before, two after");
    let resumed = words(&requests[2]);
    for remembered in ["resume-me: draft and commit", "draft.txt", "a draft", "turnstile"] {
        assert!(resumed.contains(remembered), "no {remembered:?} in {resumed}");
    }
    for told in ["You were interrupted", "same working directory", "outcome of any tool call"] {
        assert!(resumed.contains(told), "no {told:?} in {resumed}");
    }
    assert!(!draft.exists(), "its worktree is gone once all is delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_cli_resumes_on_another_host_with_what_was_saved() {
    let Some((api, setup)) = real_cli().await else { return };
    let elsewhere = WorkerSetup { name: "birch".to_owned(), ..setup.clone() };
    let setup = setup.flag("--checkpoint-interval-ms", 200);
    let mut stage = Stage::set_on(Host::new(), setup, Some(SHORT_LEASES)).await;
    api.script("move-me", stage.script());
    let submitted = stage.submit("claude", "move-me: draft and commit").await;
    stage.bell.rung(1).await;
    let attempt = stage.attempt_of(&submitted.id).await;
    stage.saved(&submitted.id, &attempt, "turnstile").await;
    stage.kill_host(&attempt).await;
    // The host is gone for good; its disk is not there to be looked at.
    std::fs::remove_dir_all(stage.worker.root()).expect("removed");
    let _another = Worker::start(&stage.host, &stage.coordinator, elsewhere).await;

    stage.delivered(&submitted.id, 2).await;
    let notes = stage.notes(&submitted.id, 2).await;
    assert!(
        notes.contains("with the work saved at") && notes.contains("resumes its conversation"),
        "{notes}"
    );
    let requests = api.requests("move-me");
    assert_eq!(requests.len(), 4, "two there, two here");
    let resumed = words(&requests[2]);
    for remembered in
        ["move-me: draft and commit", "a draft", "turnstile", "It was restored from what was saved"]
    {
        assert!(resumed.contains(remembered), "no {remembered:?} in {resumed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_cli_begins_anew_with_a_note_where_its_conversation_cannot_be_resumed() {
    let Some((api, setup)) = real_cli().await else { return };
    let mut stage = Stage::set(setup).await;
    api.script("forget-me", stage.script());
    let submitted = stage.submit("claude", "forget-me: draft and commit").await;
    stage.bell.rung(1).await;
    let attempt = stage.attempt_of(&submitted.id).await;
    stage.kill_host(&attempt).await;
    let projects = stage.worker.root().join("spool").join(&attempt).join("agent-home/projects");
    for conversation in conversations_in(&projects) {
        std::fs::write(conversation, "garbage\n").expect("written");
    }
    stage.worker.start_again().await;

    stage.delivered(&submitted.id, 2).await;
    let notes = stage.notes(&submitted.id, 2).await;
    assert!(notes.contains("in the same workspace; the agent begins a new conversation"), "{notes}");
    let requests = api.requests("forget-me");
    let begun = words(&requests[2]);
    assert!(begun.contains("forget-me: draft and commit") && !begun.contains("turnstile"), "{begun}");
    assert!(begun.contains("You do not have its conversation"), "{begun}");
}

fn conversations_in(projects: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(projects).expect("there are projects").flatten();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.path()).into_iter().flatten().flatten());
    files.map(|file| file.path()).filter(|path| path.extension() == Some("jsonl".as_ref())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_with_its_host_resumes_in_the_same_worktree() {
    let mut stage = Stage::set(WorkerSetup::named("anvil", 1)).await;
    let submitted = stage.submit("scripted", &stage.steps()).await;
    stage.bell.rung(1).await;
    let attempt = stage.attempt_of(&submitted.id).await;
    stage.kill_host(&attempt).await;
    stage.worker.start_again().await;
    stage.turnstile.let_through(1);
    stage.delivered(&submitted.id, 2).await;
    let notes = stage.notes(&submitted.id, 2).await;
    assert!(notes.contains("in the same workspace; the agent resumes its conversation"), "{notes}");
    let said = task::stdout_lines(&task::log(&stage.client, &submitted.id, 2).await).concat();
    assert!(said.contains("I go on after 1 of 4 steps."), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_resumes_on_another_host_with_what_was_saved() {
    let setup = WorkerSetup::named("anvil", 1).flag("--checkpoint-interval-ms", 100);
    let mut stage = Stage::set_on(Host::new(), setup, Some(SHORT_LEASES)).await;
    let submitted = stage.submit("scripted", &stage.steps()).await;
    stage.bell.rung(1).await;
    let attempt = stage.attempt_of(&submitted.id).await;
    stage.saved(&submitted.id, &attempt, r#"{"done":1}"#).await;
    stage.kill_host(&attempt).await;
    stage.turnstile.let_through(1);
    let _another = Worker::start(&stage.host, &stage.coordinator, WorkerSetup::named("birch", 1)).await;
    stage.delivered(&submitted.id, 2).await;
    let notes = stage.notes(&submitted.id, 2).await;
    assert!(
        notes.contains("with the work saved at") && notes.contains("resumes its conversation"),
        "{notes}"
    );
    let said = task::stdout_lines(&task::log(&stage.client, &submitted.id, 2).await).concat();
    assert!(said.contains("I go on after 1 of 4 steps."), "{said}");
}
