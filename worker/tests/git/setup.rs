//! Set-up scripts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use factory_domain::FailureReason;
use factory_worker::setup::{self, SetupError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::fixture::write_program;

const LONG: Duration = Duration::from_secs(60);

fn worktree_with(script: &str) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    write_program(&directory.path().join("setup.sh"), script);
    directory
}

fn env() -> BTreeMap<OsString, OsString> {
    let path = std::env::var_os("PATH").expect("a PATH");
    BTreeMap::from([("PATH".into(), path), ("GIVEN".into(), "yes".into())])
}

async fn run(worktree: &Path, script: &str, limit: Duration) -> (Result<(), SetupError>, Vec<String>) {
    let mut lines = Vec::new();
    let mut on_line = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
    let token = CancellationToken::new();
    let end = setup::run(worktree, script, limit, &env(), &mut on_line, &token).await;
    (end, lines)
}

#[tokio::test]
async fn output_of_both_streams_comes_in_order_from_the_worktree() {
    let worktree = worktree_with("echo $GIVEN; echo two >&2; echo \"${HOME:-none}\"; pwd; printf last");
    let (end, lines) = run(worktree.path(), "setup.sh", LONG).await;
    end.expect("done");
    let here = worktree.path().canonicalize().expect("a path").display().to_string();
    assert_eq!(lines, ["yes", "two", "none", &here, "last"]);
}

#[tokio::test]
async fn a_failure_has_its_exit_code() {
    let worktree = worktree_with("echo broken; exit 3");
    let (end, lines) = run(worktree.path(), "setup.sh", LONG).await;
    let error = end.expect_err("failed");
    assert!(matches!(error, SetupError::Failed { code: Some(3), .. }), "{error:?}");
    assert_eq!(lines, ["broken"]);
}

#[tokio::test]
async fn a_script_that_is_missing_closed_or_elsewhere_is_refused() {
    let worktree = worktree_with("exit 0");
    let path = worktree.path();
    let (end, _) = run(path, "absent.sh", LONG).await;
    assert!(matches!(end, Err(SetupError::NotFound { .. })), "{end:?}");
    let failure = end.expect_err("no script").failure();
    assert_eq!(failure.reason, FailureReason::Rejected, "no further try finds it");
    symlink("/bin/sh", path.join("link.sh")).expect("linked");
    let (end, _) = run(path, "link.sh", LONG).await;
    assert!(matches!(end, Err(SetupError::Outside { .. })), "{end:?}");
    std::fs::write(path.join("plain.sh"), "#!/bin/sh\n").expect("written");
    let (end, _) = run(path, "plain.sh", LONG).await;
    assert!(matches!(end, Err(SetupError::NotExecutable { .. })), "{end:?}");
    std::fs::create_dir(path.join("directory")).expect("made");
    let (end, _) = run(path, "directory", LONG).await;
    assert!(matches!(end, Err(SetupError::NotExecutable { .. })), "{end:?}");
}

#[tokio::test]
async fn what_runs_on_after_the_script_is_killed() {
    let worktree = worktree_with("exec 3>alive; sleep 1000 & echo started");
    let fifo = worktree.path().join("alive");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    // Comes to its end when no process holds the other end open any more.
    let all_dead = tokio::task::spawn_blocking(move || std::fs::read(fifo));
    let (end, lines) = run(worktree.path(), "setup.sh", LONG).await;
    end.expect("done");
    assert_eq!(lines, ["started"]);
    let dead = tokio::time::timeout(LONG, all_dead).await.expect("the background process lives on");
    assert!(dead.expect("joined").expect("read").is_empty());
}

#[tokio::test]
async fn a_script_out_of_time_is_ended() {
    let worktree = worktree_with("echo $$; exec sleep 1000");
    let (end, lines) = run(worktree.path(), "setup.sh", Duration::from_millis(300)).await;
    assert!(matches!(end, Err(SetupError::TimedOut { .. })), "{end:?}");
    assert!(lines.iter().all(|pid| !Path::new("/proc").join(pid).exists()), "{lines:?}");
}

#[tokio::test]
async fn a_cancelled_script_is_ended() {
    let worktree = worktree_with("echo $$; exec sleep 1000");
    let token = CancellationToken::new();
    let mut on_line = |_: &[u8]| token.cancel();
    let end = setup::run(worktree.path(), "setup.sh", LONG, &env(), &mut on_line, &token).await;
    assert!(end.expect_err("cancelled").is_cancelled());
}
