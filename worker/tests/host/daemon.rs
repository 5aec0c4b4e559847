//! The program itself: its ready line, its signals, its end by force.

use std::process::Stdio;

use factory_proto::v1;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::*;

/// Starts the daemon and waits for its ready line.
async fn daemon(coordinator: &Coordinator, root: &Path) -> Child {
    let mut child = command(coordinator, root).stdout(Stdio::piped()).spawn().expect("the daemon");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).await.expect("a line");
    assert_eq!(line, format!("factory-worker tester connected to {} with 2 slots\n", coordinator.url));
    child
}

fn command(coordinator: &Coordinator, root: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command
        .args(["--name", "tester", "--slots", "2", "--min-free-disk", "0", "--kill-grace-ms", "500"])
        .args(["--url", &coordinator.url, "--root"])
        .arg(root)
        .env("FACTORY_CLAUDE_BIN", "/nowhere/claude")
        .env("RUST_LOG", "error")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id().expect("running")).expect("a pid");
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("signalled");
}

#[tokio::test]
async fn killed_by_force_its_agent_goes_on_and_is_reported_once() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let mut first = daemon(&coordinator, root.path()).await;
    let go = root.path().join("go");
    let attempt = coordinator.offer(shell(&format!("echo up; {}; echo done", wait_for(&go)))).await;
    coordinator.line(&attempt, "up").await;
    first.kill().await.expect("killed");
    let mut second = daemon(&coordinator, root.path()).await;
    std::fs::write(&go, "").unwrap();
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Succeeded);
    signal(&second, Signal::TERM);
    assert!(second.wait().await.expect("ended").success());
    assert_eq!(coordinator.with(|state| state.reports.len()), 1);
    assert_eq!(coordinator.output(&attempt), ["up", "done"]);
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_stops() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let mut child = daemon(&coordinator, root.path()).await;
    let attempt = coordinator.offer(shell("echo up; sleep 1000")).await;
    coordinator.line(&attempt, "up").await;
    signal(&child, Signal::TERM);
    let declined = coordinator
        .until("no more credit", |state| {
            state
                .said
                .iter()
                .rev()
                .find_map(|said| match said {
                    v1::session_request::Message::Credits(credits) => Some(credits.free_slots == 0),
                    _ => None,
                })
                .filter(|none| *none)
        })
        .await;
    assert!(declined);
    assert!(processes(&attempt) > 0, "running work finishes");
    signal(&child, Signal::INT);
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Cancelled);
    assert!(child.wait().await.expect("ended").success());
    assert_eq!(processes(&attempt), 0);
}

#[tokio::test]
async fn a_second_worker_on_one_root_is_told_who_holds_it() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let first = daemon(&coordinator, root.path()).await;
    let second = command(&coordinator, root.path()).output().await.expect("ran");
    assert!(!second.status.success());
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains(&first.id().expect("running").to_string()), "{said}");
}
