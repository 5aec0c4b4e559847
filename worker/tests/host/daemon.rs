//! The program itself: its ready line, its signals, its end by force.

use std::process::Stdio;

use factory_proto::v1;
use factory_worker::shim::Shim;
use factory_worker::spool::SpoolDir;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::*;
use crate::coordinator::State;

/// Starts the daemon and waits for its ready line.
pub async fn daemon(coordinator: &Coordinator, root: &Path) -> Child {
    daemon_with(coordinator, root, &[]).await
}

async fn daemon_with(coordinator: &Coordinator, root: &Path, flags: &[&str]) -> Child {
    ready(coordinator, command(coordinator, root).args(flags)).await
}

/// The daemon with a user's git configuration.
pub async fn daemon_with_git(coordinator: &Coordinator, root: &Path, config: &Path) -> Child {
    ready(coordinator, command(coordinator, root).env("GIT_CONFIG_GLOBAL", config)).await
}

async fn ready(coordinator: &Coordinator, command: &mut Command) -> Child {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the daemon");
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

/// The shim of an attempt, to be waited for beside its daemon.
fn shim_of(attempt: &str, root: &Path) -> Shim {
    let spool = SpoolDir::open(&root.join("spool").join(attempt)).expect("a spool");
    Shim::adopt(&spool).expect("readable").expect("started")
}

#[tokio::test]
async fn the_agent_of_a_frozen_daemon_ends_with_its_lease() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator.with(|state| (state.plan.terms.lease_ms, state.plan.terms.lost_after_ms) = (500, 2_000));
    let mut child = daemon(&coordinator, root.path()).await;
    let attempt = coordinator.offer(shell("setsid sleep 1000 & echo up; sleep 1000")).await;
    coordinator.line(&attempt, "up").await;
    let mut shim = shim_of(&attempt, root.path());

    signal(&child, Signal::STOP);
    let exit = tokio::time::timeout(Duration::from_secs(20), shim.wait()).await.expect("it ends").unwrap();
    assert!(exit.lease_expired, "{exit:?}");
    assert_eq!(processes(&attempt), 0, "the daemon did nothing, and nothing is left");

    signal(&child, Signal::CONT);
    let failure = coordinator.report(&attempt).await.failure.expect("a failure");
    assert_eq!(failure.reason, "worker_lost", "{}", failure.message);
    let next = coordinator.offer(shell("echo again")).await;
    assert_eq!(coordinator.report(&next).await.outcome(), v1::OutcomeKind::Succeeded);
    signal(&child, Signal::TERM);
    assert!(child.wait().await.expect("ended").success());
}

#[tokio::test]
async fn the_agent_of_a_dead_daemon_is_dead_when_a_late_start_looks_for_it() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator.with(|state| (state.plan.terms.lease_ms, state.plan.terms.lost_after_ms) = (500, 2_000));
    let mut first = daemon(&coordinator, root.path()).await;
    let attempt = coordinator.offer(shell("echo up; sleep 1000")).await;
    coordinator.line(&attempt, "up").await;
    let mut shim = shim_of(&attempt, root.path());
    first.kill().await.expect("killed");
    tokio::time::timeout(Duration::from_secs(20), shim.wait()).await.expect("it ends").unwrap();
    assert_eq!(processes(&attempt), 0);
    let _second = daemon(&coordinator, root.path()).await;
    let failure = coordinator.report(&attempt).await.failure.expect("a failure");
    assert_eq!(failure.reason, "worker_lost", "{}", failure.message);
}

#[tokio::test]
async fn the_heartbeat_that_says_an_attempt_is_given_up_does_not_start_its_agent() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    // No heartbeat, no lease: the agent waits for one with all else ready.
    coordinator.with(|state| state.plan.refuse_heartbeats = true);
    let _worker = daemon(&coordinator, root.path()).await;
    let mark = root.path().join("begun");
    let attempt = coordinator.offer(shell(&format!("echo begun > {}", mark.display()))).await;
    coordinator
        .until("the workspace", |state| state.logs.get(&attempt).filter(|log| !log.is_empty()).map(drop))
        .await;

    coordinator.with(|state| {
        state.plan.verdicts.insert(attempt.clone(), v1::Verdict::Superseded);
        state.plan.refuse_heartbeats = false;
    });
    let told = coordinator.until("it to be told", |state| state.heartbeats.first().cloned()).await;
    assert_eq!(told.held.len(), 1);
    let gone = |state: &State| state.heartbeats.last().is_some_and(|heartbeat| heartbeat.held.is_empty());
    coordinator.until("the attempt to go", |state| gone(state).then_some(())).await;
    assert!(!mark.exists(), "its agent was started");
}

#[tokio::test]
async fn a_confirmation_that_comes_after_the_attempt_was_given_up_starts_no_agent() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator.with(|state| {
        (state.plan.terms.lease_ms, state.plan.terms.lost_after_ms) = (300, 1_500);
        state.plan.confirm = false;
    });
    let _worker = daemon(&coordinator, root.path()).await;
    let mark = root.path().join("begun");
    let attempt = coordinator.offer(shell(&format!("echo begun > {}", mark.display()))).await;
    // Heartbeats go on meanwhile, and do not name it: it is not confirmed.
    coordinator.until("two seconds", |state| (state.heartbeats.len() >= 12).then_some(())).await;
    coordinator.with(|state| state.plan.verdicts.insert(attempt.clone(), v1::Verdict::Superseded));
    let sessions = coordinator.with(|state| state.hellos.len());
    let confirm = v1::Confirm { attempt_id: attempt.clone() };
    coordinator.say(v1::session_response::Message::Confirm(confirm)).await;
    // By the heartbeat that names it; or by a welcome, where the session was lost on a busy machine.
    let named = |state: &State| {
        let by_heartbeat = state.heartbeats.iter().position(|heartbeat| !heartbeat.held.is_empty());
        by_heartbeat.or_else(|| (state.hellos.len() > sessions).then_some(state.heartbeats.len()))
    };
    let told = coordinator.until("it to be told", named).await;
    let gone = |state: &State| state.heartbeats[told..].iter().any(|heartbeat| heartbeat.held.is_empty());
    coordinator.until("the attempt to go", |state| gone(state).then_some(())).await;
    assert!(!mark.exists(), "its agent was started");
}

#[tokio::test]
async fn the_first_signal_drains_and_the_second_hands_over() {
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
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::HandedOver);
    assert!(child.wait().await.expect("ended").success());
    assert_eq!(processes(&attempt), 0);
}

#[tokio::test]
async fn what_still_runs_when_the_drain_has_lasted_long_enough_is_handed_over() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let mut child = daemon_with(&coordinator, root.path(), &["--drain-timeout-ms", "300"]).await;
    let attempt = coordinator.offer(shell("trap '' TERM; setsid sleep 1000 & echo up; wait; wait")).await;
    coordinator.line(&attempt, "up").await;
    signal(&child, Signal::TERM);
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::HandedOver);
    assert!(child.wait().await.expect("ended").success());
    assert_eq!(processes(&attempt), 0);
}

#[tokio::test]
async fn a_hangup_ends_the_daemon_and_leaves_its_agents_to_the_next_start() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let mut first = daemon(&coordinator, root.path()).await;
    let go = root.path().join("go");
    let attempt = coordinator.offer(shell(&format!("echo up; {}; echo done", wait_for(&go)))).await;
    coordinator.line(&attempt, "up").await;
    let shim = shim_of(&attempt, root.path()).pid();
    // Also in the middle of a drain.
    signal(&first, Signal::TERM);
    signal(&first, Signal::HUP);
    assert!(first.wait().await.expect("ended").success());
    let mut second = daemon(&coordinator, root.path()).await;
    assert_eq!(shim_of(&attempt, root.path()).pid(), shim, "nothing was started anew");
    std::fs::write(&go, "").unwrap();
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Succeeded);
    signal(&second, Signal::TERM);
    assert!(second.wait().await.expect("ended").success());
    assert_eq!(coordinator.output(&attempt), ["up", "done"]);
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_shown_and_nothing_is_made() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path().join("worker");
    let bad = ["--slots", "0", "--label", "nolabel", "--root"];
    let output = Command::new(PROGRAM).args(bad).arg(&root).output().await.expect("ran");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("slots") && said.contains("nolabel"), "{said}");
    assert!(!root.exists());
}

#[tokio::test]
async fn a_coordinator_that_is_not_there_yet_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    // A port that is free now, and taken when the worker has been told of it.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = Command::new(PROGRAM)
        .args(["--name", "tester", "--slots", "2", "--url", &format!("http://{address}"), "--root"])
        .arg(root.path())
        .env("RUST_LOG", "factory_worker=warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the daemon");
    let mut log = BufReader::new(child.stderr.take().expect("piped")).lines();
    while let Some(line) = log.next_line().await.expect("its log") {
        if line.contains("no coordinator answers") {
            break;
        }
    }
    let coordinator = Coordinator::listen(address).await;
    coordinator.until("a session", |state| state.hellos.first().map(|_| ())).await;
    signal(&child, Signal::TERM);
    let reading = async { while log.next_line().await.expect("its log").is_some() {} };
    let (status, ()) = tokio::join!(child.wait(), reading);
    assert!(status.expect("ended").success());
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
