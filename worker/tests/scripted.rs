//! The scripted agent under a real shim: it edits, commits and fails as told, and is understood.

#![allow(clippy::unwrap_used, reason = "a test says by panicking that it failed")]

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use factory_domain::{AgentKind, AttemptId, Brief, LeaseTerms, Outcome, SpecDraft, TaskId, Timestamp};
use factory_worker::agents::{self, AgentsConfig, Conclusion, Conversation, Job};
use factory_worker::environment::Environment;
use factory_worker::host_lease::{BootTime, HostLease};
use factory_worker::shim::{self, Limits, ShimProgram};
use factory_worker::spool::{RecordReader, SpoolDir};
use uuid::Uuid;

const WORKER: &str = env!("CARGO_BIN_EXE_factory-worker");

fn git(repo: &Path, args: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(repo).args(args).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A host's environment with an identity for git and nothing else of this machine's.
fn environment(home: &Path) -> Environment {
    let path = std::env::var_os("PATH").unwrap();
    let mut vars = vec![(OsString::from("PATH"), path), ("HOME".into(), home.into())];
    for name in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"] {
        vars.push((name.into(), "agent@example.org".into()));
    }
    Environment::from_vars(vars, Vec::new())
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::default().after(since)
}

async fn run(workspace: &Path, attempt_number: u32, prompt: &str) -> Conclusion {
    let root = tempfile::tempdir().unwrap();
    let conversation = Conversation::New { id: Uuid::new_v4(), note: None };
    converse(root.path(), workspace, attempt_number, prompt, conversation).await
}

async fn converse(
    root: &Path,
    workspace: &Path,
    attempt_number: u32,
    prompt: &str,
    conversation: Conversation,
) -> Conclusion {
    let config = AgentsConfig {
        claude: None,
        scripted: vec![WORKER.into(), "scripted-agent".into()],
        environment: environment(root),
        limit_pause: agents::DEFAULT_LIMIT_PAUSE,
    };
    let agent = agents::all(&config).into_iter().find(|agent| agent.kind() == AgentKind::Scripted).unwrap();
    agent.probe().await.unwrap();
    let draft = SpecDraft { prompt: prompt.to_owned(), agent: "scripted".to_owned(), ..SpecDraft::default() };
    let job = Job {
        task: TaskId::from_uuid(Uuid::now_v7()),
        attempt: AttemptId::from_uuid(Uuid::now_v7()),
        attempt_number,
        spec: draft.validate().unwrap(),
        workspace: workspace.to_owned(),
        agent_home: root.join("home"),
        conversation,
        traceparent: String::new(),
        brief: Brief::default(),
        notices: Vec::new(),
        access: None,
    };
    let spool = SpoolDir::create(root, job.attempt).unwrap();
    let program = ShimProgram { program: WORKER.into(), args: vec!["shim".into()] };
    let launch = agent.launch(&job).unwrap();
    let (lease, grace) = (HostLease::open(root).unwrap(), Duration::from_secs(1));
    lease.extend(BootTime::now(), &LeaseTerms::default(), grace).unwrap();
    let limits = Limits { start_by: BootTime::now().after(Duration::from_secs(60)), grace, spool: u64::MAX };
    let started = shim::start(&program, &spool, workspace, &launch, lease.path(), limits).await;
    let mut shim = started.unwrap();
    let exit = shim.wait().await.unwrap();
    let mut transcript = agent.transcript(&job);
    for record in RecordReader::open(&spool.records_path(), 0).unwrap().read_batch(usize::MAX).unwrap() {
        transcript.record(record.stream(), &record.data);
    }
    let conclusion = transcript.conclude(&exit, now());
    assert_eq!(conclusion.agent_session, Some(job.conversation.id().to_string()));
    conclusion
}

#[tokio::test]
async fn it_edits_runs_and_commits() {
    let repo = tempfile::tempdir().unwrap();
    git(repo.path(), &["init", "--quiet"]);
    let prompt = "Please add two files.\nwrite src/one.txt first\\nsecond\nappend log.txt entry\nrun false\nrun ls src\n\
        commit Add two files\norphan\ncost 0.25\nsay Both are there.";
    let conclusion = run(repo.path(), 1, prompt).await;
    assert_eq!(conclusion.outcome, Outcome::Succeeded);
    assert_eq!(conclusion.result_text, "Both are there.");
    assert_eq!((conclusion.usage.cost_micro_usd, conclusion.usage.turns), (250_000, 8));
    assert_eq!(git(repo.path(), &["log", "--format=%s"]), "Add two files");
    assert_eq!(git(repo.path(), &["status", "--porcelain"]), "");
    assert_eq!(std::fs::read_to_string(repo.path().join("src/one.txt")).unwrap(), "first\nsecond\n");
}

#[tokio::test]
async fn it_fails_as_told_and_only_when_told() {
    let workspace = tempfile::tempdir().unwrap();
    let prompt = "write draft.txt x\nfail-once the build broke\nwrite final.txt y";
    let Outcome::Failed { failure } = run(workspace.path(), 1, prompt).await.outcome else {
        panic!("it failed")
    };
    assert_eq!(failure.to_string(), "agent_error: the scripted agent failed: the build broke");
    assert!(!workspace.path().join("final.txt").exists());
    assert_eq!(run(workspace.path(), 2, prompt).await.outcome, Outcome::Succeeded);
    assert!(workspace.path().join("final.txt").exists());
}

#[tokio::test]
async fn it_meets_a_limit_as_told_and_only_once() {
    let workspace = tempfile::tempdir().unwrap();
    let earliest = now().after(Duration::from_secs(60));
    let Outcome::Limited { failure, until } = run(workspace.path(), 1, "limit-once 60").await.outcome else {
        panic!("it was limited")
    };
    assert!(until >= earliest && until <= now().after(Duration::from_secs(61)), "{until}");
    assert!(failure.message.contains("The limit five_hour resets at"), "{failure}");
    assert_eq!(run(workspace.path(), 2, "limit-once 60").await.outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn a_prompt_without_steps_is_noted_down_with_or_without_a_repository() {
    let workspace = tempfile::tempdir().unwrap();
    assert_eq!(run(workspace.path(), 1, "Make it faster").await.outcome, Outcome::Succeeded);
    assert_eq!(std::fs::read_to_string(workspace.path().join("NOTES.md")).unwrap(), "- Make it faster\n");
}

#[tokio::test]
async fn it_goes_on_with_its_conversation_after_the_last_step_done() {
    let (root, repo) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    git(repo.path(), &["init", "--quiet"]);
    let prompt =
        "append log.txt one\ncommit Add one\nfail-once the build broke\nappend log.txt two\ncommit Add two";
    let id = Uuid::new_v4();
    let begun = Conversation::New { id, note: None };
    let first = converse(root.path(), repo.path(), 1, prompt, begun).await;
    assert!(matches!(first.outcome, Outcome::Failed { .. }));
    // As if it had been killed in the middle of a step: taken, and not known as done.
    std::fs::write(repo.path().join("log.txt"), "one\ntwo\n").unwrap();

    let resumed = || Conversation::Resumed { id, note: "Go on.".into() };
    let second = converse(root.path(), repo.path(), 2, prompt, resumed()).await;
    assert_eq!((second.outcome, second.usage.turns), (Outcome::Succeeded, 3));
    assert_eq!(std::fs::read_to_string(repo.path().join("log.txt")).unwrap(), "one\ntwo\n");
    assert_eq!(git(repo.path(), &["log", "--format=%s"]), "Add two\nAdd one");

    let elsewhere = tempfile::tempdir().unwrap();
    let lost = converse(elsewhere.path(), repo.path(), 2, prompt, resumed()).await;
    let Outcome::Failed { failure } = lost.outcome else { panic!("there is nothing to resume") };
    assert!(failure.message.contains("No conversation found"), "{failure}");
}
