//! What is brought to the coordinator of an attempt, so that another can go on from it.

use factory_proto::v1;

use super::work::{git, origin};
use super::*;

async fn start_with_interval(coordinator: &Coordinator, root: &Path, millis: u64) -> Worker {
    let mut config = config(coordinator, root);
    config.checkpoint_interval = Duration::from_millis(millis);
    Worker::start(config).await.expect("a worker")
}

fn of(state: &coordinator::State, attempt: &str) -> Vec<v1::Checkpoint> {
    let own = state.checkpoints.iter().filter(|request| request.attempt_id == attempt);
    own.map(|request| request.checkpoint.clone().expect("a checkpoint has content")).collect()
}

/// Waits for a checkpoint whose transcript holds the words.
async fn remembering(coordinator: &Coordinator, attempt: &str, words: &str) -> v1::Checkpoint {
    coordinator
        .until(&format!("a checkpoint that remembers {words}"), |state| {
            let remembers = |checkpoint: &v1::Checkpoint| {
                let name = (attempt.to_owned(), format!("transcript {}", checkpoint.number));
                let transcript = state.files.get(&name)?;
                String::from_utf8_lossy(transcript).contains(words).then_some(())
            };
            of(state, attempt).into_iter().find(|checkpoint| remembers(checkpoint).is_some())
        })
        .await
}

#[tokio::test]
async fn a_running_agents_work_and_conversation_are_brought_to_the_coordinator() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start_with_interval(&coordinator, root.path(), 50).await;
    let wait = waiter(root.path());
    let steps = format!("write draft.txt a draft\nrun {}\nsay done", wait.display());
    let spec = v1::TaskSpec { repo: origin.path().to_str().unwrap().into(), ..scripted(&steps) };
    let attempt = coordinator.offer(spec).await;
    let checkpoint = remembering(&coordinator, &attempt, r#"{"done":1}"#).await;
    std::fs::write(root.path().join("go"), "").unwrap();
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Succeeded);
    worker.drain().await;

    let snapshot = checkpoint.snapshot.expect("there was a change");
    assert_eq!(snapshot.base, git(origin.path(), &["rev-parse", "HEAD"]).trim());
    assert_eq!(snapshot.base, snapshot.tip, "nothing was committed");
    let bundle = root.path().join("work.bundle");
    let name = (attempt.clone(), format!("work {}", checkpoint.number));
    std::fs::write(&bundle, coordinator.with(|state| state.files[&name].clone())).unwrap();
    git(
        origin.path(),
        &["fetch", "--quiet", bundle.to_str().unwrap(), "refs/factory/checkpoints/*:refs/seen/*"],
    );
    assert_eq!(git(origin.path(), &["show", &format!("{}:draft.txt", snapshot.commit)]), "a draft\n");
    assert!(checkpoint.branch.starts_with("factory/"), "{}", checkpoint.branch);

    let all = coordinator.with(|state| of(state, &attempt));
    let numbers: Vec<_> = all.iter().map(|checkpoint| checkpoint.number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    for pair in all.windows(2) {
        let transcript = |of: &v1::Checkpoint| {
            let name = (attempt.clone(), format!("transcript {}", of.number));
            coordinator.with(|state| state.files.get(&name).cloned())
        };
        let changed = pair[0].snapshot != pair[1].snapshot || transcript(&pair[0]) != transcript(&pair[1]);
        assert!(changed, "what has not changed is not sent: {pair:?}");
    }
    worker.shutdown().await;
}

#[tokio::test]
async fn the_last_one_comes_before_the_report_where_the_agent_did_not_succeed() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start_with_interval(&coordinator, root.path(), 0).await;
    let repo = origin.path().to_str().unwrap().to_owned();
    let steps = "write draft.txt a draft\nfail it is all too much";
    let in_repository = coordinator.offer(v1::TaskSpec { repo, ..scripted(steps) }).await;
    let without = coordinator.offer(scripted(steps)).await;
    for attempt in [&in_repository, &without] {
        assert_eq!(coordinator.report(attempt).await.outcome(), v1::OutcomeKind::Failed);
        let all = coordinator.with(|state| of(state, attempt));
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all[0].has_transcript && all[0].snapshot.is_some());
    }
    let report = coordinator.report(&in_repository).await;
    assert_eq!(report.commits.len(), 1, "the report has the leftovers as a commit");
    let snapshot = coordinator.with(|state| of(state, &in_repository)[0].snapshot.clone()).unwrap();
    assert_eq!(snapshot.tip, snapshot.base, "and the checkpoint has them as the agent left them");

    let good = coordinator.offer(scripted("write draft.txt a draft")).await;
    assert_eq!(coordinator.report(&good).await.outcome(), v1::OutcomeKind::Succeeded);
    assert_eq!(coordinator.with(|state| of(state, &good)), [], "nobody goes on from a success");
    worker.shutdown().await;
}

#[tokio::test]
async fn numbers_go_on_after_a_restart_of_the_worker() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start_with_interval(&coordinator, root.path(), 50).await;
    let wait = waiter(root.path());
    let steps = format!("write a.txt a\nrun {}\nwrite b.txt b\nfail on purpose", wait.display());
    let attempt = coordinator.offer(scripted(&steps)).await;
    let before = remembering(&coordinator, &attempt, r#"{"done":1}"#).await;
    worker.detach().await;
    std::fs::write(root.path().join("go"), "").unwrap();
    let worker = start_with_interval(&coordinator, root.path(), 0).await;
    let after = remembering(&coordinator, &attempt, r#"{"done":3}"#).await;
    assert!(after.number > before.number, "{before:?} {after:?}");
    coordinator.report(&attempt).await;
    worker.shutdown().await;
}
