//! Agents that tell one another things while they work: the real Claude Code CLI, its tools and its hook.

use factory_proto::v1::{ListMessagesRequest, OutcomeKind, TaskSpec};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::worker::Worker;
use factory_tests::harness::{claude, task};
use factory_tests::messages_api::{Gate, MessagesApi, Script, Turn};
use serde_json::{Value, json};

use crate::claude::worker_with;

fn quiet() -> Turn {
    Turn::tool("Bash", json!({ "command": "true", "description": "Do nothing" }))
}

/// What the model was shown last.
fn shown(requests: &[Value]) -> String {
    requests.last().map(|request| request["messages"].to_string()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_exchange_messages_while_they_work() {
    let Some(cli) = claude::find() else { return };
    let host = Host::new();
    let api = MessagesApi::start().await.expect("the API starts");
    let coordinator = Coordinator::start(&host).await;
    let _worker = Worker::start(&host, &coordinator, worker_with(&cli, &api, "anvil", 2)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let spec =
        |prompt: &str| TaskSpec { prompt: prompt.into(), max_attempts: Some(1), ..TaskSpec::default() };

    let (hear, answered) = (Gate::closed(), Gate::closed());
    let said = json!({ "type": "message", "to": "all", "content": "81 it is.", "message_type": "status" });
    api.script(
        "listener-task",
        Script::new()
            .turn(quiet().behind(&hear))
            .turn(
                Turn::tool("mcp__factory__post_message", json!({ "reply_to": 1, "content": "Moved to 81." }))
                    .saying(format!("I tell them.\n{said}")),
            )
            .turn(Turn::text("I moved to port 81.")),
    );
    let listener = task::submit_one(&client, spec("listener-task: listen on a port")).await;
    api.script(
        "speaker-task",
        Script::new()
            .turn(Turn::tool(
                "mcp__factory__post_message",
                json!({ "to": format!("task:{}", listener.number), "content": "Port 80 is mine, take 81." }),
            ))
            .turn(quiet().behind(&answered))
            .turn(Turn::text("We have a port each.")),
    );
    let speaker = task::submit_one(&client, spec("speaker-task: listen on port 80")).await;

    let posted = api.wait_for_requests("speaker-task", 2).await;
    assert!(shown(&posted).contains("Posted as message 1"), "{}", shown(&posted));
    hear.open();
    // Between the result of a tool that has nothing to do with it and the next answer of the model.
    let heard = api.wait_for_requests("listener-task", 2).await;
    assert!(shown(&heard).contains("Port 80 is mine, take 81."), "{}", shown(&heard));
    api.wait_for_requests("listener-task", 3).await;
    answered.open();
    let replied = api.wait_for_requests("speaker-task", 3).await;
    assert!(shown(&replied).contains("Moved to 81."), "{}", shown(&replied));
    for ended in [&listener, &speaker] {
        feed.wait_for_end(&ended.id).await;
        assert_eq!(task::report(&client, &ended.id).await.outcome(), OutcomeKind::Succeeded);
    }
    let listed = client.board().list_messages(ListMessagesRequest::default()).await.expect("listed");
    let to_all = listed.into_inner().messages.into_iter().filter(|message| message.to == "all");
    let to_all: Vec<_> = to_all.map(|message| (message.content, message.from_task_number)).collect();
    assert_eq!(to_all, [("81 it is.".to_owned(), listener.number)], "said on a line of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_by_a_schema_is_in_the_report_and_its_lack_is_a_failure() {
    let Some(cli) = claude::find() else { return };
    let host = Host::new();
    let api = MessagesApi::start().await.expect("the API starts");
    let coordinator = Coordinator::start(&host).await;
    let _worker = Worker::start(&host, &coordinator, worker_with(&cli, &api, "anvil", 2)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let origin = Origin::with_files(&host, "app", &[("docs/guide.md", "Read me.\n")]);
    let schema = json!({
        "type": "object",
        "properties": { "verdict": { "type": "string" }, "at": { "type": "string" } },
        "required": ["verdict"],
    });
    let spec = |prompt: &str| TaskSpec {
        prompt: prompt.into(),
        repo: origin.source(),
        directory: "docs".into(),
        output_schema: schema.to_string(),
        allowed_tools: vec!["Bash".into(), "Read".into()],
        max_attempts: Some(1),
        ..TaskSpec::default()
    };
    api.script(
        "review-task",
        Script::new()
            .turn(Turn::tool("Bash", json!({ "command": "cat guide.md", "description": "Read the guide" })))
            .turn(Turn::tool("StructuredOutput", json!({ "verdict": "approved" })))
            .turn(Turn::text("Approved.")),
    );
    api.script(
        "silent-task",
        (0..8).fold(Script::new(), |script, _| script.turn(Turn::text("It looks fine to me."))),
    );
    let review = task::submit_one(&client, spec("review-task: review")).await;
    let silent = task::submit_one(&client, spec("silent-task: review")).await;
    feed.wait_for_end(&review.id).await;
    let report = task::report(&client, &review.id).await;
    assert_eq!(report.outcome(), OutcomeKind::Succeeded, "{report:?}");
    assert_eq!(report.structured_output, r#"{"verdict":"approved"}"#);
    let requests = api.requests("review-task");
    assert!(requests[1].to_string().contains("Read me."), "it works in the directory named");
    let tools = requests[0]["tools"].as_array().expect("tools");
    let tools: Vec<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert!(tools.contains(&"Bash") && tools.contains(&"mcp__factory__ask_user"), "{tools:?}");
    assert!(!tools.contains(&"Write"), "{tools:?}");

    feed.wait_for_end(&silent.id).await;
    let report = task::report(&client, &silent.id).await;
    assert_eq!(report.outcome(), OutcomeKind::Failed, "{report:?}");
}
