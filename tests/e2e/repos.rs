//! Repositories and worktrees: real clones by real workers, as a person manages them.

use std::path::Path;

use factory_proto::v1::{TaskSpec, TaskState};
use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup};
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::repository::{self, Origin};
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{soon, task};
use serde_json::Value;

/// A coordinator for which `owner/name` is in a folder of the host.
async fn coordinator(host: &Host) -> Coordinator {
    let setup = CoordinatorSetup::new(host);
    let forge = host.path().join("forge").display().to_string();
    let config = format!("{}\n[repos]\nhost = \"file://{forge}\"\ndefault_org = \"octo\"\n", setup.config);
    Coordinator::try_start(host, CoordinatorSetup { config, ..setup }).await.expect("the coordinator starts")
}

/// `octo/app` at the host of `owner/name`.
fn origin(host: &Host) -> Origin {
    std::fs::create_dir_all(host.path().join("forge/octo")).expect("a folder");
    Origin::new(host, "forge/octo/app")
}

/// One command that must succeed; what it said as JSON.
async fn done(ctl: &Ctl, args: &[&str]) -> Value {
    let said = ctl.run(args.iter().chain(&["-o", "json"])).await;
    assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{args:?}: {error} in {said:?}"))
}

/// One command that must be refused with this code, and say this.
async fn refused(ctl: &Ctl, args: &[&str], code: i32, about: &str) {
    let said = ctl.run(args).await;
    assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
    assert!(said.stderr.contains(about), "{args:?}: {said:?}");
}

fn commit(host: &Host, origin: &Origin, file: &str) -> String {
    let checkout = host.path().join(format!("checkout-{file}"));
    let path = checkout.display().to_string();
    repository::git(host, host.path(), ["clone", "--quiet", &origin.source(), &path]);
    std::fs::write(checkout.join(file), file).expect("a file");
    repository::git(host, &checkout, ["add", "--all"]);
    repository::git(host, &checkout, ["commit", "--quiet", "--message", file]);
    repository::git(host, &checkout, ["push", "--quiet", "origin", "HEAD:main"]);
    origin.head_of("main")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_is_looked_for_synced_on_every_host_and_removed() {
    let host = Host::new();
    let coordinator = coordinator(&host).await;
    let ctl = Ctl::new(&host, &coordinator);
    let origin = origin(&host);
    refused(&ctl, &["repos", "add", "octo/app"], 5, "no worker is connected").await;
    let _left = Worker::start(&host, &coordinator, WorkerSetup::named("left", 1)).await;
    let _right = Worker::start(&host, &coordinator, WorkerSetup::named("right", 1)).await;

    refused(&ctl, &["repos", "add", "octo/none"], 3, "octo/none").await;
    let added = done(&ctl, &["repos", "add", "app", "--clone"]).await;
    assert_eq!(
        (&added["name"], added["copies"].as_array().map(Vec::len)),
        (&"octo/app".into(), Some(2)),
        "{added}"
    );
    let head = commit(&host, &origin, "new");
    let synced = done(&ctl, &["repos", "sync", "octo/app"]).await;
    let copies = synced["repo"]["copies"].as_array().expect("copies");
    assert!(copies.iter().all(|copy| copy["head"] == head.as_str()), "{synced}");
    assert_eq!(
        copies.iter().map(|copy| copy["worker"].as_str()).collect::<Vec<_>>(),
        [Some("left"), Some("right")]
    );

    let removed = done(&ctl, &["repos", "remove", "octo/app"]).await;
    assert_eq!(removed["removed"].as_array().map(Vec::len), Some(2), "{removed}");
    refused(&ctl, &["repos", "show", "octo/app"], 3, "octo/app").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_made_by_hand_keeps_its_work_until_it_is_given_up() {
    let host = Host::new();
    let coordinator = coordinator(&host).await;
    let ctl = Ctl::new(&host, &coordinator);
    origin(&host);
    let _left = Worker::start(&host, &coordinator, WorkerSetup::named("left", 1)).await;
    let _right = Worker::start(&host, &coordinator, WorkerSetup::named("right", 1)).await;
    let tree = ["octo/app", "feat/auth-fix"];
    let made = done(&ctl, &["worktrees", "add", tree[0], tree[1], "--worker", "right"]).await;
    let path = made["path"].as_str().expect("a path").to_owned();
    assert!(Path::new(&path).join("README.md").exists(), "{made}");
    assert_eq!((&made["worker"], &made["clean"]), (&"right".into(), &true.into()));

    std::fs::write(Path::new(&path).join("notes"), "by hand").expect("a file");
    refused(&ctl, &["worktrees", "remove", tree[0], tree[1]], 5, "--force").await;
    assert!(Path::new(&path).join("notes").exists(), "nothing was lost");
    let listed = done(&ctl, &["worktrees", "list", "--repo", "app"]).await;
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    done(&ctl, &["worktrees", "remove", tree[0], tree[1], "--force"]).await;
    assert!(!Path::new(&path).exists(), "it is gone");
    refused(&ctl, &["worktrees", "show", tree[0], tree[1]], 3, "feat/auth-fix").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_a_hand_made_branch_works_in_what_was_begun_there() {
    let host = Host::new();
    let coordinator = coordinator(&host).await;
    let ctl = Ctl::new(&host, &coordinator);
    let origin = origin(&host);
    let _worker = Worker::start(&host, &coordinator, WorkerSetup::named("hand", 1)).await;
    let made = done(&ctl, &["worktrees", "add", "octo/app", "begun"]).await;
    let path = made["path"].as_str().expect("a path").to_owned();
    std::fs::write(Path::new(&path).join("notes"), "by hand\n").expect("a file");

    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let script = "cat notes\necho more >> notes\ngit add --all\ngit commit --quiet --message 'Finish it'\n";
    let spec = TaskSpec { repo: "app".to_owned(), branch: "begun".to_owned(), ..task::script(script) };
    let submitted = task::submit_one(&client, spec).await;
    let end = feed.wait_for_end(&submitted.id).await;
    assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());
    assert_eq!(origin.file("begun", "notes"), "by hand\nmore");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_of_a_repository_that_is_not_there_says_so() {
    let host = Host::new();
    let coordinator = coordinator(&host).await;
    let _worker = Worker::start(&host, &coordinator, WorkerSetup::named("hand", 1)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let spec = TaskSpec { repo: "none".to_owned(), max_attempts: Some(1), ..task::script("true") };
    let submitted = task::submit_one(&client, spec).await;
    let end = soon("its end", feed.wait_for_end(&submitted.id)).await;
    assert_eq!(end.state(), TaskState::Failed, "{}", feed.story());
    let failure = task::report(&client, &submitted.id).await.failure.expect("a failure");
    assert!(failure.message.contains("octo/none"), "{failure:?}");
}
