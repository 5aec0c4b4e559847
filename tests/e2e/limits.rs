//! Usage limits of the real Claude Code CLI's account: waited out, with no hand from anyone.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use factory_proto::client::Client;
use factory_proto::v1::{Event, ListWorkersRequest, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{claude, soon, task};
use factory_tests::messages_api::{Fault, MessagesApi, Script, Turn};
use serde_json::json;

fn worker_with(cli: &Path, api: &MessagesApi, name: &str, login: &str) -> WorkerSetup {
    WorkerSetup::named(name, 2)
        .env("FACTORY_CLAUDE_BIN", cli)
        .env(login, "dummy")
        .env("ANTHROPIC_BASE_URL", api.url())
}

/// A task that may not fail once.
fn one_try(prompt: &str) -> TaskSpec {
    TaskSpec { prompt: prompt.to_owned(), max_attempts: Some(1), ..TaskSpec::default() }
}

/// In seconds since the epoch.
fn in_an_hour() -> i64 {
    let then = SystemTime::now() + Duration::from_secs(3600);
    let since = then.duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(since.as_secs()).expect("it is before the end of time")
}

/// Waits until the task is told to wait for its agent's limit.
async fn wait_until_held_back(client: &Client, id: &str) -> String {
    soon("the task to be held back", async {
        loop {
            let found = task::get(client, id).await.task.expect("a task");
            if found.waiting_for.contains("usage limit until ") {
                return found.waiting_for;
            }
        }
    })
    .await
}

/// Waits until the list of workers says why `claude` is not offered.
async fn wait_until_listed(client: &Client) {
    soon("the worker to be listed without its agent", async {
        loop {
            let request = client.request(ListWorkersRequest {});
            let listed = client.fleet().list_workers(request).await.expect("a list").into_inner();
            let mut agents = listed.workers.iter().flat_map(|worker| &worker.agents);
            if agents.any(|agent| agent.unusable_because.starts_with("usage limit until ")) {
                return;
            }
        }
    })
    .await;
}

fn assert_parked_at_no_cost(parked: &Event) {
    let failure = parked.failure.as_ref().expect("the limit");
    assert_eq!((parked.state(), failure.reason.as_str()), (TaskState::Parked, "usage_limit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriptions_limit_parks_its_task_and_sends_others_to_other_hosts() {
    let Some(cli) = claude::find() else { return };
    let (host, api) = (Host::new(), MessagesApi::start().await.expect("the API starts"));
    let coordinator = Coordinator::start(&host).await;
    let login = "CLAUDE_CODE_OAUTH_TOKEN";
    let _anvil = Worker::start(&host, &coordinator, worker_with(&cli, &api, "anvil", login)).await;
    let (client, ctl) = (coordinator.client().await, Ctl::new(&host, &coordinator));
    let mut feed = Feed::from_start(&client).await;
    let reset = in_an_hour();
    api.script("used-up", Script::new().fault_forever(Fault::used_up(reset)));
    api.script("elsewhere", Script::new().turn(Turn::text("Done elsewhere.")));

    let limited = task::submit_one(&client, one_try("used-up: answer")).await;
    let parked = feed.wait_for_state(&limited.id, TaskState::Parked).await;
    assert_parked_at_no_cost(&parked);
    assert_eq!(parked.wake_at_ms, reset * 1000, "{}", feed.story());
    let found = task::get(&client, &limited.id).await.task.expect("a task");
    assert_eq!((found.agent_failures, found.infrastructure_failures), (0, 0));
    assert_eq!(api.requests("used-up").len(), 1, "a limit is not hammered");

    let other = task::submit_one(&client, one_try("elsewhere: answer")).await;
    let why = wait_until_held_back(&client, &other.id).await;
    assert!(why.contains("anvil"), "{why}");
    wait_until_listed(&client).await;
    let workers = ctl.run(["workers"]).await;
    assert!(workers.stderr.contains("anvil does not offer claude: usage limit until "), "{workers:?}");
    let status = ctl.run(["status", &limited.number.to_string()]).await;
    assert!(status.stdout.contains("until ") && status.stdout.contains("(usage limit)"), "{status:?}");

    let _bellows = Worker::start(&host, &coordinator, worker_with(&cli, &api, "bellows", login)).await;
    let end = feed.wait_for_end(&other.id).await;
    assert_eq!(
        (end.state(), end.worker_name.as_str()),
        (TaskState::Succeeded, "bellows"),
        "{}",
        feed.story()
    );
    let cancelled = ctl.run(["cancel", &limited.number.to_string()]).await;
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    assert_eq!(feed.wait_for_end(&limited.id).await.state(), TaskState::Cancelled);
    let watch = ctl.run(["watch", &limited.number.to_string()]).await;
    let told = format!("{}{}", watch.stdout, watch.stderr);
    assert!(told.contains("parked until ") && told.contains("(usage limit)"), "{watch:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_go_on_by_themselves_once_the_limit_is_over() {
    let Some(cli) = claude::find() else { return };
    let (host, api) = (Host::new(), MessagesApi::start().await.expect("the API starts"));
    let coordinator = Coordinator::start(&host).await;
    // A key's limit comes without its reset: so long is it waited out.
    let setup = worker_with(&cli, &api, "anvil", "ANTHROPIC_API_KEY").flag("--limit-pause-ms", 8000);
    let _worker = Worker::start(&host, &coordinator, setup).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let noted = Turn::tool("Bash", json!({ "command": "echo noted-before" }));
    let script = Script::new().turn(noted).fault(Fault::rate_limited(3600)).turn(Turn::text("First."));
    api.script("first", script);
    api.script("second", Script::new().turn(Turn::text("Second.")));

    let first = task::submit_one(&client, one_try("first: answer")).await;
    let parked = feed.wait_for_state(&first.id, TaskState::Parked).await;
    assert_parked_at_no_cost(&parked);
    let second = task::submit_one(&client, one_try("second: answer")).await;
    wait_until_held_back(&client, &second.id).await;

    for (submitted, words) in [(&first, "First."), (&second, "Second.")] {
        let end = feed.wait_for_end(&submitted.id).await;
        assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());
        assert_eq!(task::report(&client, &submitted.id).await.result_text, words);
    }
    // It went on with its conversation: the model sees what was said and done before the limit.
    let requests = api.requests("first");
    assert_eq!(requests.len(), 3, "one before the limit, one that met it, one after it");
    let [before, after] = [&requests[0], &requests[2]].map(|request| request["messages"].to_string());
    assert!(!before.contains("noted-before") && after.contains("noted-before"), "{after}");
    let started =
        feed.wait_for("the second to start", |event| event.task_id == second.id && event.kind == "started");
    let started = started.await;
    assert!(started.at_ms >= parked.wake_at_ms, "not before the reset: {}", feed.story());
}
