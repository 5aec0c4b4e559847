//! Coordinators of other releases.

use factory_worker::StartError;

use super::*;

/// What a coordinator of protocol 1 says of the version it speaks: nothing.
const PROTOCOL_1: u32 = 0;

#[tokio::test]
async fn a_coordinator_of_protocol_1_finds_its_version_in_hello() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator.with(|state| state.plan.terms.protocol = PROTOCOL_1);
    let worker = start(&coordinator, root.path()).await;
    // It takes a worker that says just this.
    assert_eq!(coordinator.with(|state| state.hellos[0].protocol), 1);
    let attempt = coordinator.offer(shell("echo done")).await;
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Succeeded);
    worker.drain().await;
    worker.shutdown().await;
}

#[tokio::test]
async fn a_coordinator_of_protocol_1_hears_of_a_hand_over_what_it_knows() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator.with(|state| state.plan.terms.protocol = PROTOCOL_1);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(shell("echo up; sleep 1000")).await;
    coordinator.line(&attempt, "up").await;
    worker.shutdown().await;
    let report = coordinator.report(&attempt).await;
    assert_eq!(report.outcome(), v1::OutcomeKind::Failed);
    assert_eq!(report.failure.map(|failure| failure.reason).as_deref(), Some("worker_error"));
}

#[tokio::test]
async fn a_coordinator_that_settles_on_a_version_not_spoken_here_is_left_with_a_reason() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator.with(|state| {
        state.plan.terms.protocol = 99;
        state.plan.terms.version = "9.9.9".to_owned();
    });
    let refused = Worker::start(config(&coordinator, root.path())).await.err().expect("refused");
    assert!(matches!(refused, StartError::Refused { .. }), "{refused:?}");
    let why = refused.to_string();
    assert!(why.contains("9.9.9") && why.contains("99") && why.contains("upgrade the worker"), "{why}");
}

#[tokio::test]
async fn what_a_later_coordinator_says_beyond_is_passed_over() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    coordinator.say_something_of_later().await;
    let go = root.path().join("go");
    let attempt = coordinator.offer(shell(&format!("echo up; {}", wait_for(&go)))).await;
    coordinator.line(&attempt, "up").await;
    // Verdicts that nobody here knows neither end the agent nor count as no answer.
    coordinator.with(|state| {
        state.plan.verdicts_of_later = true;
        state.heartbeats.clear();
    });
    coordinator.until("heartbeats", |state| (state.heartbeats.len() > 3).then_some(())).await;
    std::fs::write(&go, "").unwrap();
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Succeeded);
    assert_eq!(coordinator.with(|state| state.hellos.len()), 1, "the session went on");
    worker.drain().await;
    worker.shutdown().await;
}
