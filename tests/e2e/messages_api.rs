//! The scripted Messages API alone before the real CLI: what the other tests rely on.

use std::path::Path;
use std::process::{Output, Stdio};

use factory_tests::harness::claude;
use factory_tests::messages_api::{Fault, Gate, MessagesApi, Script, Turn};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// Starts the CLI as the worker's adapter does, with nothing of this machine's in its environment.
async fn start(cli: &Path, api: &MessagesApi, home: &Path, prompt: &str) -> Child {
    let mut child = Command::new(cli)
        .args(["-p", "--output-format", "stream-json", "--verbose", "--dangerously-skip-permissions"])
        .args(["--setting-sources", "", "--strict-mcp-config"])
        .current_dir(home)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("ANTHROPIC_API_KEY", "dummy")
        .env("ANTHROPIC_BASE_URL", api.url())
        .env("DISABLE_AUTOUPDATER", "1")
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("CLAUDE_CODE_MAX_RETRIES", "1")
        .env("IS_SANDBOX", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the CLI starts");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(prompt.as_bytes()).await.expect("the CLI reads its prompt");
    child
}

fn result_of(output: &Output) -> Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event["type"] == "result")
        .unwrap_or_else(|| panic!("no result in {stdout}\n{}", String::from_utf8_lossy(&output.stderr)))
}

#[tokio::test]
async fn the_cli_follows_a_script_of_words_and_tools() {
    let Some(cli) = claude::find() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let api = MessagesApi::start().await.expect("the API starts");
    let file = home.path().join("hello.txt");
    let gate = Gate::closed();
    api.script(
        "greeting-task",
        Script::new()
            .turn(
                Turn::tool("Write", json!({ "file_path": file, "content": "hello\n" })).saying("I write it."),
            )
            .turn(Turn::text("Written.").behind(&gate)),
    );
    let child = start(&cli, &api, home.path(), "greeting-task: write a file").await;
    let requests = api.wait_for_requests("greeting-task", 2).await;
    assert!(file.is_file(), "the tool ran before the second request: {requests:?}");
    gate.open();
    let output = child.wait_with_output().await.expect("it ends");
    let result = result_of(&output);
    assert_eq!(result["is_error"], false, "{result}");
    assert_eq!(result["result"], "Written.");
    assert_eq!(result["num_turns"], 2);
    assert!(result["total_cost_usd"].as_f64().expect("a cost") > 0.0);
    assert_eq!(std::fs::read_to_string(file).expect("written"), "hello\n");
}

#[tokio::test]
async fn the_cli_survives_a_fault_and_gives_up_on_a_lasting_one() {
    let Some(cli) = claude::find() else { return };
    let home = tempfile::tempdir().expect("a folder");
    let api = MessagesApi::start().await.expect("the API starts");
    api.script("once", Script::new().fault(Fault::Drop).turn(Turn::text("Recovered.")));
    api.script("always", Script::new().fault_forever(Fault::status(529)));
    let once = start(&cli, &api, home.path(), "once").await.wait_with_output().await.expect("it ends");
    assert_eq!(result_of(&once)["result"], "Recovered.");
    let always = start(&cli, &api, home.path(), "always").await.wait_with_output().await.expect("it ends");
    assert_eq!(result_of(&always)["is_error"], true);
    assert!(api.requests("always").len() >= 2, "it tries again");
}
