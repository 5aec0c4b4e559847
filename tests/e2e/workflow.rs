//! A workflow by the real Claude Code CLI: a review with an issue, its revision, an approval, and a coordinator
//! that is killed in the middle.

use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::worker::Worker;
use factory_tests::harness::{claude, soon};
use factory_tests::messages_api::{Gate, MessagesApi, Script, Turn};
use serde_json::{Value, json};

use crate::claude::{worker_with, write_and_commit};

/// A user's own in the place of the built-in one: its first words tell the rounds' conversations apart.
const REVIEW: &str = "review-round-{{ iteration }}\n\n{{ task_instructions }}\n\n{{ input }}";

fn verdict(verdict: &str, issues: Value) -> Turn {
    let answer = json!({ "verdict": verdict, "summary": "I read it.", "issues": issues });
    Turn::tool("StructuredOutput", answer)
}

fn script_of_two_rounds(api: &MessagesApi, gate: &Gate) {
    let [write, commit] = write_and_commit("cache.txt", "cache\n");
    let [mend, commit_again] = write_and_commit("limit.txt", "at most 100\n");
    // The revision goes on with the conversation that wrote the code.
    let coder = Script::new()
        .turn(write)
        .turn(commit)
        .turn(Turn::text("I added the cache."))
        .turn(mend)
        .turn(commit_again)
        .turn(Turn::text("It is bounded now."));
    api.script("cache-the-api", coder);
    let issue =
        json!({ "severity": "major", "file": "cache.txt", "line": 1, "description": "It grows for ever." });
    let has_issues = verdict("has_issues", json!([issue])).behind(gate);
    api.script("review-round-1", Script::new().turn(has_issues).turn(Turn::text("One issue.")));
    let approved = verdict("approved", json!([]));
    api.script("review-round-2", Script::new().turn(approved).turn(Turn::text("Approved.")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_and_an_approval_end_on_one_branch_though_the_coordinator_is_killed() {
    let Some(cli) = claude::find() else { return };
    let host = Host::new();
    let api = MessagesApi::start().await.expect("the API starts");
    let mut coordinator = Coordinator::start(&host).await;
    let templates = coordinator.root_seen_from_here().join("templates");
    std::fs::create_dir(&templates).expect("made");
    std::fs::write(templates.join("review.md"), REVIEW).expect("written");
    let _worker = Worker::start(&host, &coordinator, worker_with(&cli, &api, "anvil", 2)).await;
    let (ctl, origin, gate) = (Ctl::new(&host, &coordinator), Origin::new(&host, "app"), Gate::closed());
    script_of_two_rounds(&api, &gate);

    // The title is in the names of branches, which reviewers see: it is not what tells conversations apart.
    let wish =
        ["workflow", "start", "code_review", "cache-the-api: cache responses", "--title", "Speed", "--repo"];
    let started = ctl.run(wish.into_iter().chain([origin.source().as_str()])).await;
    assert_eq!(started.code, Some(0), "{started:?}");
    let workflow = started.stdout.trim().to_owned();

    soon("the first review", api.wait_for_requests("review-round-1", 1)).await;
    coordinator.kill9().await;
    coordinator.start_again().await;
    gate.open();

    let ended = ctl.run(["workflow", "show", &workflow, "--watch", "-o", "json"]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let steps: Vec<_> =
        ended["steps"].as_array().expect("steps").iter().map(|step| &step["output"]).collect();
    assert_eq!(steps, ["initial_code", "review", "revision", "review", "revision"], "{ended}");
    assert_eq!(ended["handoffs"].as_array().map(Vec::len), Some(3), "{ended}");

    let branch = ended["branch"].as_str().expect("a branch");
    assert_eq!(origin.delivered(), [branch], "one branch has it all");
    let subjects = origin.git(["log", "--format=%s", "-2", branch]);
    assert_eq!(subjects.lines().collect::<Vec<_>>(), ["Add limit.txt", "Add cache.txt"]);

    let requests = api.requests("cache-the-api");
    let revision = requests.get(3).map(Value::to_string).unwrap_or_default();
    for told in ["I added the cache.", "**major** `cache.txt:1`: It grows for ever."] {
        assert!(revision.contains(told), "the conversation lacks {told:?}: {revision}");
    }
    assert!(!revision.contains("You were interrupted"), "{revision}");
    let review = api.requests("review-round-1")[0].to_string();
    assert!(review.contains("I added the cache.") && review.contains("You are a code reviewer"), "{review}");
}
