//! The daemon's command line: what it says when it is ready, and why it refuses to start.

use std::net::TcpListener;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tonic::Code;

const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it did not happen in time")
}

/// The daemon with nothing in its environment, on `root` and any free port.
fn daemon(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_factory-coordinator"));
    command
        .env_clear()
        .env("AGENT_FACTORY_DIRPATH", root)
        .args(["--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Starts it and waits for its ready line; returns the URL on it.
async fn ready(command: &mut Command) -> (Child, String) {
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let line = soon(lines.next_line()).await.expect("readable").expect("a line");
    let url = line.strip_prefix("factory-coordinator listening on ").expect("the ready line").to_owned();
    (child, url)
}

/// Runs it to its end, which must come by itself.
async fn refused(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.spawn().expect("it starts");
    let mut words = String::new();
    soon(child.stderr.take().expect("a pipe").read_to_string(&mut words)).await.expect("text");
    let status: ExitStatus = soon(child.wait()).await.expect("it ended");
    (status.code(), words)
}

fn send(child: &Child, signal: Signal) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    kill_process(pid.expect("it runs"), signal).expect("sent");
}

#[tokio::test]
async fn it_says_where_it_listens_and_stops_on_the_first_signal() {
    let root = tempfile::tempdir().expect("a root");
    let (mut child, url) = ready(&mut daemon(root.path())).await;
    let client = soon(Client::connect(ClientConfig::new(url, None))).await.expect("it answers");
    soon(client.tasks().list(v1::ListRequest::default())).await.expect("a list");
    send(&child, Signal::TERM);
    let status = soon(child.wait()).await.expect("it ended");
    assert_eq!(status.code(), Some(0));
}

async fn submit(client: &Client) -> String {
    let spec = v1::TaskSpec { prompt: "Survive".into(), ..Default::default() };
    let task = v1::NewTask { spec: Some(spec), ..Default::default() };
    let accepted = soon(client.tasks().submit(v1::SubmitRequest { tasks: vec![task] })).await;
    accepted.expect("accepted").into_inner().tasks.remove(0).id
}

async fn is_queued_at(url: String, task: String) -> bool {
    let client = soon(Client::connect(ClientConfig::new(url, None))).await.expect("it answers");
    let found = soon(client.tasks().get(v1::GetRequest { task })).await.expect("it is there");
    found.into_inner().task.expect("a task").state() == v1::TaskState::Queued
}

#[tokio::test]
async fn a_stop_says_so_to_those_who_watch_and_leaves_one_whole_file() {
    let root = tempfile::tempdir().expect("a root");
    let (mut child, url) = ready(&mut daemon(root.path())).await;
    let client = soon(Client::connect(ClientConfig::new(url, None))).await.expect("it answers");
    let task = submit(&client).await;
    let request = v1::WatchRequest { follow: true, ..Default::default() };
    let mut events = soon(client.tasks().watch(request)).await.expect("served").into_inner();
    assert!(soon(events.message()).await.expect("an event").is_some());
    send(&child, Signal::TERM);
    let end = soon(events.message()).await.expect_err("the end");
    // What clients take for something that comes back: they connect again, and go on by their cursor.
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert_eq!(soon(child.wait()).await.expect("it ended").code(), Some(0));
    assert!(!root.path().join("agent-factory.db-wal").exists(), "all of it is in the database");

    let (_child, url) = ready(&mut daemon(root.path())).await;
    assert!(is_queued_at(url, task).await);
}

#[tokio::test]
async fn a_second_signal_waits_for_nothing_and_loses_nothing() {
    let root = tempfile::tempdir().expect("a root");
    let (mut child, url) = ready(&mut daemon(root.path())).await;
    let client = soon(Client::connect(ClientConfig::new(url, None))).await.expect("it answers");
    let task = submit(&client).await;
    // A call that does not end: an upload that never comes.
    let (mut uploads, mut calls) = (client.worker(), client.tasks());
    let mut upload = pin!(uploads.upload_artifact(tokio_stream::pending::<v1::UploadArtifactRequest>()));
    tokio::select! {
        biased;
        ended = &mut upload => panic!("{ended:?}"),
        // On the same connection, and later: once it is answered, the upload has begun.
        listed = soon(calls.list(v1::ListRequest::default())) => drop(listed.expect("a list")),
    }
    send(&child, Signal::TERM);
    let mut words = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    while !soon(words.next_line()).await.expect("text").expect("a line").contains("second signal") {}
    send(&child, Signal::TERM);
    assert_eq!(soon(child.wait()).await.expect("it ended").code(), Some(1));

    let (_child, url) = ready(&mut daemon(root.path())).await;
    assert!(is_queued_at(url, task).await);
}

#[tokio::test]
async fn what_was_accepted_survives_a_kill() {
    let root = tempfile::tempdir().expect("a root");
    let (mut child, url) = ready(&mut daemon(root.path())).await;
    let client = soon(Client::connect(ClientConfig::new(url, None))).await.expect("it answers");
    let task = submit(&client).await;
    send(&child, Signal::KILL);
    soon(child.wait()).await.expect("it ended");

    let (_child, url) = ready(&mut daemon(root.path())).await;
    assert!(is_queued_at(url, task).await);
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_next_step() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let root = tempfile::tempdir().expect("a root");
    let mut command = Command::new(env!("CARGO_BIN_EXE_factory-coordinator"));
    command.env_clear().env("AGENT_FACTORY_DIRPATH", root.path());
    command.args(["--listen", &format!("127.0.0.1:{port}")]).stderr(Stdio::piped()).stdout(Stdio::null());
    let (code, words) = refused(&mut command).await;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains(&format!("port {port} is in use")) && words.contains("--listen"), "{words}");
}

#[tokio::test]
async fn a_second_one_on_the_same_root_names_the_first() {
    let root = tempfile::tempdir().expect("a root");
    let (child, _) = ready(&mut daemon(root.path())).await;
    let (code, words) = refused(&mut daemon(root.path())).await;
    assert_eq!(code, Some(1), "{words}");
    assert!(words.contains(&format!("pid {}", child.id().expect("it runs"))), "{words}");
}

#[tokio::test]
async fn a_root_that_cannot_be_written_is_named() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    for root in [file.path(), Path::new("/proc/factory")] {
        let (code, words) = refused(&mut daemon(root)).await;
        assert_eq!(code, Some(1), "{words}");
        assert!(words.contains(&root.display().to_string()) && words.contains("--root"), "{words}");
    }
}

#[tokio::test]
async fn an_unknown_configuration_key_is_named_with_its_line() {
    let root = tempfile::tempdir().expect("a root");
    let file = root.path().join("factory.toml");
    std::fs::write(&file, "log_format = \"json\"\n[lease]\nheartbeet_ms = 5\n").expect("written");
    let (code, words) = refused(daemon(root.path()).env("FACTORY_CONFIG", &file)).await;
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("line 3") && words.contains("heartbeet_ms"), "{words}");
}

#[tokio::test]
async fn other_hosts_are_not_let_in_without_a_token() {
    let root = tempfile::tempdir().expect("a root");
    let mut command = Command::new(env!("CARGO_BIN_EXE_factory-coordinator"));
    command.env_clear().env("AGENT_FACTORY_DIRPATH", root.path()).args(["--listen", "0.0.0.0:0"]);
    command.stderr(Stdio::piped()).stdout(Stdio::null());
    let (code, words) = refused(&mut command).await;
    assert_eq!(code, Some(2), "{words}");
    assert!(words.contains("FACTORY_AUTH_TOKEN") && words.contains("--insecure"), "{words}");
    assert!(std::fs::read_dir(root.path()).expect("readable").next().is_none(), "nothing was changed");
}
