//! Workers, and the agents at work on them.

use reqwest::StatusCode;

use crate::caller::{act, get};
use crate::setup::{Factory, Worker, prompt};

#[tokio::test]
async fn workers_are_shown_drained_and_resumed() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Go")).await;
    let offer = worker.run().await;

    let list = get(&factory, "/api/workers").await.assert_ok();
    assert_eq!(list["workers"][0]["name"], "hand");
    assert!(list["next_page_token"].is_null());
    let one = get(&factory, "/api/workers/hand").await.assert_ok();
    assert_eq!((&one["busy"], &one["held"][0]["attempt_id"]), (&1.into(), &offer.attempt_id.clone().into()));

    let drained = act(&factory, "/api/workers/hand/drain?hand_over_after_seconds=600").await.assert_ok();
    assert_eq!(drained["drain"], "draining");
    assert!(drained["hand_over_at"].is_string(), "{drained}");
    let resumed = act(&factory, "/api/workers/hand/resume").await.assert_ok();
    assert!(resumed["drain"].is_null(), "{resumed}");

    get(&factory, "/api/workers/nobody").await.assert_problem(StatusCode::NOT_FOUND, "no worker `nobody`");
    let long = act(&factory, "/api/workers/hand/drain?hand_over_after_seconds=99999999").await;
    long.assert_problem(StatusCode::BAD_REQUEST, "30 days");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn agents_at_work_are_listed_in_pages() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    for text in ["One", "Two", "Three"] {
        factory.submit(prompt(text)).await;
    }
    let first = worker.run().await;
    let second = worker.run().await;

    let page = get(&factory, "/api/agents?limit=1").await.assert_ok();
    let (agents, token) = (&page["agents"], page["next_page_token"].as_str().expect("another page"));
    assert_eq!(agents.as_array().expect("agents").len(), 1);
    assert_eq!(
        (&agents[0]["title"], &agents[0]["task_number"], &agents[0]["worker"], &agents[0]["attempt_id"]),
        (&"Two".into(), &2.into(), &"hand".into(), &second.attempt_id.into())
    );
    let rest = get(&factory, &format!("/api/agents?page_token={token}")).await.assert_ok();
    assert_eq!(rest["agents"][0]["attempt_id"], first.attempt_id);
    assert_eq!(rest["agents"].as_array().expect("agents").len(), 1, "the third is only queued");
    assert!(rest["next_page_token"].is_null());
    factory.coordinator.shutdown().await;
}
