//! Answering what agents ask.

use factory_coordinator::config::AuthToken;
use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::caller::{Answer, request, send};
use crate::setup::{Factory, Worker, prompt, soon};

const TOKEN: &str = "s3cret";

async fn answer(factory: &Factory, path: &str, token: Option<&str>, body: &Value) -> Answer {
    let request = request(factory, Method::POST, path).json(body);
    send(match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    })
    .await
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

    let left = json!({ "text": "left", "by": "ada" });
    let refused = answer(&factory, "/api/tasks/1/answer", None, &left).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    for (path, body, status, about) in [
        ("/api/tasks/7/answer", &left, StatusCode::NOT_FOUND, "no task `7`"),
        ("/api/tasks/1/answer", &json!({ "text": "up" }), StatusCode::BAD_REQUEST, "1) left, 2) right"),
        (
            "/api/tasks/1/answer",
            &json!({ "answer": "up" }),
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown field",
        ),
    ] {
        answer(&factory, path, Some(TOKEN), body).await.assert_problem(status, about);
    }

    let question = answer(&factory, "/api/tasks/1/answer", Some(TOKEN), &left).await.assert_ok();
    assert_eq!((&question["answer"], &question["answered_by"]), (&json!("left"), &json!("ada")));
    assert!(question["answered_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{question}");
    let twice = answer(&factory, "/api/tasks/1/answer", Some(TOKEN), &left).await;
    twice.assert_problem(StatusCode::CONFLICT, "");
    factory.coordinator.shutdown().await;
}
