//! Commits reach the origin, or a bundle that brings them back.

use factory_domain::{Deliver, Delivery, Leftovers};
use factory_worker::delivery::{Delivered, deliver};
use factory_worker::worktree::Worktree;

use crate::fixture::Fixture;

fn why(delivered: &Delivered) -> &str {
    match &delivered.delivery {
        Delivery::Bundled { why } => why,
        other => panic!("{other:?}"),
    }
}

/// A clone of the origin fetches the branch from the bundle.
fn restores(fixture: &Fixture, delivered: &Delivered, worktree: &Worktree, tip: &str) {
    let bundle = delivered.bundle.as_ref().expect("a bundle").to_str().expect("a plain path").to_owned();
    let elsewhere = fixture.path("elsewhere");
    let origin = fixture.origin();
    let (origin, target) = (origin.to_str().expect("plain"), elsewhere.to_str().expect("plain"));
    fixture.git(&fixture.path("."), &["clone", "--quiet", origin, target]);
    fixture.git(&elsewhere, &["bundle", "verify", "--quiet", &bundle]);
    let branch = worktree.branch.as_str();
    fixture.git(&elsewhere, &["fetch", "--quiet", &bundle, &format!("{branch}:restored")]);
    assert_eq!(fixture.git(&elsewhere, &["rev-parse", "restored"]), tip);
}

#[tokio::test]
async fn a_branch_is_pushed_and_pushing_again_is_harmless() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let commit = fixture.commit_in(&worktree.path, "a", "x\n");
    for _ in 0..2 {
        let delivered = deliver(&worktree, Deliver::Branch, &fixture.out()).await.expect("delivered");
        assert_eq!(delivered, Delivered { delivery: Delivery::Pushed, bundle: None });
    }
    assert_eq!(fixture.git(&fixture.origin(), &["rev-parse", "factory/one"]), commit);
}

#[tokio::test]
async fn a_branch_is_pushed_over_the_network() {
    let fixture = Fixture::new();
    let (source, token) = (fixture.remote_source(), tokio_util::sync::CancellationToken::new());
    let worktree = fixture.request(&source, "one", None, "mine", &token).await.expect("a worktree");
    let commit = fixture.commit_in(&worktree.path, "a", "x\n");
    let delivered = deliver(&worktree, Deliver::Branch, &fixture.out()).await.expect("delivered");
    assert_eq!(delivered.delivery, Delivery::Pushed);
    assert_eq!(fixture.git(&fixture.origin(), &["rev-parse", "mine"]), commit);
    assert!(fixture.connections().iter().any(|asked| asked.starts_with("git-receive-pack")));
}

#[tokio::test]
async fn what_is_delivered_is_heads_commit_under_the_tasks_name() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    fixture.git(&worktree.path, &["checkout", "--quiet", "-b", "idea"]);
    let commit = fixture.commit_in(&worktree.path, "a", "x\n");
    fixture.git(&worktree.path, &["remote", "set-url", "origin", "/nowhere"]);
    deliver(&worktree, Deliver::Branch, &fixture.out()).await.expect("delivered");
    assert_eq!(fixture.git(&fixture.origin(), &["rev-parse", "factory/one"]), commit);
    assert!(!fixture.try_git(&fixture.origin(), &["rev-parse", "--verify", "idea"]).status.success());
}

#[tokio::test]
async fn without_commits_there_is_nothing_to_deliver() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let delivered = deliver(&worktree, Deliver::Branch, &fixture.out()).await.expect("delivered");
    assert_eq!(delivered, Delivered { delivery: Delivery::None, bundle: None });
    assert!(!fixture.try_git(&fixture.origin(), &["rev-parse", "--verify", "factory/one"]).status.success());
}

#[tokio::test]
async fn a_branch_checked_out_in_the_origin_is_bundled() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout_branch("one", None, "main").await.expect("a worktree");
    let commit = fixture.commit_in(&worktree.path, "a", "x\n");
    let delivered = deliver(&worktree, Deliver::Branch, &fixture.out()).await.expect("delivered");
    assert!(why(&delivered).contains("refused"), "{delivered:?}");
    restores(&fixture, &delivered, &worktree, &commit);
}

#[tokio::test]
async fn a_branch_that_moved_on_is_never_overwritten() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    fixture.git(&fixture.origin(), &["checkout", "--quiet", "-b", "factory/one"]);
    let theirs = fixture.commit("origin", "theirs", "x\n");
    fixture.git(&fixture.origin(), &["checkout", "--quiet", "main"]);
    fixture.git(&worktree.path, &["checkout", "--quiet", "--detach"]);
    let commit = fixture.commit_in(&worktree.path, "ours", "x\n");
    let delivered = deliver(&worktree, Deliver::Branch, &fixture.out()).await.expect("delivered");
    assert!(why(&delivered).contains("refused"), "{delivered:?}");
    assert_eq!(fixture.git(&fixture.origin(), &["rev-parse", "factory/one"]), theirs);
    restores(&fixture, &delivered, &worktree, &commit);
}

#[tokio::test]
async fn delivery_turned_off_keeps_a_bundle() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    std::fs::write(worktree.path.join("left"), "x\n").expect("written");
    worktree.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    let tip = worktree.tip().await.expect("a tip");
    let delivered = deliver(&worktree, Deliver::None, &fixture.out()).await.expect("delivered");
    assert_eq!(why(&delivered), "delivery was turned off");
    restores(&fixture, &delivered, &worktree, &tip);
}

#[tokio::test]
async fn an_origin_that_is_gone_costs_no_work() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let commit = fixture.commit_in(&worktree.path, "a", "x\n");
    std::fs::rename(fixture.origin(), fixture.path("moved")).expect("moved");
    let delivered = deliver(&worktree, Deliver::Branch, &fixture.out()).await.expect("delivered");
    assert!(why(&delivered).contains("not a git repository"), "{delivered:?}");
    std::fs::rename(fixture.path("moved"), fixture.origin()).expect("moved back");
    restores(&fixture, &delivered, &worktree, &commit);
}
