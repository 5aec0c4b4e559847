//! What the coordinator is told, through broken sessions, lost answers and restarts of the worker.

use factory_proto::v1;

use super::*;

#[tokio::test]
async fn attempts_outlive_their_session() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let go = root.path().join("go");
    let attempt = coordinator.offer(shell(&format!("echo up; {}; echo done", wait_for(&go)))).await;
    coordinator.line(&attempt, "up").await;
    coordinator.started(&attempt).await;
    coordinator.hang_up();
    let held = coordinator.until("a second session", |state| Some(state.hellos.get(1)?.held.clone())).await;
    assert_eq!(held.len(), 1);
    assert_eq!((held[0].attempt_id.as_str(), held[0].phase()), (attempt.as_str(), v1::AttemptPhase::Running));
    std::fs::write(&go, "").unwrap();
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Succeeded);
    worker.drain().await;
    assert_eq!(coordinator.output(&attempt), ["up", "done"]);
    worker.shutdown().await;
}

#[tokio::test]
async fn logs_go_back_to_where_the_coordinator_says() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let go = root.path().join("go");
    let script = format!("seq 1 500; echo up; {}; echo done", wait_for(&go));
    let attempt = coordinator.offer(shell(&script)).await;
    coordinator.line(&attempt, "up").await;
    coordinator.with(|state| state.logs.get_mut(&attempt).unwrap().truncate(100));
    std::fs::write(&go, "").unwrap();
    coordinator.report(&attempt).await;
    worker.drain().await;
    assert!(coordinator.with(|state| state.rewound.contains(&attempt)));
    let expected: Vec<_> =
        (1..=500).map(|n| n.to_string()).chain(["up".to_owned(), "done".to_owned()]).collect();
    assert_eq!(coordinator.output(&attempt), expected);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_report_is_sent_until_it_is_taken() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator.with(|state| state.plan.refuse_reports = 3);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(shell("true")).await;
    coordinator.report(&attempt).await;
    worker.drain().await;
    assert_eq!(coordinator.with(|state| (state.plan.refuse_reports, state.reports.len())), (0, 1));
    worker.shutdown().await;
}

#[tokio::test]
async fn a_running_agent_is_adopted_after_a_restart() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let go = root.path().join("go");
    let attempt = coordinator.offer(shell(&format!("echo up; {}; echo done", wait_for(&go)))).await;
    coordinator.line(&attempt, "up").await;
    let id = worker.id();
    worker.detach().await;
    assert!(processes(&attempt) > 0, "the agent goes on");
    let worker = start(&coordinator, root.path()).await;
    assert_eq!(worker.id(), id);
    let held = coordinator.with(|state| state.hellos[1].held.clone());
    assert_eq!(held.iter().map(|held| held.phase()).collect::<Vec<_>>(), [v1::AttemptPhase::Running]);
    std::fs::write(&go, "").unwrap();
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Succeeded);
    worker.drain().await;
    assert_eq!(coordinator.with(|state| state.reports.len()), 1);
    assert_eq!(coordinator.output(&attempt), ["up", "done"]);
    worker.shutdown().await;
}

#[tokio::test]
async fn what_ended_while_the_worker_was_away_is_reported_once() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let go = root.path().join("go");
    let attempt = coordinator.offer(shell(&format!("echo up; {}; exit 3", wait_for(&go)))).await;
    coordinator.line(&attempt, "up").await;
    worker.detach().await;
    std::fs::write(&go, "").unwrap();
    let worker = start(&coordinator, root.path()).await;
    let report = coordinator.report(&attempt).await;
    assert_eq!((report.outcome(), report.exit_code), (v1::OutcomeKind::Failed, Some(3)));
    worker.shutdown().await;
    let worker = start(&coordinator, root.path()).await;
    worker.drain().await;
    assert_eq!(coordinator.with(|state| state.reports.len()), 1, "nothing is left to report");
    worker.shutdown().await;
}

#[tokio::test]
async fn an_attempt_never_started_runs_only_when_the_coordinator_still_wants_it() {
    for (verdict, reports) in [(v1::Verdict::CarryOn, 1), (v1::Verdict::Superseded, 0)] {
        let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
        coordinator.with(|state| state.plan.confirm = false);
        let worker = start(&coordinator, root.path()).await;
        let attempt = coordinator.offer(shell("true")).await;
        coordinator.until("an acceptance", |state| state.said.get(2).map(|_| ())).await;
        worker.detach().await;
        coordinator.with(|state| {
            state.plan.verdicts.insert(attempt.clone(), verdict);
            state.plan.confirm = true;
        });
        let worker = start(&coordinator, root.path()).await;
        worker.drain().await;
        assert_eq!(coordinator.with(|state| state.reports.len()), reports, "{verdict:?}");
        worker.shutdown().await;
    }
}
