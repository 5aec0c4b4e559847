//! The agents' endpoint: who is let in, what is forwarded, what is told, and what a restart leaves as it was.

use std::path::Path;
use std::time::Duration;

use factory_proto::v1;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::coordinator::Coordinator;
use crate::{config, scripted, shell, start, wait_for};

/// An agent's way to its endpoint, as the agent was told of it.
#[derive(Debug, Clone, PartialEq)]
struct Access {
    host: String,
    secret: String,
}

/// A task whose agent says where its endpoint is, and waits until the file `go` is there.
fn agent(directory: &Path) -> v1::TaskSpec {
    let say = "echo \"$FACTORY_MCP_URL $(cat $FACTORY_MCP_TOKEN_FILE)\"";
    shell(&format!("{say}; {}", wait_for(&directory.join("go"))))
}

fn let_go(directory: &Path) {
    std::fs::write(directory.join("go"), "").expect("written");
}

impl Access {
    async fn of(coordinator: &Coordinator, attempt: &str) -> Self {
        let line = coordinator
            .until("the endpoint", |state| {
                let log = state.logs.get(attempt)?;
                log.iter()
                    .map(|record| String::from_utf8_lossy(&record.data).into_owned())
                    .find(|line| line.starts_with("http://"))
            })
            .await;
        let (url, secret) = line.split_once(' ').expect("a URL and a secret");
        let host = url.strip_prefix("http://").and_then(|url| url.strip_suffix("/mcp")).expect("a URL");
        Self { host: host.to_owned(), secret: secret.to_owned() }
    }

    /// Posts JSON and answers with the status and the body.
    async fn post(&self, path: &str, host: &str, body: &Value) -> (u16, String) {
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            self.secret,
            body.len()
        );
        let mut stream = TcpStream::connect(&self.host).await.expect("the endpoint listens");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
        (status, body)
    }

    async fn rpc(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let (status, body) = self.post("/mcp", &self.host, &request).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// Calls a tool; what it says, piece by piece.
    async fn call(&self, tool: &str, arguments: Value) -> Vec<String> {
        let answer = self.rpc("tools/call", json!({ "name": tool, "arguments": arguments })).await;
        let content = answer["result"]["content"].as_array().unwrap_or_else(|| panic!("{answer}"));
        content.iter().map(|block| block["text"].as_str().expect("text").to_owned()).collect()
    }
}

#[tokio::test]
async fn every_tool_is_listed_with_words_for_a_model() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(agent(root.path())).await;
    let access = Access::of(&coordinator, &attempt).await;

    let listed = access.rpc("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().expect("tools");
    let names: Vec<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert_eq!(
        names,
        [
            "ask_user",
            "handoff",
            "lock_files",
            "memory_save",
            "memory_search",
            "post_message",
            "read_messages",
            "report_progress",
            "submit_task",
            "task_status",
            "unlock_files",
        ]
    );
    for tool in tools {
        assert!(tool["description"].as_str().is_some_and(|text| text.len() > 60), "{tool}");
        let properties = tool["inputSchema"]["properties"].as_object().expect("arguments");
        for (name, argument) in properties {
            assert!(
                argument["description"].as_str().is_some() || argument["$ref"].is_string(),
                "{name}: {argument}"
            );
        }
    }
    let_go(root.path());
    coordinator.report(&attempt).await;
    worker.shutdown().await;
}

#[tokio::test]
async fn an_agent_acts_for_its_own_attempt_and_nobody_else_does() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(agent(root.path())).await;
    let access = Access::of(&coordinator, &attempt).await;

    let said = access.call("post_message", json!({ "to": "all", "content": "The port is 80." })).await;
    assert_eq!(said, ["Posted as message 1 to all."]);
    let posted = coordinator.with(|state| state.agents.posted[0].clone());
    let by = posted.attempt.expect("an identity");
    assert_eq!(
        (by.attempt_id.as_str(), by.worker_id.as_str()),
        (attempt.as_str(), &*worker.id().to_string())
    );

    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let mut stranger = access.clone();
    stranger.secret = "0".repeat(access.secret.len());
    for path in ["/mcp", "/notices"] {
        assert_eq!(stranger.post(path, &access.host, &call).await.0, 401, "{path}");
        // A page in a browser, whose own name was made to lead here.
        assert_eq!(access.post(path, "evil.example", &call).await.0, 403, "{path}");
    }

    let_go(root.path());
    coordinator.report(&attempt).await;
    assert_eq!(access.post("/mcp", &access.host, &call).await.0, 401, "its attempt has ended");
    worker.shutdown().await;
}

#[tokio::test]
async fn what_is_new_comes_with_the_next_call_and_counts_as_told() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(agent(root.path())).await;
    let access = Access::of(&coordinator, &attempt).await;

    let news = |text: &str| v1::Notice { kind: v1::NoticeKind::Message.into(), text: text.into() };
    coordinator.with(|state| state.agents.notices.push(news("The port is 81 now.")));
    let told = loop {
        let (status, body) = access.post("/notices", &access.host, &json!({ "tool_name": "Bash" })).await;
        assert_eq!(status, 200);
        let body: Value = serde_json::from_str(&body).expect("JSON");
        // Empty until the worker has heard of it.
        if let Some(told) = body["hookSpecificOutput"]["additionalContext"].as_str() {
            break told.to_owned();
        }
    };
    assert!(told.contains("## Messages") && told.contains("The port is 81 now."), "{told}");
    let said = access.call("post_message", json!({ "content": "Thanks." })).await;
    assert_eq!(said.len(), 1, "it was told once: {said:?}");

    let_go(root.path());
    coordinator.report(&attempt).await;
    assert_eq!(coordinator.with(|state| state.agents.told_up_to), 1, "no later attempt is told again");
    worker.shutdown().await;
}

#[tokio::test]
async fn a_call_whose_answer_was_lost_is_made_again_under_the_same_key() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(agent(root.path())).await;
    let access = Access::of(&coordinator, &attempt).await;

    coordinator.with(|state| state.agents.lose_answers = 1);
    access.call("post_message", json!({ "content": "Once." })).await;
    access.call("post_message", json!({ "content": "Once." })).await;
    let keys =
        coordinator.with(|state| state.agents.posted.iter().map(|post| post.key.clone()).collect::<Vec<_>>());
    assert_eq!(keys.len(), 3);
    assert_eq!(keys[0], keys[1], "a repeated call");
    assert_ne!(keys[1], keys[2], "another call");

    let_go(root.path());
    coordinator.report(&attempt).await;
    worker.shutdown().await;
}

#[tokio::test]
async fn a_restarted_worker_has_the_same_port_and_knows_the_same_secret() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(agent(root.path())).await;
    let access = Access::of(&coordinator, &attempt).await;
    worker.detach().await;

    let worker = start(&coordinator, root.path()).await;
    let said = access.call("post_message", json!({ "to": "user", "content": "Still here." })).await;
    assert_eq!(said, ["Posted as message 1 to user."]);
    let_go(root.path());
    coordinator.report(&attempt).await;
    worker.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_asks_in_vain_is_told_to_end_its_turn_which_counts_as_asking() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    let mut config = config(&coordinator, root.path());
    config.ask_wait = Duration::from_millis(50);
    let worker = factory_worker::Worker::start(config).await.expect("a worker");
    let attempt = coordinator.offer(agent(root.path())).await;
    let access = Access::of(&coordinator, &attempt).await;

    let said = access.call("ask_user", json!({ "question": "Which port?", "options": ["80", "81"] })).await;
    assert!(said[0].contains("End your turn now"), "{said:?}");
    let asked = coordinator.with(|state| state.agents.asked[0].clone());
    assert_eq!((asked.text.as_str(), asked.options.len()), ("Which port?", 2));
    let_go(root.path());
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Asked);
    worker.shutdown().await;
}

#[tokio::test]
async fn an_answer_in_time_is_told_at_once_and_the_turn_goes_on() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(agent(root.path())).await;
    let access = Access::of(&coordinator, &attempt).await;

    let answered = async {
        coordinator.until("a question", |state| (!state.agents.asked.is_empty()).then_some(())).await;
        coordinator.with(|state| state.agents.answer = Some("81".into()));
    };
    let (said, ()) = tokio::join!(access.call("ask_user", json!({ "question": "Which port?" })), answered);
    assert_eq!(said, ["ada answered question 1: 81"]);
    let_go(root.path());
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Succeeded);
    worker.shutdown().await;
}

#[tokio::test]
async fn what_an_agent_says_for_others_is_posted_under_the_same_key_however_often_its_log_is_read() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    let worker = start(&coordinator, root.path()).await;
    let said = r#"{"type":"message","to":"reviewer","content":"Have a look.","message_type":"status"}"#;
    let script = format!("echo hello; echo '{said}'; {}", wait_for(&root.path().join("go")));
    let attempt = coordinator.offer(shell(&script)).await;
    let posts = |count: usize| {
        coordinator.until("the post", move |state| {
            let posted = &state.agents.posted;
            (posted.len() >= count).then(|| posted.clone())
        })
    };
    posts(1).await;
    worker.detach().await;

    let worker = start(&coordinator, root.path()).await;
    let posted = posts(2).await;
    assert_eq!(posted[0].key, posted[1].key);
    let message = posted[0].message.clone().expect("a message");
    assert_eq!((message.to.as_str(), message.content.as_str()), ("reviewer", "Have a look."));
    assert_eq!(message.r#type(), v1::MessageType::Status);
    let_go(root.path());
    coordinator.report(&attempt).await;
    worker.shutdown().await;
}

#[tokio::test]
async fn a_scripted_agent_uses_the_tools_answers_by_a_schema_and_stops_where_it_is_told_to() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    let mut config = config(&coordinator, root.path());
    config.ask_wait = Duration::from_millis(50);
    let worker = factory_worker::Worker::start(config).await.expect("a worker");
    let schema = || r#"{"type":"object"}"#.to_owned();
    let steps = "post all: hello\noutput {\"verdict\":\"approved\"}\nsay done";
    let attempt = coordinator.offer(v1::TaskSpec { output_schema: schema(), ..scripted(steps) }).await;
    let report = coordinator.report(&attempt).await;
    assert_eq!(report.structured_output, r#"{"verdict":"approved"}"#, "{report:?}");
    assert_eq!(coordinator.with(|state| state.agents.posted.len()), 1);

    let attempt = coordinator.offer(v1::TaskSpec { output_schema: schema(), ..scripted("say done") }).await;
    let report = coordinator.report(&attempt).await;
    assert_eq!(report.outcome(), v1::OutcomeKind::Failed);
    assert!(report.failure.expect("a failure").message.contains("schema"));

    let attempt = coordinator.offer(scripted("ask: Which port?\npost all: too soon")).await;
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Asked);
    assert_eq!(coordinator.with(|state| state.agents.posted.len()), 1, "it ended its turn");
    worker.shutdown().await;
}

#[tokio::test]
async fn an_older_coordinator_s_agents_are_given_no_endpoint() {
    let (root, coordinator) = (tempfile::tempdir().expect("a directory"), Coordinator::start().await);
    coordinator.with(|state| state.plan.terms.protocol = factory_proto::protocol::AGENTS_ACT - 1);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(shell("echo \"<$FACTORY_MCP_URL>\"")).await;
    coordinator.line(&attempt, "<>").await;
    coordinator.report(&attempt).await;
    worker.shutdown().await;
}
