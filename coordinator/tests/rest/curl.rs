//! Commands as people write them down, run by the real `curl`: only the host is put in.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::caller::post;
use crate::setup::{Factory, Worker, prompt, soon, succeeded};

/// Where the coordinator is in what is written down.
const HOST: &str = "localhost:8100";

/// Runs one line as a shell would, and answers with what curl printed.
pub async fn curl(factory: &Factory, line: &str) -> String {
    let line = line.replace(HOST, &factory.coordinator.local_addr().to_string());
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).env("no_proxy", "*").stdin(Stdio::null()).kill_on_drop(true);
    let output = soon(shell.output()).await.expect("curl is installed");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

pub async fn curl_json(factory: &Factory, line: &str) -> Value {
    let text = curl(factory, line).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
}

const CODE_REVIEW: &str = r#"curl -X POST http://localhost:8100/api/workflows/code_review \
-H "Content-Type: application/json" \
-d '{
"title": "Implement caching layer",
"description": "Add Redis caching for API responses",
"repo": "octo/my-app"
}'"#;

#[tokio::test]
async fn a_code_review_is_started() {
    let factory = Factory::start().await;
    let started = curl_json(&factory, CODE_REVIEW).await;
    assert_eq!(
        (&started["number"], &started["name"], &started["title"]),
        (&json!(1), &json!("code_review"), &json!("Implement caching layer"))
    );
    let listed = curl_json(&factory, "curl http://localhost:8100/api/workflows").await;
    assert_eq!(listed["workflows"][0]["id"], started["id"]);
    curl_json(&factory, "curl -X POST http://localhost:8100/api/workflows/1/cancel").await;
}

#[tokio::test]
async fn the_board_is_listed_filtered_and_searched() {
    let factory = Factory::start().await;
    for number in 1..=5 {
        factory.submit(prompt(&format!("Task {number}"))).await;
    }
    let message = |content: &str, kind: &str, task| json!({ "to": "reviewer", "content": content, "message_type": kind, "task_id": task });
    for (content, kind, task) in [
        ("Should I use Redis or Memcached for caching?", "question", 5),
        ("The authentication tests pass", "status", 4),
    ] {
        post(&factory, "/api/messages", &message(content, kind, task)).await.assert_ok();
    }
    for (line, numbers) in [
        ("curl http://localhost:8100/api/messages?limit=20", vec![2, 1]),
        ("curl http://localhost:8100/api/messages?task_id=5", vec![1]),
        ("curl http://localhost:8100/api/messages?message_type=question", vec![1]),
        ("curl http://localhost:8100/api/messages?search=authentication", vec![2]),
    ] {
        let page = curl_json(&factory, line).await;
        let found = page["messages"].as_array().expect("messages").iter();
        assert_eq!(found.map(|message| message["number"].clone()).collect::<Vec<_>>(), numbers, "{line}");
    }
}

#[tokio::test]
async fn a_log_is_followed_to_its_end() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    worker.push(&offer, 0, &["one", "two"]).await;
    worker.report(&offer, succeeded(2)).await;
    let stream = curl(&factory, "curl -N http://localhost:8100/api/tasks/1/logs/sse").await;
    let fields: Vec<_> = stream.lines().filter(|line| !line.starts_with("data: ")).collect();
    assert_eq!(
        fields,
        ["retry: 2000", "id: 1:0", "", "event: lines", "id: 1:2", "", "event: end", "id: 1:2", ""]
    );
}
