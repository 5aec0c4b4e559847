//! What is refused, and how.

use factory_coordinator::config::AuthToken;
use reqwest::header::{ACCESS_CONTROL_REQUEST_METHOD, ALLOW, ORIGIN};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::caller::{act, get, post, request, send};
use crate::setup::Factory;

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let factory = Factory::start().await;
    for (path, status, about) in [
        ("/api", StatusCode::NOT_FOUND, "nothing at /api"),
        ("/api/", StatusCode::NOT_FOUND, "nothing at /api"),
        ("/api/tusks", StatusCode::NOT_FOUND, "/api/openapi.json"),
        ("/api/tasks/1/nothing", StatusCode::NOT_FOUND, "nothing at"),
        ("/api/tasks/7", StatusCode::NOT_FOUND, "no task `7`"),
        ("/api/tasks/%FF", StatusCode::BAD_REQUEST, "UTF-8"),
        ("/api/tasks?limit=0", StatusCode::BAD_REQUEST, "limit is 0"),
        ("/api/tasks?limit=1001", StatusCode::BAD_REQUEST, "limit is 1001"),
        ("/api/tasks?limit=few", StatusCode::BAD_REQUEST, "limit"),
        ("/api/tasks?limits=5", StatusCode::BAD_REQUEST, "unknown field `limits`"),
        ("/api/tasks?status=asleep", StatusCode::BAD_REQUEST, "none of queued, in_progress"),
        ("/api/tasks?state=done", StatusCode::BAD_REQUEST, "none of blocked, queued"),
        ("/api/tasks?label=gpu", StatusCode::BAD_REQUEST, "KEY=VALUE"),
        ("/api/tasks?page_token=x", StatusCode::BAD_REQUEST, "page_token"),
        ("/api/tasks?parent=9", StatusCode::NOT_FOUND, "no task `9`"),
    ] {
        get(&factory, path).await.assert_problem(status, about);
    }
    act(&factory, "/api/tasks/7/cancel").await.assert_problem(StatusCode::NOT_FOUND, "no task `7`");
    act(&factory, "/api/tasks/7/cancel?children=maybe")
        .await
        .assert_problem(StatusCode::BAD_REQUEST, "children");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_method_that_is_not_taken_is_told_which_are() {
    let factory = Factory::start().await;
    let refused = send(request(&factory, Method::DELETE, "/api/tasks/1")).await;
    refused.assert_problem(StatusCode::METHOD_NOT_ALLOWED, "does not take DELETE");
    assert_eq!(refused.header(ALLOW.as_str()), "GET,HEAD");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_body_is_json_of_a_bounded_size() {
    let factory = Factory::start().await;
    let path = "/api/tasks/1/answer";
    let long = json!({ "text": "x".repeat(3 * 1024 * 1024) });
    post(&factory, path, &long).await.assert_problem(StatusCode::PAYLOAD_TOO_LARGE, "limit");
    let text = send(request(&factory, Method::POST, path).body("{}")).await;
    text.assert_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json");
    let broken = request(&factory, Method::POST, path).header("content-type", "application/json").body("{");
    send(broken).await.assert_problem(StatusCode::BAD_REQUEST, "JSON");
    factory.coordinator.shutdown().await;
}

/// A page of another site gets no leave to read answers, nor to send what needs leave.
#[tokio::test]
async fn other_origins_get_no_leave() {
    let factory = Factory::start_with(|config| config.token = AuthToken::new("s3cret")).await;
    let request =
        |method| request(&factory, method, "/api/tasks").header(ORIGIN, "https://elsewhere.example");
    let preflight = request(Method::OPTIONS).header(ACCESS_CONTROL_REQUEST_METHOD, "POST");
    for answer in [send(preflight).await, send(request(Method::GET).bearer_auth("s3cret")).await] {
        let leave = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
        assert_eq!(leave, None, "{answer:?}");
    }
    factory.coordinator.shutdown().await;
}
