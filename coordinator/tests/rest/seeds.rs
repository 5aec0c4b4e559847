//! Commands that people have in their scripts, as they were written but for the host and the repository.

use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::caller::get;
use crate::setup::{Factory, soon};

/// Where the commands expect a coordinator.
const HOST: &str = "http://localhost:8100";
/// The repository they name.
const REPO: &str = "\"my-app\"";

const CREATE: &str = r#"curl -X POST http://localhost:8100/api/tasks \
-H "Content-Type: application/json" \
-d '{
"title": "Add user authentication",
"description": "Implement JWT-based auth with login/logout endpoints",
"repo": "my-app",
"agent_type": "coder"
}'"#;

const RUN: &str = "curl -X POST http://localhost:8100/api/tasks/1/run";

const CREATE_AND_RUN: &str = r#"curl -X POST "http://localhost:8100/api/tasks?auto_run=true" \
-H "Content-Type: application/json" \
-d '{
"title": "Fix login bug",
"description": "Session expires too quickly",
"repo": "my-app",
"agent_type": "coder"
}'"#;

/// Runs a command as a shell does, against this coordinator; answers with what it printed.
pub async fn run(factory: &Factory, command: &str, repo: &str) -> Value {
    let command = command.replace(HOST, &factory.coordinator.url());
    let command = command.replace(REPO, &Value::from(repo).to_string());
    let curl = Command::new("sh")
        .args(["-c", &command])
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = soon(curl).await.expect("a shell");
    assert!(output.status.success(), "{command}: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn tasks_are_created_and_run_as_written() {
    let factory = Factory::start().await;
    let repo = "owner/my-app";
    let created = run(&factory, CREATE, repo).await;
    assert_eq!(
        (&created["number"], &created["held"], &created["repo"]),
        (&1.into(), &true.into(), &repo.into())
    );
    let released = run(&factory, RUN, repo).await;
    assert_eq!((&released["id"], &released["state"]), (&created["id"], &"queued".into()));
    let both = run(&factory, CREATE_AND_RUN, repo).await;
    assert_eq!(
        (&both["number"], &both["state"], &both["agent_type"]),
        (&2.into(), &"queued".into(), &"coder".into())
    );
    let queued = get(&factory, "/api/tasks?status=queued").await.assert_ok();
    assert_eq!(queued["tasks"].as_array().map(Vec::len), Some(2));
    factory.coordinator.shutdown().await;
}
