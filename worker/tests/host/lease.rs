//! From offer to end: accepting, declining, running, stopping.

use factory_domain::FailureReason;
use factory_proto::v1;
use factory_proto::v1::session_request::Message as Said;
use factory_proto::v1::session_response::Message as Say;
use factory_worker::{StartError, Worker};
use tonic::Status;

use super::*;

fn reason(report: &v1::Report) -> FailureReason {
    let failure = report.failure.as_ref().expect("a failure");
    failure.reason.parse().expect("a known reason")
}

#[tokio::test]
async fn an_offer_becomes_a_run_a_log_and_a_report() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(shell("echo one; echo made > made.txt; echo two")).await;
    let report = coordinator.report(&attempt).await;
    assert_eq!(report.outcome(), v1::OutcomeKind::Succeeded, "{report:?}");
    assert_eq!(report.exit_code, Some(0));
    worker.drain().await;

    assert_eq!(coordinator.output(&attempt), ["one", "two"]);
    let records = coordinator.with(|state| state.logs[&attempt].len());
    assert_eq!(records as u64, report.log_records, "the report knows the log's end");
    let made = coordinator.with(|state| state.files.get(&(attempt.clone(), "made.txt".into())).cloned());
    assert_eq!(made.as_deref(), Some(&b"made\n"[..]));
    let said = coordinator.with(|state| {
        let told = state.said.iter().filter(|said| !matches!(said, Said::Credits(_)));
        told.map(|said| matches!(said, Said::Accept(_))).collect::<Vec<_>>()
    });
    assert_eq!(said, [true, false], "accepted, then started");
    assert_eq!(entries(&root.path().join("spool")) + entries(&root.path().join("workspaces")), 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn credits_follow_the_slots() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let go = root.path().join("go");
    let attempt = coordinator.offer(shell(&wait_for(&go))).await;
    coordinator.started(&attempt).await;
    std::fs::write(&go, "").unwrap();
    coordinator.report(&attempt).await;
    let told = |state: &coordinator::State| {
        let credits = state.said.iter().filter_map(|said| match said {
            Said::Credits(credits) => Some(credits.free_slots),
            _ => None,
        });
        let credits: Vec<_> = credits.collect();
        (credits.len() == 3).then_some(credits)
    };
    assert_eq!(coordinator.until("the slot given back", told).await, [2, 1, 2]);
    let order = coordinator.with(|state| {
        let accept = state.said.iter().position(|said| matches!(said, Said::Accept(_)));
        let lower = state
            .said
            .iter()
            .position(|said| matches!(said, Said::Credits(credits) if credits.free_slots == 1));
        (lower, accept)
    });
    assert!(order.0 < order.1, "the slot is taken before the acceptance is read: {order:?}");
    worker.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_done_here_is_declined_with_its_reason() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let claude = v1::TaskSpec { prompt: "Do it".into(), ..v1::TaskSpec::default() };
    let declined = coordinator.offer(claude).await;
    assert!(coordinator.declined(&declined).await.contains("claude"));

    let away = v1::TaskSpec { repo: "/nowhere/at/all".into(), ..shell("true") };
    let declined = coordinator.offer(away).await;
    assert!(coordinator.declined(&declined).await.contains("/nowhere/at/all"));

    let go = root.path().join("go");
    for _ in 0..2 {
        let busy = coordinator.offer(shell(&wait_for(&go))).await;
        coordinator.started(&busy).await;
    }
    let declined = coordinator.offer(shell("true")).await;
    assert!(coordinator.declined(&declined).await.contains("slots"));
    std::fs::write(&go, "").unwrap();
    worker.shutdown().await;
}

#[tokio::test]
async fn a_full_disk_declines() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let mut config = config(&coordinator, root.path());
    config.min_free_disk = u64::MAX;
    let worker = Worker::start(config).await.expect("a worker");
    let declined = coordinator.offer(shell("true")).await;
    assert!(coordinator.declined(&declined).await.contains("disk"));
    worker.shutdown().await;
}

#[tokio::test]
async fn nothing_runs_before_the_acceptance_is_confirmed() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator.with(|state| state.plan.confirm = false);
    let worker = start(&coordinator, root.path()).await;
    let made = root.path().join("made");
    let attempt = coordinator.offer(shell(&format!("touch '{}'", made.display()))).await;
    let accepted = |state: &coordinator::State| {
        state.said.iter().find(|said| matches!(said, Said::Accept(_))).map(|_| ())
    };
    coordinator.until("an acceptance", accepted).await;
    let withdraw = v1::Withdraw { attempt_id: attempt.clone(), why: "too late".into() };
    coordinator.say(Say::Withdraw(withdraw)).await;
    worker.drain().await;
    assert!(!made.exists());
    assert!(coordinator.with(|state| state.reports.is_empty()), "nobody wants to hear of it");
    assert_eq!(entries(&root.path().join("spool")), 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_stop_ends_the_agent_and_all_its_processes() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let script = "trap '' TERM; setsid sleep 1000 & sleep 1000 & echo up; wait; wait";
    let attempt = coordinator.offer(shell(script)).await;
    coordinator.line(&attempt, "up").await;
    assert!(processes(&attempt) >= 3);
    coordinator.say(Say::Stop(v1::Stop { attempt_id: attempt.clone() })).await;
    let report = coordinator.report(&attempt).await;
    assert_eq!(report.outcome(), v1::OutcomeKind::Cancelled);
    assert_eq!(processes(&attempt), 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn the_heartbeat_brings_the_same_wishes() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let cancelled = coordinator.offer(shell("echo up; sleep 1000")).await;
    let superseded = coordinator.offer(shell("echo up; sleep 1000")).await;
    coordinator.line(&cancelled, "up").await;
    coordinator.line(&superseded, "up").await;
    coordinator.with(|state| {
        state.plan.verdicts.insert(cancelled.clone(), v1::Verdict::Cancel);
        state.plan.verdicts.insert(superseded.clone(), v1::Verdict::Superseded);
    });
    assert_eq!(coordinator.report(&cancelled).await.outcome(), v1::OutcomeKind::Cancelled);
    worker.drain().await;
    assert_eq!(coordinator.report(&superseded).await.outcome(), v1::OutcomeKind::Cancelled);
    assert_eq!(processes(&superseded), 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn limits_of_time_end_the_agent_with_their_reason() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let deaf = "trap '' TERM; setsid sh -c \"trap '' TERM; sleep 1000\" & echo up; ";
    let busy = shell(&format!("{deaf} while :; do echo x; sleep 0.05; done"));
    let total = coordinator.offer(v1::TaskSpec { timeout_ms: Some(300), ..busy }).await;
    let still = shell(&format!("{deaf} sleep 1000; sleep 1000"));
    let idle = coordinator.offer(v1::TaskSpec { idle_timeout_ms: Some(300), ..still }).await;
    for (attempt, expected) in [(total, FailureReason::TimeoutTotal), (idle, FailureReason::TimeoutIdle)] {
        assert_eq!(reason(&coordinator.report(&attempt).await), expected);
        assert_eq!(processes(&attempt), 0);
    }
    worker.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_stays_after_its_result_is_ended_and_the_result_stands() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let mut config = config(&coordinator, root.path());
    config.linger_timeout = Duration::from_millis(300);
    let worker = Worker::start(config).await.expect("a worker");
    let stays = |last: &str| v1::TaskSpec {
        agent: "scripted".into(),
        prompt: format!("orphan\nlinger 1000000\n{last}"),
        // Passed as well meanwhile, and no failure any more.
        idle_timeout_ms: Some(200),
        ..v1::TaskSpec::default()
    };
    let done = coordinator.offer(stays("say All is well.")).await;
    let failed = coordinator.offer(stays("fail It broke.")).await;
    let report = coordinator.report(&done).await;
    assert_eq!((report.outcome(), report.result_text.as_str()), (v1::OutcomeKind::Succeeded, "All is well."));
    assert_eq!(reason(&coordinator.report(&failed).await), FailureReason::AgentError);
    assert_eq!(processes(&done) + processes(&failed), 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_uses_more_tokens_than_it_has_is_ended_with_all_its_processes() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let spec = |budget_tokens, then: &str| v1::TaskSpec {
        agent: "scripted".into(),
        prompt: format!("orphan\ntokens 600\ntokens 600\n{then}"),
        budget_tokens: Some(budget_tokens),
        ..v1::TaskSpec::default()
    };
    let within = coordinator.offer(spec(1_200, "say done")).await;
    assert_eq!(coordinator.report(&within).await.outcome(), v1::OutcomeKind::Succeeded);
    let beyond = coordinator.offer(spec(1_000, "sleep 1000000")).await;
    let report = coordinator.report(&beyond).await;
    assert_eq!(reason(&report), FailureReason::Budget);
    assert!(report.failure.expect("one").message.contains("used 1200 tokens"));
    assert_eq!(processes(&beyond), 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_worker_that_is_not_heard_fences_itself_off() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator.with(|state| state.plan.terms.lost_after_ms = 2_000);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(shell("echo up; sleep 1000")).await;
    coordinator.line(&attempt, "up").await;
    coordinator.with(|state| state.plan.refuse_heartbeats = true);
    assert_eq!(reason(&coordinator.report(&attempt).await), FailureReason::WorkerLost);
    assert_eq!(processes(&attempt), 0);
    worker.shutdown().await;
}

#[tokio::test]
async fn a_drain_with_a_deadline_hands_over_what_still_runs_then() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let drain = |draining, hand_over_after_ms| Say::Drain(v1::Drain { draining, hand_over_after_ms });
    let attempt = coordinator.offer(shell("echo up; sleep 1000")).await;
    coordinator.line(&attempt, "up").await;
    coordinator.say(drain(true, 3_600_000)).await;
    coordinator.say(drain(false, 0)).await;
    let other = coordinator.offer(shell("echo up; sleep 1000")).await;
    coordinator.line(&other, "up").await;
    // Said again with a Welcome, as a restarted coordinator does.
    coordinator.with(|state| {
        (state.plan.terms.draining, state.plan.terms.hand_over_after_ms) = (true, 200);
    });
    coordinator.hang_up();
    for attempt in [attempt, other] {
        assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::HandedOver);
        assert_eq!(processes(&attempt), 0);
    }
    assert!(worker.is_drained_by_coordinator(), "and it stays, to be resumed");
    worker.shutdown().await;
}

#[tokio::test]
async fn a_refused_worker_says_so_and_ends() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    coordinator
        .with(|state| state.plan.refuse_sessions = Some(Status::unauthenticated("the token is wrong")));
    match Worker::start(config(&coordinator, root.path())).await {
        Err(StartError::Refused { why, .. }) => assert!(why.contains("the token is wrong"), "{why}"),
        other => panic!("{:?}", other.map(|worker| worker.id())),
    }
}
