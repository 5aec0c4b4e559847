//! `factoryctl` with nothing running: it brings a whole factory, and leaves nothing behind.

use std::net::TcpStream;

use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::host::Host;
use factory_tests::harness::{claude, processes, repository, skipped};
use factory_tests::messages_api::{MessagesApi, Script, Turn};
use serde_json::json;

/// Where `run` looks for a coordinator before it starts its own.
fn someone_listens_at_the_default_address() -> bool {
    let listens = TcpStream::connect("127.0.0.1:8100").is_ok();
    if listens {
        skipped("something on this machine listens on 127.0.0.1:8100");
    }
    listens
}

fn assert_nothing_is_left(host: &Host) {
    let left = processes::of_folder(host.path());
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_does_the_whole_thing_and_exits_by_the_outcome() {
    if someone_listens_at_the_default_address() {
        return;
    }
    let host = Host::new();
    let ctl = Ctl::alone(&host);
    let run = ["run", "--no-repo", "--max-attempts", "1", "--agent", "command", "--", "sh", "-c"];
    let well = ctl.run(run.iter().chain(&["echo made > made.txt; echo all is well"])).await;
    assert_eq!(well.code, Some(0), "{well:?}");
    assert!(well.stdout.contains("all is well"), "{well:?}");
    assert_nothing_is_left(&host);

    let badly = ctl.run(run.iter().chain(&["echo so it goes; exit 3"])).await;
    assert_eq!(badly.code, Some(1), "{badly:?}");
    assert!(badly.stdout.contains("so it goes"), "{badly:?}");
    assert_nothing_is_left(&host);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_takes_the_repository_it_stands_in_and_warns_of_what_is_not_committed() {
    if someone_listens_at_the_default_address() {
        return;
    }
    let host = Host::new();
    let folder = host.path().join("app");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("README.md"), "# app\n").expect("a file");
    let git = |args: &[&str]| repository::git(&host, &folder, args);
    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "Begin"]);
    std::fs::write(folder.join("README.md"), "# not committed\n").expect("a file");

    let script =
        "cat README.md; echo new > new.txt; git add --all; git commit --quiet --message 'Add new.txt'";
    let ctl = Ctl::alone(&host).within(&folder);
    let said =
        ctl.run(["run", "--title", "Add a file", "--agent", "command", "--", "sh", "-ec", script]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stderr.contains(&folder.display().to_string()), "{said:?}");
    assert!(said.stderr.contains("commit"), "no warning: {said:?}");
    assert!(said.stdout.contains("# app") && !said.stdout.contains("# not committed"), "{said:?}");
    let branches = git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/factory"]);
    assert_eq!(git(&["show", &format!("{branches}:new.txt")]), "new");
    assert_eq!(git(&["status", "--porcelain"]), " M README.md", "the user's own files are left alone");
    assert_nothing_is_left(&host);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_six_tasks_and_a_retry() {
    let host = Host::new();
    let demo = Ctl::alone(&host).run(["demo", "--agent", "scripted"]).await;
    assert_eq!(demo.code, Some(0), "{demo:?}");
    assert!(demo.stdout.matches("succeeded").count() >= 6, "{demo:?}");
    assert_nothing_is_left(&host);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_takes_the_real_claude_where_it_can() {
    let Some(cli) = claude::find() else { return };
    let host = Host::new();
    let api = MessagesApi::start().await.expect("the API starts");
    for wanted in
        ["section `Usage`", "characters(text)", "tests/test_count.py", "tally.count.lines", "CHANGELOG.md"]
    {
        let command = "date +%N > made.txt && git add --all && git commit --quiet --message 'Do it'";
        let script = Script::new()
            .turn(Turn::tool("Bash", json!({ "command": command, "description": "Do it" })))
            .turn(Turn::text("Done as asked."));
        api.script(wanted, script);
    }
    let ctl = Ctl::alone(&host)
        .env("FACTORY_CLAUDE_BIN", cli)
        .env("ANTHROPIC_API_KEY", "dummy")
        .env("ANTHROPIC_BASE_URL", api.url());
    let demo = ctl.run(["demo"]).await;
    assert_eq!(demo.code, Some(0), "{demo:?}");
    assert!(demo.stderr.contains("claude"), "it says which agent: {demo:?}");
    let rows: Vec<&str> = demo.stdout.lines().filter(|row| row.contains("succeeded")).collect();
    assert_eq!(rows.len(), 6, "{demo:?}");
    // The sixth is the scripted one that fails at first, and costs nothing.
    assert_eq!(rows.iter().filter(|row| row.contains("$0.00")).count(), 1, "{demo:?}");
    assert_nothing_is_left(&host);
}
