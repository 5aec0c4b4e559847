//! What a worker and a person are told of an attempt that goes on from another.

use std::time::Duration;

use factory_proto::v1;

use crate::setup::{Factory, Worker, failed, prompt, succeeded};

/// By an agent that had a conversation: the report can overtake the word that it started.
fn broke() -> v1::Report {
    v1::Report { agent_session: "a-session".to_owned(), ..failed("worker_error", 0) }
}

#[tokio::test]
async fn an_offer_says_what_it_goes_on_from_and_a_report_whether_anything_will() {
    let factory = Factory::start_with(|config| config.rules.backoff.base = Duration::ZERO).await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(v1::TaskSpec { max_attempts: Some(2), ..prompt("Work") }).await;

    let first = worker.run().await;
    assert_eq!(first.continues, None);
    let answer = worker.report_in_full(&first, broke()).await;
    assert_eq!((answer.verdict(), answer.task_ended), (v1::ReportVerdict::Accepted, false));
    let again = worker.report_in_full(&first, broke()).await;
    assert_eq!((again.verdict(), again.task_ended), (v1::ReportVerdict::Duplicate, false));

    let second = worker.run().await;
    let continues = second.continues.clone().expect("it goes on");
    assert_eq!(continues.attempt_id, first.attempt_id);
    assert_eq!(continues.worker_id, worker.id.to_string());
    assert_eq!(continues.conversation(), v1::Conversation::Resume);
    assert_eq!(continues.because, "worker_error: It broke");
    let attempts = factory.get(&task.id).await.attempts;
    assert_eq!(attempts[0].continues, None);
    assert_eq!(attempts[1].continues, Some(continues));

    for verdict in [v1::ReportVerdict::Accepted, v1::ReportVerdict::Duplicate] {
        let answer = worker.report_in_full(&second, succeeded(0)).await;
        assert_eq!((answer.verdict(), answer.task_ended), (verdict, true));
    }
    // What came of the first is of no use to anyone any more, whatever it says now.
    let late = worker.report_in_full(&first, succeeded(0)).await;
    assert_eq!((late.verdict(), late.task_ended), (v1::ReportVerdict::Superseded, true));
}

#[tokio::test]
async fn a_task_handed_over_is_another_workers_at_once() {
    let factory = Factory::start().await;
    let mut leaving = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    let first = leaving.run().await;
    let mut other = Worker::connect(&factory.client).await;
    let report = v1::Report { outcome: v1::OutcomeKind::HandedOver.into(), ..broke() };
    assert!(!leaving.report_in_full(&first, report).await.task_ended);
    let second = other.run().await;
    let continues = second.continues.expect("it goes on");
    assert_eq!(
        (continues.attempt_id.as_str(), continues.conversation()),
        (first.attempt_id.as_str(), v1::Conversation::Resume)
    );
    let detail = factory.get(&task.id).await;
    assert_eq!(detail.attempts[0].state, "cancelled");
    let task = detail.task.expect("a task");
    assert_eq!((task.agent_failures, task.infrastructure_failures), (0, 0));
}
