//! REST on the same port.

use factory_coordinator::config::AuthToken;
use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::setup::{Factory, Worker, prompt, soon};

const TOKEN: &str = "s3cret";

/// Posts JSON and answers with the status, the content's type and the content.
async fn post(
    factory: &Factory,
    path: &str,
    token: Option<&str>,
    body: &Value,
) -> (StatusCode, String, Value) {
    // No TLS here; the client wants to know by what it would be made all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let url = format!("{}{path}", factory.coordinator.url());
    let mut request = reqwest::Client::new().post(url).json(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = soon(request.send()).await.expect("an answer");
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    let (status, kind) = (response.status(), kind.unwrap_or_default().to_owned());
    let body = soon(response.text()).await.expect("its content");
    (status, kind, serde_json::from_str(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_question_is_answered_by_whoever_has_the_token() {
    let factory = Factory::start_with(|config| config.token = AuthToken::new(TOKEN)).await;
    let token = Some(TOKEN.parse().expect("a token"));
    let client =
        Client::connect(ClientConfig::new(factory.coordinator.url(), token)).await.expect("it answers");
    let mut worker = Worker::connect(&client).await;
    let task = v1::NewTask { spec: Some(prompt("Go")), ..v1::NewTask::default() };
    soon(client.tasks().submit(v1::SubmitRequest { tasks: vec![task] })).await.expect("submitted");
    let offer = worker.run().await;
    let ask = v1::AskRequest {
        attempt: Some(v1::AttemptRef {
            worker_id: worker.id.to_string(),
            task_id: offer.task_id.clone(),
            attempt_id: offer.attempt_id.clone(),
        }),
        key: "k".to_owned(),
        text: "Left or right?".to_owned(),
        options: vec!["left".to_owned(), "right".to_owned()],
        ..v1::AskRequest::default()
    };
    soon(client.agents().ask(ask)).await.expect("asked");

    let answer = json!({ "text": "left", "by": "ada" });
    let (status, ..) = post(&factory, "/api/tasks/1/answer", None, &answer).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    for (path, body, wanted, said) in [
        ("/api/tasks/7/answer", &answer, StatusCode::NOT_FOUND, "no task `7`"),
        ("/api/tasks/1/answer", &json!({ "text": "up" }), StatusCode::BAD_REQUEST, "1) left, 2) right"),
        (
            "/api/tasks/1/answer",
            &json!({ "answer": "up" }),
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown field",
        ),
    ] {
        let (status, kind, problem) = post(&factory, path, Some(TOKEN), body).await;
        assert_eq!((status, kind.as_str()), (wanted, "application/problem+json"), "{problem}");
        assert_eq!(problem["status"], wanted.as_u16());
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(said)), "{problem}");
    }

    let (status, _, question) = post(&factory, "/api/tasks/1/answer", Some(TOKEN), &answer).await;
    assert_eq!(status, StatusCode::OK, "{question}");
    assert_eq!((&question["answer"], &question["answered_by"]), (&json!("left"), &json!("ada")));
    assert!(question["answered_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{question}");
    let (status, _, problem) = post(&factory, "/api/tasks/1/answer", Some(TOKEN), &answer).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    factory.coordinator.shutdown().await;
}
