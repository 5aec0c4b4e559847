//! A login that the API refuses, with the real Claude Code CLI: one task fails, the others wait.

use std::path::Path;

use factory_proto::client::Client;
use factory_proto::v1::{Task, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{claude, soon, task};
use factory_tests::messages_api::{Fault, Gate, MessagesApi, Script, Turn};
use serde_json::json;

fn one_try(prompt: &str) -> TaskSpec {
    TaskSpec { prompt: prompt.to_owned(), max_attempts: Some(1), ..TaskSpec::default() }
}

/// Logs the host in, as `claude /login` would: into the file that all its agents share.
fn log_in(host: &Host, token: &str) {
    let folder = host.home().join(".claude");
    std::fs::create_dir_all(&folder).expect("a folder");
    let login = json!({ "claudeAiOauth": {
        "accessToken": token,
        "refreshToken": "none",
        "expiresAt": 4_000_000_000_000_u64,
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    } });
    std::fs::write(folder.join(".credentials.json"), login.to_string()).expect("a login");
}

async fn wait_for_reason(client: &Client, id: &str, needle: &str) -> Task {
    soon(&format!("the task to wait for {needle:?}"), async {
        loop {
            let found = task::get(client, id).await.task.expect("a task");
            if found.waiting_for.contains(needle) {
                return found;
            }
        }
    })
    .await
}

fn worker_with(cli: &Path, api: &MessagesApi) -> WorkerSetup {
    WorkerSetup::named("anvil", 2).env("FACTORY_CLAUDE_BIN", cli).env("ANTHROPIC_BASE_URL", api.url())
}

#[tokio::test(flavor = "multi_thread")]
async fn others_wait_for_a_better_login_which_one_of_them_tries_first() {
    let Some(cli) = claude::find() else { return };
    let (host, api) = (Host::new(), MessagesApi::start().await.expect("the API starts"));
    let coordinator = Coordinator::start(&host).await;
    log_in(&host, "old");
    let _worker = Worker::start(&host, &coordinator, worker_with(&cli, &api)).await;
    let (client, ctl) = (coordinator.client().await, Ctl::new(&host, &coordinator));
    let mut feed = Feed::from_start(&client).await;
    let shown = ctl.run(["workers", "show", "anvil"]).await;
    assert!(shown.stdout.contains("all agents share the login in "), "{shown:?}");
    let gate = Gate::closed();
    api.script("refused", Script::new().fault_forever(Fault::status(401)));
    for name in ["second", "third"] {
        api.script(name, Script::new().turn(Turn::text("Done.").behind(&gate)));
    }

    let refused = task::submit_one(&client, one_try("refused: answer")).await;
    let end = feed.wait_for_end(&refused.id).await;
    let failure = end.failure.as_ref().expect("a failure");
    assert_eq!(
        (end.state(), failure.reason.as_str()),
        (TaskState::Failed, "auth_failed"),
        "{}",
        feed.story()
    );

    let others = task::submit(&client, vec![one_try("second: answer"), one_try("third: answer")]).await;
    for other in &others {
        let waiting = wait_for_reason(&client, &other.id, "the API refused its login at ").await;
        assert_eq!((waiting.state(), waiting.attempts), (TaskState::Queued, 0), "{}", waiting.waiting_for);
    }
    // The refusal of an offer is known before the worker has said anew what it offers.
    let withdrawn = "anvil does not offer claude: the API refused its login";
    soon("the worker's own word", async { while !ctl.run(["workers"]).await.stderr.contains(withdrawn) {} })
        .await;

    log_in(&host, "new");
    soon("a request of one of them", async {
        tokio::select! {
            _ = api.wait_for_requests("second", 1) => {}
            _ = api.wait_for_requests("third", 1) => {}
        }
    })
    .await;
    // A slot is free, and still the other waits for what the API says to the first.
    let (mut waiting, mut trying) = (&others[1].id, "second");
    if api.requests("second").is_empty() {
        (waiting, trying) = (&others[0].id, "third");
    }
    wait_for_reason(&client, waiting, "one task is trying it again now").await;
    assert_eq!(api.requests(trying).len(), 1);
    gate.open();
    for other in &others {
        assert_eq!(feed.wait_for_end(&other.id).await.state(), TaskState::Succeeded, "{}", feed.story());
    }
    assert!(!ctl.run(["workers"]).await.stderr.contains("does not offer claude"));
}
