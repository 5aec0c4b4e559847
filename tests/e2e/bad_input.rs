//! Bad input gets a clear error, with the documented code, and changes nothing.

use std::net::TcpListener;

use factory_proto::client::Client;
use factory_proto::v1::TaskSpec;
use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup};
use factory_tests::harness::ctl::{Ctl, Said};
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{mounts, task};
use tonic::Code;
use tonic_types::StatusExt;

const USAGE: i32 = 2;
const NOT_FOUND: i32 = 3;
const UNREACHABLE: i32 = 4;
const REFUSED: i32 = 5;

fn assert_refused(said: &Said, code: i32, named: &str) {
    assert_eq!(said.code, Some(code), "{named}: {said:?}");
    assert!(said.stderr.contains(named), "{named:?} is not named: {said:?}");
    assert_eq!(said.stdout, "", "errors go to stderr");
}

async fn assert_unchanged(client: &Client) {
    let list = task::list(client).await;
    assert!(list.tasks.is_empty(), "{:?}", list.tasks);
    assert_eq!(list.cursor, 0, "the feed has moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn factoryctl_refuses_what_cannot_be_a_task() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let ctl = Ctl::new(&host, &coordinator);
    let origin = Origin::new(&host, "app");
    let repo = origin.source();
    let nowhere = host.path().join("nowhere").display().to_string();
    let cases: &[(&[&str], &str)] = &[
        (&["submit", "--no-repo", ""], "PROMPT"),
        (&["submit", "--no-repo", "  "], "PROMPT"),
        (&["submit", "x", "--repo", &repo, "--base", "--upload-pack=x"], "--upload-pack=x"),
        (&["submit", "x", "--repo", &repo, "--branch", "../../x"], "../../x"),
        (&["submit", "x", "--repo", &repo, "--branch", "-D"], "-D"),
        (&["submit", "x", "--repo", &nowhere], &nowhere),
        (&["submit", "x", "--repo", "ext::sh -c id"], "ext::sh -c id"),
        (&["submit", "x", "--no-repo", "--base", "main"], "--base"),
        (&["submit", "x", "--no-repo", "--agent", "nobody"], "nobody"),
        (&["submit", "x", "--no-repo", "--label", "gpu"], "gpu"),
        (&["submit", "x", "--no-repo", "--max-attempts", "0"], "--max-attempts"),
        (&["submit", "x", "--no-repo", "--timeout", "soon"], "soon"),
        (&["status", "--state", "bogus"], "bogus"),
        (&["watch", "1", "--since", "yesterday"], "yesterday"),
        (&["frobnicate"], "frobnicate"),
    ];
    for (args, named) in cases {
        assert_refused(&ctl.run(*args).await, USAGE, named);
    }
    for (input, named) in [(&vec![b'x'; 3_000_000][..], "1048576"), (b"a\0b", "NUL"), (b" \n", "PROMPT")] {
        assert_refused(&ctl.run_with_input(["submit", "--no-repo", "-"], input).await, USAGE, named);
    }
    for command in ["status", "watch", "logs", "result", "diff", "cancel", "retry"] {
        assert_refused(&ctl.run([command, "7"]).await, NOT_FOUND, "7");
    }
    assert_unchanged(&coordinator.client().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wire_refuses_the_same_naming_each_field() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let client = coordinator.client().await;
    let valid = || TaskSpec { prompt: "x".to_owned(), repo: "octo/app".to_owned(), ..TaskSpec::default() };
    let text = |value: &str| value.to_owned();
    let cases = [
        ("prompt", TaskSpec { prompt: text(""), ..valid() }),
        ("prompt", TaskSpec { prompt: "x".repeat(3_000_000), ..valid() }),
        ("prompt", TaskSpec { prompt: text("a\0b"), ..valid() }),
        ("base", TaskSpec { base: text("--upload-pack=x"), ..valid() }),
        ("branch", TaskSpec { branch: text("../../x"), ..valid() }),
        ("branch", TaskSpec { branch: text("-D"), ..valid() }),
        ("repo", TaskSpec { repo: text("no/such/form"), ..valid() }),
        ("agent", TaskSpec { agent: text("nobody"), ..valid() }),
        ("labels", TaskSpec { labels: [(text("a b"), text("c"))].into(), ..valid() }),
        ("priority", TaskSpec { priority: 5000, ..valid() }),
    ];
    for (field, spec) in cases {
        // The valid neighbour is not accepted either: all or none.
        let status = task::try_submit(&client, vec![valid(), spec]).await.expect_err(field);
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
        let details = status.get_details_bad_request().expect("the fields are named");
        let fields: Vec<&str> = details.field_violations.iter().map(|found| found.field.as_str()).collect();
        assert_eq!(fields, [format!("tasks[1].{field}")]);
    }
    let huge = TaskSpec { prompt: "x".repeat(20_000_000), ..valid() };
    let status = task::try_submit(&client, vec![huge]).await.expect_err("too large for a message");
    assert!(matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted), "{status:?}");
    assert_unchanged(&client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_or_none_is_refused() {
    let host = Host::new();
    let setup = CoordinatorSetup { token: Some("right".to_owned()), ..CoordinatorSetup::new(&host) };
    let coordinator = Coordinator::try_start(&host, setup).await.expect("it starts");
    let ctl = Ctl::new(&host, &coordinator);
    for stranger in [ctl.clone(), ctl.clone().token("wrong")] {
        assert_refused(&stranger.run(["submit", "x", "--no-repo"]).await, REFUSED, "token");
        assert_refused(&stranger.run(["status"]).await, REFUSED, "token");
    }
    let known = ctl.token("right").run(["status"]).await;
    assert_eq!(known.code, Some(0), "{known:?}");
    let worker = WorkerSetup { token: Some("wrong".to_owned()), ..WorkerSetup::named("stranger", 1) };
    let refusal = Worker::try_start(&host, &coordinator, worker).await.err().expect("refused");
    assert!(refusal.stderr.contains("token"), "{}", refusal.stderr);
    assert_unchanged(&coordinator.client().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_coordinator_is_said_to_be_none() {
    let host = Host::new();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let url = format!("http://{free}");
    let said = Ctl::at(&host, &url).run(["status"]).await;
    assert_refused(&said, UNREACHABLE, &url);
}

async fn refusal(host: &Host, setup: CoordinatorSetup) -> String {
    let refusal = Coordinator::try_start(host, setup).await.err().expect("it refuses to start");
    assert!(!refusal.status.success(), "{refusal:?}");
    refusal.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_configuration_key_is_named_with_its_line() {
    let host = Host::new();
    let config = "[lease]\nheartbeat_ms = 1000\nhartbeat_ms = 1\n".to_owned();
    let stderr = refusal(&host, CoordinatorSetup { config, ..CoordinatorSetup::new(&host) }).await;
    assert!(stderr.contains("hartbeat_ms") && stderr.contains("line 3"), "{stderr}");
    assert!(!CoordinatorSetup::new(&host).root.exists(), "a refused start makes no root");

    let coordinator = Coordinator::start(&host).await;
    let file = host.path().join("worker.toml");
    std::fs::write(&file, "slotts = 2\n").expect("a file");
    let setup = WorkerSetup::named("anvil", 1).env("FACTORY_CONFIG", file);
    let refusal = Worker::try_start(&host, &coordinator, setup).await.err().expect("refused");
    assert!(refusal.stderr.contains("slotts") && refusal.stderr.contains("line 1"), "{}", refusal.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_listener_needs_a_token() {
    let host = Host::new();
    let stderr =
        refusal(&host, CoordinatorSetup { listen: "0.0.0.0:0".to_owned(), ..CoordinatorSetup::new(&host) })
            .await;
    assert!(stderr.contains("FACTORY_AUTH_TOKEN"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let host = Host::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    let setup = CoordinatorSetup { listen: address.to_string(), ..CoordinatorSetup::new(&host) };
    let stderr = refusal(&host, setup).await;
    assert!(stderr.contains(&format!("port {} is in use", address.port())), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_coordinator_on_the_same_root_is_refused() {
    let host = Host::new();
    let first = Coordinator::start(&host).await;
    let client = first.client().await;
    task::submit_one(&client, task::script("true")).await;
    let root = first.root().display().to_string();
    let stderr = refusal(&host, CoordinatorSetup::new(&host)).await;
    assert!(stderr.contains(&root), "{stderr}");
    assert_eq!(task::list(&client).await.tasks.len(), 1, "the first goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_cannot_be_written_is_named() {
    let host = Host::new();
    // Also where root may write everything: nothing can be made under a file.
    let file = host.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let root = file.join("root");
    let stderr =
        refusal(&host, CoordinatorSetup { root: root.clone(), ..CoordinatorSetup::new(&host) }).await;
    assert!(stderr.contains(&root.display().to_string()), "{stderr}");

    let coordinator = Coordinator::start(&host).await;
    let worker = WorkerSetup::named("anvil", 1).env("AGENT_FACTORY_DIRPATH", root.clone());
    let refused = Worker::try_start(&host, &coordinator, worker).await.err().expect("refused");
    assert!(refused.stderr.contains(&root.display().to_string()), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_root_is_named() {
    let host = Host::new();
    if !mounts::permitted() {
        return;
    }
    let setup = CoordinatorSetup { mount: Some("ro".to_owned()), ..CoordinatorSetup::new(&host) };
    let root = setup.root.display().to_string();
    let stderr = refusal(&host, setup).await;
    assert!(stderr.contains(&root) && stderr.to_lowercase().contains("read-only"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_root_refuses_a_start_and_then_a_submit_and_loses_nothing() {
    let host = Host::new();
    if !mounts::permitted() {
        return;
    }
    let tiny = CoordinatorSetup { mount: Some("size=16k".to_owned()), ..CoordinatorSetup::new(&host) };
    let root = tiny.root.display().to_string();
    let stderr = refusal(&host, tiny).await;
    assert!(stderr.contains(&root) && stderr.to_lowercase().contains("full"), "{stderr}");

    let small = CoordinatorSetup { mount: Some("size=6m".to_owned()), ..CoordinatorSetup::new(&host) };
    let coordinator = Coordinator::try_start(&host, small).await.expect("it starts");
    let client = coordinator.client().await;
    let mut accepted = 0;
    let refused = loop {
        let large = TaskSpec { prompt: "x".repeat(500_000), ..TaskSpec::default() };
        match task::try_submit(&client, vec![large]).await {
            Ok(_) => accepted += 1,
            Err(status) => break status,
        }
        assert!(accepted < 100, "6 MiB do not hold 50 MB");
    };
    assert!(refused.message().contains("full"), "{refused:?}");
    let list = task::list(&client).await;
    assert_eq!(list.tasks.len(), accepted, "what was accepted is there, and what was refused is not");
    assert_eq!(list.cursor, accepted as u64);
}
