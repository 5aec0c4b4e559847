//! A task on the branch of a worktree that was made by hand works in it, with all that is in it; and what crashes
//! leave of such worktrees is put right.

use std::path::PathBuf;

use factory_proto::v1;
use factory_proto::v1::RepoJobFailureKind as Kind;

use super::*;
use crate::daemon::{daemon, daemon_with_git};
use crate::repos::{commit, delete, make, text};
use crate::work::{git, in_repository, notes, origin};

fn on_branch(origin: &Path, branch: &str, script: &str) -> v1::TaskSpec {
    v1::TaskSpec {
        branch: branch.into(),
        leftovers: v1::Leftovers::Commit.into(),
        deliver: v1::Deliver::Branch.into(),
        ..in_repository(origin, script)
    }
}

/// A worktree with a commit, a change and an ignored file that are nowhere else.
async fn with_work(coordinator: &Coordinator, origin: &Path) -> PathBuf {
    let made = coordinator.worktree(text(origin), make("feat/x")).await;
    let path = PathBuf::from(made.path);
    commit(&path, "committed");
    std::fs::write(path.join(".gitignore"), "ignored\n").expect("written");
    std::fs::write(path.join("draft"), "half done").expect("written");
    std::fs::write(path.join("ignored"), "secret").expect("written");
    path
}

#[tokio::test]
async fn a_task_works_on_in_it_and_its_work_is_delivered() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let path = with_work(&coordinator, origin.path()).await;
    let go = root.path().join("go");
    let script = format!("cat draft ignored; echo; echo up; {}; echo more >> draft", wait_for(&go));
    let attempt = coordinator.offer(on_branch(origin.path(), "feat/x", &script)).await;
    coordinator.line(&attempt, "up").await;
    assert_eq!(coordinator.output(&attempt)[0], "half donesecret");
    assert!(!path.exists());
    coordinator
        .until("the task's worktree in the inventory", |state| {
            let told = state.inventories.last()?.worktrees.iter().find(|told| told.attempt_id == attempt)?;
            (told.kind() == v1::WorktreeKind::Attempt && told.branch == "feat/x").then_some(())
        })
        .await;
    let (kind, why) = coordinator.refusal(text(origin.path()), delete("feat/x", true)).await;
    assert!(kind == Kind::Refused && why.contains("cancel the task"), "{why}");
    let (kind, why) = coordinator.refusal(text(origin.path()), make("feat/x")).await;
    assert!(kind == Kind::Refused && why.contains("checked out already"), "{why}");
    std::fs::write(&go, "").unwrap();
    let report = coordinator.report(&attempt).await;
    assert_eq!((report.outcome(), report.commits.len()), (v1::OutcomeKind::Succeeded, 2), "{report:?}");
    assert!(notes(&coordinator, &attempt).contains("made by hand"));
    assert_eq!(git(origin.path(), &["show", "feat/x:draft"]), "half donemore\n");
    assert_eq!(git(origin.path(), &["show", "feat/x:committed"]), "committed");
    worker.drain().await;
    assert_eq!(entries(&root.path().join("workspaces")), 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn it_goes_back_where_no_agent_came_to_work_in_it() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let path = with_work(&coordinator, origin.path()).await;
    let spec = v1::TaskSpec { setup: "nothing.sh".into(), ..on_branch(origin.path(), "feat/x", "true") };
    let attempt = coordinator.offer(spec).await;
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Failed);
    worker.drain().await;
    assert_eq!(std::fs::read_to_string(path.join("draft")).unwrap(), "half done");
    assert!(git(&path, &["status", "--porcelain"]).contains("?? draft"));
    let (_, why) = coordinator.refusal(text(origin.path()), delete("feat/x", false)).await;
    assert!(why.contains("2 changed or new file(s)") && why.contains("1 commit(s)"), "{why}");
    worker.shutdown().await;
}

#[tokio::test]
async fn what_a_task_would_throw_away_keeps_it_out() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let path = with_work(&coordinator, origin.path()).await;
    let spec = v1::TaskSpec {
        leftovers: v1::Leftovers::Discard.into(),
        ..on_branch(origin.path(), "feat/x", "true")
    };
    let failure = {
        let attempt = coordinator.offer(spec).await;
        coordinator.report(&attempt).await.failure.expect("a failure")
    };
    assert!(failure.reason == "rejected" && failure.message.contains("would discard"), "{failure:?}");
    assert!(path.join("draft").exists());
    worker.shutdown().await;
}

#[tokio::test]
async fn killed_while_a_task_prepares_in_it_the_next_start_gives_it_back() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let mut first = daemon(&coordinator, root.path()).await;
    let path = with_work(&coordinator, origin.path()).await;
    let script = format!("#!/bin/sh\necho preparing\n{}\n", wait_for(&root.path().join("never")));
    std::fs::write(path.join("wait.sh"), script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path.join("wait.sh"), mode).unwrap();
    let spec = v1::TaskSpec { setup: "wait.sh".into(), ..on_branch(origin.path(), "feat/x", "true") };
    let attempt = coordinator.offer(spec).await;
    coordinator.line(&attempt, "preparing").await;
    assert!(!path.exists());
    first.kill().await.expect("killed");
    coordinator.with(|state| state.plan.verdicts.insert(attempt.clone(), v1::Verdict::Superseded));
    let _second = daemon(&coordinator, root.path()).await;
    coordinator
        .until("the worktree where it was", |state| {
            let told = state.inventories.last()?.worktrees.first()?;
            (told.path == text(&path) && told.kind() == v1::WorktreeKind::ByHand).then_some(())
        })
        .await;
    assert_eq!(std::fs::read_to_string(path.join("draft")).unwrap(), "half done");
    assert!(git(&path, &["status", "--porcelain"]).contains("?? draft"));
    let (kind, _) = coordinator.refusal(text(origin.path()), delete("feat/x", false)).await;
    assert_eq!(kind, Kind::Refused);
}

#[tokio::test]
async fn killed_in_the_middle_of_a_checkout_the_same_job_makes_it_whole() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let files = tempfile::tempdir().unwrap();
    let (config, pipe, go) =
        (files.path().join("gitconfig"), files.path().join("pipe"), files.path().join("go"));
    let smudge = format!("echo up > {}; {}; cat", pipe.display(), wait_for(&go));
    let text_of = format!("[filter \"slow\"]\n\tsmudge = \"{smudge}\"\n\tclean = cat\n");
    std::fs::write(&config, text_of).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::fs::write(origin.path().join(".gitattributes"), "slow filter=slow\n").unwrap();
    commit(origin.path(), "slow");

    let mut first = daemon_with_git(&coordinator, root.path(), &config).await;
    coordinator.ask(text(origin.path()), make("feat/x")).await;
    let begun = tokio::task::spawn_blocking(move || std::fs::read_to_string(pipe));
    assert_eq!(begun.await.unwrap().expect("git is at it"), "up\n");
    first.kill().await.expect("killed");
    std::fs::write(&config, "").unwrap();
    let _second = daemon_with_git(&coordinator, root.path(), &config).await;
    let made = coordinator.worktree(text(origin.path()), make("feat/x")).await;
    let path = PathBuf::from(&made.path);
    assert_eq!((made.uncommitted, path.join("slow").exists()), (0, true), "{made:?}");
    // The checkout of before wrote nothing after that, and is gone.
    std::fs::write(&go, "").unwrap();
    assert_eq!(git(&path, &["status", "--porcelain"]), "");
    coordinator.worktree(text(origin.path()), delete("feat/x", false)).await;
}

/// The record of the one worktree made by hand.
fn record(root: &Path) -> PathBuf {
    let mut records = std::fs::read_dir(root.join("worktrees/.records")).expect("records");
    records.next().expect("a record").expect("an entry").path()
}

#[tokio::test]
async fn what_was_half_made_or_half_removed_is_put_right_and_work_in_the_branch_stays() {
    for state in ["making", "removing"] {
        let (coordinator, root, origin) =
            (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
        let worker = start(&coordinator, root.path()).await;
        let path = with_work(&coordinator, origin.path()).await;
        let head = git(&path, &["rev-parse", "HEAD"]);
        worker.shutdown().await;
        // As a worker leaves it that is killed in the middle.
        let record = record(root.path());
        let json = std::fs::read_to_string(&record).unwrap();
        std::fs::write(&record, json.replace(r#""is":"made""#, &format!(r#""is":"{state}""#))).unwrap();
        std::fs::remove_file(path.join("committed")).unwrap();

        let worker = start(&coordinator, root.path()).await;
        coordinator.with(|state| state.inventories.clear());
        let made = coordinator.worktree(text(origin.path()), make("feat/x")).await;
        assert_eq!((made.path.as_str(), made.uncommitted), (text(&path), 0));
        // What was to be removed is nobody's any more; what was being made went on from a branch that may be someone's.
        assert_eq!(made.head == head.trim(), state == "making", "{state}: {made:?}");
        worker.shutdown().await;
    }
}

#[tokio::test]
async fn files_that_someone_removed_do_not_cost_the_commits() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let path = with_work(&coordinator, origin.path()).await;
    let head = git(&path, &["rev-parse", "HEAD"]);
    std::fs::remove_dir_all(&path).unwrap();
    let made = coordinator.worktree(text(origin.path()), make("feat/x")).await;
    assert_eq!((made.head.as_str(), made.unsaved_commits), (head.trim(), 1));
    worker.shutdown().await;
}
