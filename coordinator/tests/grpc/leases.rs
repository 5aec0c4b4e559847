//! Sessions: offers, credits, answers, reports, and what becomes of each.

use std::collections::HashMap;
use std::time::Duration;

use factory_proto::v1;
use factory_proto::v1::session_request::Message as Say;
use factory_proto::v1::session_response::Message as Heard;
use tonic::Code;
use uuid::Uuid;

use crate::setup::{Factory, Worker, failed, hello, prompt, soon, succeeded};

#[tokio::test]
async fn a_task_goes_from_offer_to_result() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    assert_eq!((offer.task_id.as_str(), offer.attempt_number), (task.id.as_str(), 1));
    assert_eq!(worker.report(&offer, succeeded(0)).await, v1::ReportVerdict::Accepted);
    assert_eq!(worker.report(&offer, succeeded(0)).await, v1::ReportVerdict::Duplicate);

    let seen = factory.get(&task.id).await;
    let ended = seen.task.expect("a task");
    assert_eq!(ended.state(), v1::TaskState::Succeeded);
    assert_eq!(ended.report.expect("a report").result_text, "Done");
    assert_eq!(ended.worker_name, "hand");
    assert_eq!(seen.attempts.len(), 1);
}

#[tokio::test]
async fn no_more_is_offered_than_there_is_credit_for() {
    let factory = Factory::start().await;
    factory.try_submit((0..3).map(|n| prompt(&format!("task {n}"))).collect()).await.expect("accepted");
    let mut worker = Worker::connect(&factory.client).await;
    worker.credits(2).await;
    let (first, second) = (worker.offer().await, worker.offer().await);
    assert_ne!(first.task_id, second.task_id);
    // As a worker does: its credits first, then the acceptance. An offer in excess would come before the answer.
    worker.credits(1).await;
    assert!(matches!(worker.accept(&first).await, Heard::Confirm(_)));
    worker.credits(0).await;
    assert!(matches!(worker.accept(&second).await, Heard::Confirm(_)));
    worker.report(&first, succeeded(0)).await;
    worker.credits(1).await;
    assert_eq!(worker.offer().await.task_number, 3);
}

#[tokio::test]
async fn a_burst_is_spread_over_the_workers() {
    let factory = Factory::start().await;
    let mut workers = Vec::new();
    for name in ["a", "b"] {
        let labels: HashMap<_, _> = [("name".to_owned(), name.to_owned())].into();
        let hello = v1::Hello { labels: labels.clone(), ..hello(Uuid::now_v7()) };
        let mut worker = Worker::connect_as(&factory.client, hello).await.expect("welcome");
        worker.credits(4).await;
        // An offer shows that its credits were heard.
        factory.submit(v1::TaskSpec { labels, ..prompt("only for this one") }).await;
        let offer = worker.offer().await;
        worker.accept(&offer).await;
        workers.push(worker);
    }
    factory.try_submit((0..4).map(|n| prompt(&format!("task {n}"))).collect()).await.expect("accepted");
    for worker in &mut workers {
        for _ in 0..2 {
            worker.offer().await;
        }
    }
}

#[tokio::test]
async fn a_declined_task_goes_to_another_worker_and_the_reason_is_shown() {
    let factory = Factory::start().await;
    let mut full = Worker::connect(&factory.client).await;
    full.credits(1).await;
    let task = factory.submit(prompt("Work")).await;
    let offer = full.offer().await;
    let decline = v1::Decline {
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
        why: "the disk is full".into(),
        cool_down_ms: 60_000,
    };
    full.say(Say::Decline(decline)).await;
    let mut other = Worker::connect(&factory.client).await;
    let again = other.run().await;
    assert_eq!((again.task_id.as_str(), again.attempt_number), (task.id.as_str(), 2));
    let attempts = factory.get(&task.id).await.attempts;
    assert_eq!(
        (attempts[0].state.as_str(), attempts[0].returned_because.as_str()),
        ("returned", "the disk is full")
    );
    let workers = soon(factory.client.fleet().list_workers(v1::ListWorkersRequest {})).await.expect("a list");
    let workers = workers.into_inner().workers;
    assert!(workers.iter().all(|worker| worker.connected));
    assert!(workers.iter().any(|worker| worker.last_decline == "the disk is full"), "{workers:?}");
}

#[tokio::test]
async fn an_offer_nobody_answers_lapses_and_costs_nothing() {
    let factory = Factory::start_with(|config| config.rules.terms.offer = Duration::from_millis(50)).await;
    let mut worker = Worker::connect(&factory.client).await;
    worker.credits(1).await;
    let task = factory.submit(prompt("Work")).await;
    let first = worker.offer().await;
    let second = worker.offer().await;
    assert_eq!((second.task_id.as_str(), second.attempt_number), (task.id.as_str(), 2));
    assert!(matches!(worker.accept(&first).await, Heard::Withdraw(_)));
    assert_eq!(factory.get(&task.id).await.task.expect("a task").infrastructure_failures, 0);
}

#[tokio::test]
async fn a_lost_attempts_report_is_superseded() {
    let factory = Factory::start_with(|config| {
        config.rules.terms.heartbeat = Duration::from_millis(10);
        config.rules.terms.lease = Duration::from_millis(20);
        config.rules.terms.lost_after = Duration::from_millis(20);
        config.rules.backoff.base = Duration::from_millis(1);
    })
    .await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    let lost = worker.run().await;
    let again = worker.run().await;
    assert_eq!(again.task_id, task.id);
    assert_eq!(worker.report(&lost, succeeded(0)).await, v1::ReportVerdict::Superseded);
    let ack = worker.push(&lost, 0, &["too late"]).await;
    assert!(ack.closed && ack.next_offset == 0, "{ack:?}");
}

#[tokio::test]
async fn a_cancel_reaches_the_worker_and_waits_for_its_word() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    let cancel = v1::CancelRequest { task: task.id.clone(), with_children: false };
    let cancelling = soon(factory.client.tasks().cancel(cancel)).await.expect("taken");
    assert_eq!(cancelling.into_inner().task.expect("a task").state(), v1::TaskState::Cancelling);
    match worker.hear().await {
        Ok(Some(Heard::Stop(stop))) => assert_eq!(stop.attempt_id, offer.attempt_id),
        other => panic!("instead of a stop: {other:?}"),
    }
    let report = v1::Report { outcome: v1::OutcomeKind::Cancelled.into(), ..Default::default() };
    assert_eq!(worker.report(&offer, report).await, v1::ReportVerdict::Accepted);
    assert_eq!(factory.state(&task.id).await, v1::TaskState::Cancelled);
}

#[tokio::test]
async fn an_offer_of_a_cancelled_task_is_withdrawn_when_accepted() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    worker.credits(1).await;
    let task = factory.submit(prompt("Work")).await;
    let offer = worker.offer().await;
    soon(factory.client.tasks().cancel(v1::CancelRequest { task: task.id.clone(), with_children: false }))
        .await
        .expect("taken");
    assert!(matches!(worker.hear().await, Ok(Some(Heard::Stop(_)))));
    assert!(matches!(worker.accept(&offer).await, Heard::Withdraw(_)));
    assert_eq!(factory.state(&task.id).await, v1::TaskState::Cancelled);
}

#[tokio::test]
async fn a_failed_task_is_tried_again_after_its_pause() {
    let factory = Factory::start_with(|config| config.rules.backoff.base = Duration::from_millis(5)).await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(v1::TaskSpec { max_attempts: Some(2), ..prompt("Work") }).await;
    for number in 1..=2 {
        let offer = worker.run().await;
        assert_eq!(offer.attempt_number, number);
        worker.report(&offer, failed("agent_error", 0)).await;
    }
    let ended = factory.get(&task.id).await.task.expect("a task");
    assert_eq!(ended.state(), v1::TaskState::Failed);
    assert_eq!(ended.failure.expect("a failure").reason, "agent_error");
}

#[tokio::test]
async fn a_pause_says_which_try_comes_next_and_how_many_there_are() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    for (reason, next) in [("repository_unavailable", "try 2 of 10"), ("agent_error", "try 2 of 3")] {
        let task = factory.submit(prompt("Work")).await;
        let offer = worker.run().await;
        worker.report(&offer, failed(reason, 0)).await;
        let parked = factory.get(&task.id).await.task.expect("a task");
        assert_eq!((parked.state(), parked.waiting_for.as_str()), (v1::TaskState::Parked, next));
        assert_eq!(parked.failure.expect("what came before").reason, reason);
    }
}

#[tokio::test]
async fn a_worker_that_comes_back_is_told_to_carry_on_with_what_it_holds() {
    let factory = Factory::start().await;
    let id = Uuid::now_v7();
    let mut worker = Worker::connect_as(&factory.client, hello(id)).await.expect("welcome");
    let task = factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    drop(worker);

    let factory = factory.restart().await;
    let held = v1::HeldAttempt {
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
        phase: v1::AttemptPhase::Running.into(),
    };
    let stranger = v1::HeldAttempt { attempt_id: Uuid::now_v7().to_string(), ..held.clone() };
    let back = v1::Hello { held: vec![held, stranger], ..hello(id) };
    let worker = Worker::connect_as(&factory.client, back.clone()).await.expect("welcome");
    let verdicts: Vec<_> =
        worker.welcome.verdicts.iter().map(|v| (v.attempt_id.clone(), v.verdict())).collect();
    assert!(verdicts.contains(&(offer.attempt_id.clone(), v1::Verdict::CarryOn)), "{verdicts:?}");
    assert!(verdicts.contains(&(back.held[1].attempt_id.clone(), v1::Verdict::Superseded)), "{verdicts:?}");
    assert_eq!(factory.state(&task.id).await, v1::TaskState::Running);
    let beat = worker.heartbeat(&back.session_id, vec![back.held[0].clone()]).await;
    assert_eq!(beat[0].verdict(), v1::Verdict::CarryOn);
    assert_eq!(worker.report(&offer, succeeded(0)).await, v1::ReportVerdict::Accepted);
}

#[tokio::test]
async fn a_newer_session_takes_the_place_of_the_older_and_not_the_other_way_round() {
    let factory = Factory::start().await;
    let id = Uuid::now_v7();
    let (older, newer) = (hello(id), hello(id));
    let mut first = Worker::connect_as(&factory.client, older.clone()).await.expect("welcome");
    let _second = Worker::connect_as(&factory.client, newer).await.expect("welcome");
    assert_eq!(first.hear().await.expect_err("ended").code(), Code::Aborted);
    let refused = Worker::connect_as(&factory.client, older).await.err().expect("refused");
    assert_eq!(refused.code(), Code::Aborted);
}

#[tokio::test]
async fn a_stop_ends_open_sessions_at_once() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    soon(factory.coordinator.shutdown()).await;
    assert_eq!(worker.hear().await.expect_err("ended").code(), Code::Unavailable);
}
