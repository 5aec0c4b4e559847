//! Where a task that is tried again goes.

use std::time::Duration;

use factory_proto::v1;
use uuid::Uuid;

use crate::setup::{Factory, Worker, failed, hello, prompt};

/// A task that one worker runs for sure, beside another with more slots, idle.
async fn running_at_home() -> (Factory, Worker, Worker, v1::Offer) {
    let factory = Factory::start_with(|config| config.rules.backoff.base = Duration::from_millis(50)).await;
    let words = hello(Uuid::now_v7());
    let mut home = Worker::connect_as(&factory.client, words.clone()).await.expect("welcome");
    factory.submit(prompt("Work")).await;
    let offer = home.run().await;
    // By a heartbeat, so that the report cannot overtake the word of the start.
    let held = v1::HeldAttempt {
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
        phase: v1::AttemptPhase::Running.into(),
    };
    home.heartbeat(&words.session_id, vec![held]).await;
    let mut other = Worker::connect(&factory.client).await;
    other.credits(8).await;
    // An offer shows that its credits were heard.
    let shown = factory.submit(prompt("Something else")).await;
    let elsewhere = other.offer().await;
    assert_eq!(elsewhere.task_id, shown.id);
    other.accept(&elsewhere).await;
    (factory, home, other, offer)
}

#[tokio::test]
async fn a_task_tried_again_goes_back_to_its_worker() {
    let (_factory, mut home, _other, first) = running_at_home().await;
    home.credits(1).await;
    home.report(&first, failed("agent_error", 0)).await;
    let again = home.offer().await;
    assert_eq!((again.task_id, again.attempt_number), (first.task_id, 2));
}

#[tokio::test]
async fn a_task_waits_for_no_worker_that_is_full_or_gone() {
    let (_factory, home, mut other, first) = running_at_home().await;
    home.report(&first, failed("agent_error", 0)).await;
    let again = other.offer().await;
    assert_eq!((again.task_id.as_str(), again.attempt_number), (first.task_id.as_str(), 2), "it is full");

    let (_factory, mut home, mut other, first) = running_at_home().await;
    home.credits(1).await;
    home.report(&first, failed("agent_error", 0)).await;
    let kept = home.offer().await;
    let decline = v1::Decline {
        task_id: kept.task_id.clone(),
        attempt_id: kept.attempt_id,
        why: "the disk is full".into(),
        cool_down_ms: 60_000,
    };
    home.say(v1::session_request::Message::Decline(decline)).await;
    let again = other.offer().await;
    assert_eq!((again.task_id, again.attempt_number), (first.task_id, 3), "it declined");

    let (_factory, home, mut other, first) = running_at_home().await;
    home.credits(1).await;
    home.report(&first, failed("agent_error", 0)).await;
    drop(home);
    let again = other.offer().await;
    assert_eq!(again.task_id, first.task_id, "it is gone, with what it was offered or without");
}
