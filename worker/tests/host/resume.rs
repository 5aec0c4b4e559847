//! Going on from an attempt that ended before its task was done: in its workspace, or in one restored.

use factory_proto::v1;

use super::work::{git, notes, origin};
use super::*;

/// Ends in the middle, once: a commit is made, a change is not committed, and the rest is to do.
const STEPS: &str = "write a.txt one\ncommit Add a\nwrite b.txt two\nfail-once the lights went out\n\
    append c.txt three\ncommit Add the rest\nsay all is done";

fn in_repository(origin: &Path, steps: &str) -> v1::TaskSpec {
    v1::TaskSpec { repo: origin.to_str().expect("a path").to_owned(), ..scripted(steps) }
}

/// A coordinator whose tasks are tried again.
async fn coordinator() -> Coordinator {
    let coordinator = Coordinator::start().await;
    coordinator.with(|state| state.plan.tried_again = true);
    coordinator
}

async fn first_attempt(coordinator: &Coordinator, spec: v1::TaskSpec) -> String {
    let attempt = coordinator.offer(spec).await;
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Failed);
    attempt
}

/// What was delivered of a task that was gone on with: all of its work, and nothing of it twice.
fn assert_whole(origin: &Path, report: &v1::Report, base: &str) {
    assert_eq!(report.outcome(), v1::OutcomeKind::Succeeded, "{report:?}");
    assert_eq!(report.result_text, "all is done");
    assert_eq!(report.delivery.as_ref().expect("a delivery").kind(), v1::DeliveryKind::Pushed);
    let subjects: Vec<_> = report.commits.iter().map(|commit| commit.subject.as_str()).collect();
    assert_eq!(subjects, ["Add the rest", "Add a"], "nothing twice, and no leftovers");
    assert_eq!(report.base_commit, base);
    let show = |file: &str| git(origin, &["show", &format!("{}:{file}", report.branch)]);
    assert_eq!(
        (show("a.txt"), show("b.txt"), show("c.txt")),
        ("one\n".into(), "two\n".into(), "three\n".into())
    );
}

#[tokio::test]
async fn an_attempt_goes_on_in_the_same_workspace_with_the_same_conversation() {
    let (coordinator, root, origin) = (coordinator().await, tempfile::tempdir().unwrap(), origin());
    let base = git(origin.path(), &["rev-parse", "HEAD"]).trim().to_owned();
    let worker = start(&coordinator, root.path()).await;
    let spec = v1::TaskSpec { setup: "setup.sh".into(), ..in_repository(origin.path(), STEPS) };
    let first = first_attempt(&coordinator, spec.clone()).await;
    coordinator.with(|state| state.plan.tried_again = false);
    let second = coordinator.offer_next(spec, &first, v1::Conversation::Resume).await;
    let report = coordinator.report(&second).await;
    worker.drain().await;

    assert_whole(origin.path(), &report, &base);
    let told = notes(&coordinator, &second);
    assert!(told.contains("struck by lightning") && told.contains("in the same workspace"), "{told}");
    assert!(!told.contains("set-up"), "it was set up already: {told}");
    let output = coordinator.output(&second).concat();
    assert!(output.contains("I go on after 3 of 7 steps."), "{output}");
    for left in ["workspaces", "kept", "spool"] {
        assert_eq!(entries(&root.path().join(left)), 0, "{left}");
    }
    worker.shutdown().await;
}

#[tokio::test]
async fn on_another_host_the_saved_work_and_conversation_are_restored() {
    let (coordinator, origin) = (coordinator().await, origin());
    let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let base = git(origin.path(), &["rev-parse", "HEAD"]).trim().to_owned();
    let worker = start(&coordinator, here.path()).await;
    let spec = in_repository(origin.path(), STEPS);
    let first = first_attempt(&coordinator, spec.clone()).await;
    worker.shutdown().await;
    git(origin.path(), &["commit", "--quiet", "--allow-empty", "--message=Others go on"]);

    coordinator.with(|state| state.plan.tried_again = false);
    let worker = start(&coordinator, elsewhere.path()).await;
    let second = coordinator.offer_next(spec, &first, v1::Conversation::Resume).await;
    let report = coordinator.report(&second).await;
    worker.drain().await;
    assert_whole(origin.path(), &report, &base);
    let told = notes(&coordinator, &second);
    assert!(told.contains("with the work saved at") && told.contains("resumes its conversation"), "{told}");
    assert!(
        report.branch.contains(&second[..8]) || report.branch.starts_with("factory/"),
        "{}",
        report.branch
    );
    worker.shutdown().await;
}

#[tokio::test]
async fn without_a_repository_files_are_restored_as_well() {
    let coordinator = coordinator().await;
    let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let worker = start(&coordinator, here.path()).await;
    let spec = scripted("write dir/a.txt one\nfail-once the lights went out\nwrite b.txt two\nsay done");
    let first = first_attempt(&coordinator, spec.clone()).await;
    worker.shutdown().await;
    let worker = start(&coordinator, elsewhere.path()).await;
    let second = coordinator.offer_next(spec, &first, v1::Conversation::Resume).await;
    assert_eq!(coordinator.report(&second).await.outcome(), v1::OutcomeKind::Succeeded);
    let kept =
        |name: &str| coordinator.with(|state| state.files.contains_key(&(second.clone(), name.into())));
    assert!(kept("dir/a.txt") && kept("b.txt"));
    assert!(coordinator.output(&second).concat().contains("I go on after 1 of 4 steps."));
    worker.shutdown().await;
}

#[tokio::test]
async fn where_nothing_was_saved_the_attempt_begins_afresh_and_says_so() {
    let (coordinator, origin) = (coordinator().await, origin());
    let (here, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let worker = start(&coordinator, here.path()).await;
    let spec = in_repository(origin.path(), STEPS);
    let first = first_attempt(&coordinator, spec.clone()).await;
    worker.shutdown().await;
    coordinator.with(|state| state.checkpoints.clear());
    let worker = start(&coordinator, elsewhere.path()).await;
    let second = coordinator.offer_next(spec, &first, v1::Conversation::Resume).await;
    let report = coordinator.report(&second).await;
    assert_eq!(report.outcome(), v1::OutcomeKind::Succeeded, "{report:?}");
    assert_eq!(report.commits.len(), 2);
    let told = notes(&coordinator, &second);
    assert!(told.contains("afresh, since its work could not be had"), "{told}");
    assert!(!coordinator.output(&second).concat().contains("I go on after"), "nobody claims to remember");
    worker.shutdown().await;
}

#[tokio::test]
async fn a_new_conversation_in_the_same_workspace_is_told_of_the_past() {
    let (coordinator, root) = (coordinator().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let spec = scripted("write a.txt one\nfail it is all too much");
    let first = first_attempt(&coordinator, spec.clone()).await;
    let second = coordinator.offer_next(spec, &first, v1::Conversation::Afresh).await;
    assert_eq!(coordinator.report(&second).await.outcome(), v1::OutcomeKind::Failed);
    let transcript = coordinator.with(|state| {
        let number = state.newest_checkpoint(&second).expect("a checkpoint").number;
        state.files[&(second.clone(), format!("transcript {number}"))].clone()
    });
    let transcript = String::from_utf8_lossy(&transcript).into_owned();
    assert!(transcript.contains("You do not have its conversation"), "{transcript}");
    assert!(transcript.contains(&first), "its directory is the first attempt's: {transcript}");
    worker.shutdown().await;
}

#[tokio::test]
async fn an_agent_without_conversations_begins_afresh_as_ever() {
    let (coordinator, root) = (coordinator().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let spec = shell("test ! -e made && touch made && exit 3");
    let first = first_attempt(&coordinator, spec.clone()).await;
    let second = coordinator.offer_next(spec, &first, v1::Conversation::Resume).await;
    assert_eq!(coordinator.report(&second).await.exit_code, Some(3), "its workspace is empty");
    worker.drain().await;
    assert_eq!(entries(&root.path().join("workspaces")), 0);
    assert!(coordinator.with(|state| state.checkpoints.is_empty()));
    worker.shutdown().await;
}

#[tokio::test]
async fn an_attempt_caught_in_preparation_by_a_restart_is_prepared_again() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let wait = waiter(root.path());
    let script = format!("#!/bin/sh\necho preparing\nexec '{}'\n", wait.display());
    std::fs::write(origin.path().join("setup.sh"), script).expect("written");
    git(origin.path(), &["add", "."]);
    git(origin.path(), &["update-index", "--chmod=+x", "setup.sh"]);
    git(origin.path(), &["commit", "--quiet", "--message=Wait"]);
    let worker = start(&coordinator, root.path()).await;
    let spec = v1::TaskSpec { setup: "setup.sh".into(), ..in_repository(origin.path(), "say done") };
    let attempt = coordinator.offer(spec).await;
    coordinator.line(&attempt, "preparing").await;
    worker.detach().await;
    std::fs::write(root.path().join("go"), "").expect("written");
    let worker = start(&coordinator, root.path()).await;
    let report = coordinator.report(&attempt).await;
    assert_eq!(report.outcome(), v1::OutcomeKind::Succeeded, "{report:?}");
    worker.drain().await;
    assert_eq!(entries(&root.path().join("workspaces")), 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn the_work_of_a_superseded_attempt_is_saved_and_then_goes() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let wait = waiter(root.path());
    let steps = format!("write a.txt one\ncommit Add a\nsay saved\nrun {}", wait.display());
    let attempt = coordinator.offer(in_repository(origin.path(), &steps)).await;
    coordinator
        .until("its words", |state| {
            let log = state.logs.get(&attempt)?;
            log.iter().find(|record| String::from_utf8_lossy(&record.data).contains("saved")).map(|_| ())
        })
        .await;
    coordinator.with(|state| state.plan.verdicts.insert(attempt.clone(), v1::Verdict::Superseded));
    worker.drain().await;
    let bundle = (attempt.clone(), "commits.bundle".to_owned());
    assert!(
        coordinator.with(|state| state.files.contains_key(&bundle)),
        "its commits are with the coordinator"
    );
    assert!(coordinator.with(|state| state.newest_checkpoint(&attempt)).is_some());
    assert_eq!(git(origin.path(), &["branch", "--list", "factory/*"]), "", "and were not pushed");
    for left in ["workspaces", "kept", "spool"] {
        assert_eq!(entries(&root.path().join(left)), 0, "{left}");
    }
    worker.shutdown().await;
}
