//! What one task learns, the next is told: through the real CLI and its tools, and on the command line.

use factory_proto::v1::{TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::worker::Worker;
use factory_tests::harness::{claude, soon, task};
use factory_tests::messages_api::{MessagesApi, Script, Turn};
use serde_json::{Value, json};

use crate::claude::worker_with;

const LEARNED: &str = "The checkout test needs a frozen clock: run it with FAKE_NOW=2020-01-01.";

#[tokio::test(flavor = "multi_thread")]
async fn what_one_task_saves_stands_in_the_prompt_of_the_next() {
    let Some(cli) = claude::find() else { return };
    let host = Host::new();
    let api = MessagesApi::start().await.expect("the API starts");
    let coordinator = Coordinator::start(&host).await;
    let _worker = Worker::start(&host, &coordinator, worker_with(&cli, &api, "anvil", 1)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let (ctl, origin) = (Ctl::new(&host, &coordinator), Origin::new(&host, "app"));
    let spec = |prompt: &str| TaskSpec {
        prompt: prompt.to_owned(),
        repo: origin.source(),
        role: "test".to_owned(),
        max_attempts: Some(1),
        ..TaskSpec::default()
    };

    let save = Turn::tool("mcp__factory__memory_save", json!({ "content": LEARNED, "kind": "error" }));
    let done = Turn::text("The checkout test passes now.");
    api.script("mend-it", Script::new().turn(save).turn(done));
    let first = task::submit_one(&client, spec("mend-it: the checkout test is flaky")).await;
    let end = feed.wait_for_end(&first.id).await;
    assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());

    // The agent's own word, and the coordinator's summary once it is there.
    let errors = ctl.run(["memory", "errors"]).await;
    assert!(errors.stdout.contains(LEARNED) && errors.stdout.contains("test-agent"), "{errors:?}");
    let findings = soon("the summary of the first task", async {
        loop {
            let findings = ctl.run(["memory", "findings", "-o", "jsonl"]).await;
            if !findings.stdout.is_empty() {
                return findings;
            }
        }
    });
    let summary: Value = serde_json::from_str(findings.await.stdout.trim()).expect("one line of JSON");
    assert_eq!((&summary["is_summary"], &summary["task_number"]), (&json!(true), &json!(first.number)));
    let found = ctl.run(["memory", "search", "checkout", "clocks", "-o", "json"]).await;
    let found: Value = serde_json::from_str(&found.stdout).expect("JSON");
    assert_eq!((&found[0]["content"], &found[0]["ranking"]), (&json!(LEARNED), &json!("bm25")));

    let note = "The checkout of prices rounds half to even.";
    let added = ctl.run(["memory", "add", note, "--kind", "decision", "--repo", &origin.source()]).await;
    assert_eq!((added.code, added.stdout.trim()), (Some(0), "3"), "{added:?}");

    api.script("go-on", Script::new().turn(Turn::text("Nothing to do.")));
    let second = task::submit_one(&client, spec("go-on: add another checkout test")).await;
    let end = feed.wait_for_end(&second.id).await;
    assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());
    let asked = api.requests("go-on")[0]["messages"].to_string();
    for told in [LEARNED, note, "mend-it: the checkout test is flaky"] {
        assert!(asked.contains(told), "{told:?} is not in {asked}");
    }
}
