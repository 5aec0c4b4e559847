//! The OpenAPI document, believed: requests are made from it by schemathesis, right and wrong ones, to every route that
//! ends its answer. None may meet a fault of the coordinator's, and every answer must be as the document says.

use std::path::Path;
use std::process::{Output, Stdio};

use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup};
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::host::Host;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{PATIENCE, python};
use tokio::process::Command;

const TOKEN: &str = "s3cret";
/// Requests made for each route in each way of making them.
const EXAMPLES: &str = "12";

#[tokio::test]
async fn no_request_made_from_the_document_meets_a_fault_or_an_answer_it_does_not_have() {
    let Some(interpreter) = python::find() else { return };
    let host = Host::new();
    let setup = CoordinatorSetup { token: Some(TOKEN.to_owned()), ..CoordinatorSetup::new(&host) };
    let coordinator = Coordinator::try_start(&host, setup).await.expect("the coordinator starts");
    let worker = WorkerSetup { token: Some(TOKEN.to_owned()), ..WorkerSetup::named("here", 2) };
    let _worker = Worker::start(&host, &coordinator, worker).await;
    fill(&host, &coordinator).await;
    // First with names as they come, then with those of things that are there.
    for config in ["any-names.toml", "known-names.toml"] {
        let output = schemathesis(&interpreter, &host, &coordinator, config).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{config}:\n{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A task of each kind of end, a question, a message, a handoff.
async fn fill(host: &Host, coordinator: &Coordinator) {
    let ctl = Ctl::new(host, coordinator).token(TOKEN);
    for args in [
        &["submit", "--no-repo", "--agent", "scripted", "say one", "--watch"][..],
        &["submit", "--no-repo", "--agent", "scripted", "fail two", "--max-attempts", "1"],
        &["submit", "--no-repo", "--agent", "scripted", "ask: Left or right?"],
        &["messages", "post", "The first", "--to", "all"],
        &["handoffs", "create", "All of it", "--from", "1", "--to-role", "coder"],
    ] {
        let said = ctl.run(args).await;
        assert_eq!(said.code, Some(0), "{args:?}: {}", said.stderr);
    }
}

async fn schemathesis(interpreter: &Path, host: &Host, coordinator: &Coordinator, config: &str) -> Output {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python");
    let run = Command::new(interpreter)
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(Path::new(folder).join("schemathesis").join(config))
        .args(["run", &format!("{}/api/openapi.json", coordinator.url())])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}"), "--max-examples", EXAMPLES])
        .current_dir(host.path())
        .env_clear()
        .envs(host.environment())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    // It makes thousands of requests, on a machine that does other things too.
    tokio::time::timeout(10 * PATIENCE, run).await.expect("schemathesis ends").expect("python starts")
}
