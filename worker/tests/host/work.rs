//! What an attempt makes of a repository: its worktree, its set-up, its commits, and where they go.

use std::process::Command;

use factory_proto::v1;

use super::*;

/// An origin with one commit, and a set-up script.
pub fn origin() -> tempfile::TempDir {
    let origin = tempfile::tempdir().expect("a directory");
    git(origin.path(), &["init", "--quiet", "--initial-branch=main"]);
    std::fs::write(origin.path().join("setup.sh"), "#!/bin/sh\necho preparing\ntouch ready\n")
        .expect("written");
    git(origin.path(), &["add", "."]);
    git(origin.path(), &["update-index", "--chmod=+x", "setup.sh"]);
    git(origin.path(), &["commit", "--quiet", "--message=Begin"]);
    origin
}

pub fn git(repository: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Tester", "-c", "user.email=tester@localhost"])
        .args(args)
        .current_dir(repository)
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

pub fn in_repository(origin: &Path, script: &str) -> v1::TaskSpec {
    v1::TaskSpec { repo: origin.to_str().expect("a path").to_owned(), ..shell(script) }
}

pub fn notes(coordinator: &Coordinator, attempt: &str) -> String {
    coordinator.with(|state| {
        let log = state.logs[attempt].iter().filter(|record| record.stream() == v1::LogStream::Factory);
        log.map(|record| String::from_utf8_lossy(&record.data).into_owned() + "\n").collect()
    })
}

const COMMIT: &str = "echo new > new.txt && git add new.txt && \
    git -c user.name=A -c user.email=a@localhost commit --quiet --message='Add new'";

#[tokio::test]
async fn a_branch_is_delivered_and_its_patch_kept() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let spec = v1::TaskSpec {
        setup: "setup.sh".into(),
        ..in_repository(origin.path(), &format!("test -e ready && {COMMIT}"))
    };
    let attempt = coordinator.offer(spec).await;
    let report = coordinator.report(&attempt).await;
    worker.drain().await;

    assert_eq!(report.outcome(), v1::OutcomeKind::Succeeded, "{report:?}\n{}", notes(&coordinator, &attempt));
    assert_eq!(report.delivery.expect("a delivery").kind(), v1::DeliveryKind::Pushed);
    assert!(report.branch.starts_with("factory/"), "{}", report.branch);
    // The agent's commit, and what the set-up left behind.
    let subjects = git(origin.path(), &["log", "--format=%s", &report.branch]);
    assert!(subjects.contains("Add new"), "{subjects}");
    assert_eq!(report.commits.len(), 2);
    let patch = coordinator.with(|state| state.files[&(attempt.clone(), "changes.patch".to_owned())].clone());
    assert!(String::from_utf8_lossy(&patch).contains("+new"));
    let setup = coordinator.with(|state| {
        let log = &state.logs[&attempt];
        log.iter().any(|record| record.stream() == v1::LogStream::Setup && record.data == b"preparing"[..])
    });
    assert!(setup, "the set-up script's words are in the log");
    assert_eq!(entries(&root.path().join("workspaces")), 0, "the worktree is gone");
    worker.shutdown().await;
}

#[tokio::test]
async fn work_of_a_failed_agent_is_kept_but_not_pushed() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(in_repository(origin.path(), &format!("{COMMIT}; exit 7"))).await;
    let report = coordinator.report(&attempt).await;
    worker.drain().await;
    assert_eq!(report.outcome(), v1::OutcomeKind::Failed);
    assert_eq!(report.delivery.expect("a delivery").kind(), v1::DeliveryKind::Bundled);
    assert!(coordinator.with(|state| state.files.contains_key(&(attempt, "commits.bundle".to_owned()))));
    assert_eq!(git(origin.path(), &["branch", "--list", "factory/*"]), "");
    worker.shutdown().await;
}

#[tokio::test]
async fn what_was_not_committed_stays_where_that_was_asked_for() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let spec = v1::TaskSpec {
        leftovers: v1::Leftovers::Keep.into(),
        ..in_repository(origin.path(), "echo loose > loose.txt")
    };
    let attempt = coordinator.offer(spec).await;
    coordinator.report(&attempt).await;
    worker.drain().await;
    let kept = root.path().join("workspaces").join(&attempt);
    assert!(kept.join("loose.txt").exists());
    assert!(notes(&coordinator, &attempt).contains(kept.to_str().unwrap()), "the log says where");
    worker.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_prepared_fails_with_its_reason() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    std::fs::write(origin.path().join("fail.sh"), "#!/bin/sh\nexit 3\n").expect("written");
    git(origin.path(), &["add", "."]);
    git(origin.path(), &["update-index", "--chmod=+x", "fail.sh"]);
    git(origin.path(), &["commit", "--quiet", "--message=Fail"]);
    let plain = tempfile::tempdir().expect("a directory");
    let worker = start(&coordinator, root.path()).await;
    let of = |path: &Path| in_repository(path, "true");
    for (spec, reason) in [
        (v1::TaskSpec { base: "nowhere".into(), ..of(origin.path()) }, "base_not_found"),
        (v1::TaskSpec { setup: "fail.sh".into(), ..of(origin.path()) }, "setup_failed"),
        (of(plain.path()), "repository_unavailable"),
        (v1::TaskSpec { argv: vec!["/nowhere/program".into()], ..of(origin.path()) }, "agent_unavailable"),
    ] {
        let attempt = coordinator.offer(spec).await;
        let failure = coordinator.report(&attempt).await.failure.expect("a failure");
        assert_eq!(failure.reason, reason, "{}", failure.message);
    }
    worker.drain().await;
    assert_eq!(entries(&root.path().join("workspaces")), 0);
    let started = coordinator.with(|state| {
        state.said.iter().filter(|said| matches!(said, v1::session_request::Message::Started(_))).count()
    });
    assert_eq!(started, 0, "nothing ran");
    worker.shutdown().await;
}

#[tokio::test]
async fn a_cancel_ends_the_set_up_too() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    std::fs::write(origin.path().join("slow.sh"), "#!/bin/sh\necho up\nsleep 1000\n").expect("written");
    git(origin.path(), &["add", "."]);
    git(origin.path(), &["update-index", "--chmod=+x", "slow.sh"]);
    git(origin.path(), &["commit", "--quiet", "--message=Slow"]);
    let worker = start(&coordinator, root.path()).await;
    let spec = v1::TaskSpec { setup: "slow.sh".into(), ..in_repository(origin.path(), "true") };
    let attempt = coordinator.offer(spec).await;
    coordinator.line(&attempt, "up").await;
    let stop = v1::Stop { attempt_id: attempt.clone() };
    coordinator.say(v1::session_response::Message::Stop(stop)).await;
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Cancelled);
    assert_eq!(processes(&attempt), 0);
    worker.shutdown().await;
}
