//! Starting from the branches of other tasks.

use factory_domain::{AttemptId, BranchName, ConflictPolicy, Deliver, Delivery, Leftovers, TaskId, Upstream};
use factory_worker::delivery::deliver;
use factory_worker::repo::{Incoming, Merge, RepoError, Request};
use factory_worker::worktree::Worktree;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::fixture::{Fixture, read};

/// A task done before: one file on a branch of its own, delivered as asked.
async fn done(fixture: &Fixture, number: u64, file: &str, content: &str, how: Deliver) -> Incoming {
    let name = format!("done{number}");
    let worktree = fixture.checkout(&name, Some("main")).await.expect("a worktree");
    let commit = fixture.commit_in(&worktree.path, file, content);
    let out = fixture.path(&format!("out-{name}"));
    std::fs::create_dir(&out).expect("a directory");
    let delivered = deliver(&worktree, how, &out).await.expect("delivered");
    worktree.remove().await.expect("removed");
    let upstream = Upstream {
        task: TaskId::from_uuid(Uuid::now_v7()),
        number,
        title: format!("Add {file}"),
        attempt: AttemptId::from_uuid(Uuid::now_v7()),
        branch: worktree.branch.to_string(),
        commit,
        pushed: delivered.delivery == Delivery::Pushed,
    };
    Incoming { upstream, bundle: delivered.bundle }
}

async fn start(
    fixture: &Fixture,
    name: &str,
    upstreams: &[Incoming],
    on_conflict: ConflictPolicy,
) -> Result<Worktree, RepoError> {
    let branch = BranchName::parse(format!("factory/{name}")).expect("a branch");
    let workspace = fixture.path("worker/workspaces").join(name);
    let request = Request {
        source: &fixture.source("origin"),
        base: None,
        attempt: AttemptId::from_uuid(Uuid::now_v7()),
        branch: &branch,
        merge: Merge { upstreams, on_conflict },
        workspace: &workspace,
        goes_on: false,
        token: &CancellationToken::new(),
    };
    fixture.cache.checkout(&request, &|_| {}).await
}

fn files(worktree: &Worktree) -> Vec<String> {
    let entries = std::fs::read_dir(&worktree.path).expect("a worktree");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn branches_are_merged_into_the_base_and_only_the_agents_commits_are_its_own() {
    let fixture = Fixture::new();
    let left = done(&fixture, 1, "left", "l\n", Deliver::Branch).await;
    let right = done(&fixture, 2, "right", "r\n", Deliver::Branch).await;
    let worktree = start(&fixture, "both", &[left.clone(), right.clone()], ConflictPolicy::Fail).await;
    let worktree = worktree.expect("a worktree");
    assert_eq!(files(&worktree), [".git", "README", "left", "right"]);
    let parents = fixture.git(&worktree.path, &["show", "--no-patch", "--format=%P", "HEAD"]);
    assert_eq!(parents, format!("{} {}", left.upstream.commit, right.upstream.commit), "the first is fast");

    let own = fixture.commit_in(&worktree.path, "both", "b\n");
    let work = worktree.finish(Leftovers::Commit, "both", &fixture.out()).await.expect("finished");
    assert_eq!(work.commits.iter().map(|commit| &commit.id).collect::<Vec<_>>(), [&own]);
    assert_eq!(work.diff_stat.files, 1);
    let delivered = deliver(&worktree, Deliver::Branch, &fixture.out()).await.expect("delivered");
    assert_eq!(delivered.delivery, Delivery::Pushed);
    let branch = fixture.git(&fixture.origin(), &["rev-parse", "factory/both"]);
    assert_eq!(branch, own, "with the merge below it");
    worktree.remove().await.expect("removed");
    let left_over = fixture.git(&fixture.clone_path(), &["for-each-ref", "refs/factory/upstreams"]);
    assert_eq!(left_over, "");
}

#[tokio::test]
async fn the_same_branches_give_the_same_commits_again_whoever_asks() {
    let fixture = Fixture::new();
    let upstreams = [
        done(&fixture, 1, "left", "l\n", Deliver::Branch).await,
        done(&fixture, 2, "right", "r\n", Deliver::Branch).await,
        done(&fixture, 3, "third", "t\n", Deliver::Branch).await,
    ];
    let first = start(&fixture, "first", &upstreams, ConflictPolicy::Fail).await.expect("a worktree");
    let hostile =
        "[user]\n\tname = Eve\n\temail = eve@example.org\n[merge]\n\tff = only\n[commit]\n\tgpgSign = true\n";
    std::fs::write(fixture.path("gitconfig"), hostile).expect("written");
    let again = start(&fixture, "again", &upstreams, ConflictPolicy::Fail).await.expect("a worktree");
    assert_eq!(first.base_commit, again.base_commit);
    let author = fixture.git(&again.path, &["show", "--no-patch", "--format=%an %cn", "HEAD"]);
    assert_eq!(author, "Factory Factory");
}

#[tokio::test]
async fn work_that_was_not_pushed_comes_as_a_bundle_and_goes_on_in_one() {
    let fixture = Fixture::new();
    let first = done(&fixture, 1, "first", "1\n", Deliver::None).await;
    assert!(first.bundle.is_some() && !first.upstream.pushed);
    // As on another worker: its clone has never seen the commits.
    std::fs::remove_dir_all(fixture.path("worker/repos")).expect("removed");
    let fixture = fixture.restarted();
    let upstreams = [first];
    let worktree = start(&fixture, "next", &upstreams, ConflictPolicy::Fail).await.expect("a worktree");
    assert_eq!(read(worktree.path.join("first")), "1\n");
    let own = fixture.commit_in(&worktree.path, "next", "2\n");
    let delivered = deliver(&worktree, Deliver::None, &fixture.out()).await.expect("delivered");
    let bundle = delivered.bundle.expect("a bundle").display().to_string();
    fixture.git(&fixture.origin(), &["fetch", "--quiet", &bundle, "factory/next"]);
    let fetched = fixture.git(&fixture.origin(), &["log", "--format=%H", "main..FETCH_HEAD"]);
    assert_eq!(fetched, format!("{own}\n{}", upstreams[0].upstream.commit), "whole from what the origin has");
}

#[tokio::test]
async fn a_conflict_names_the_files_and_both_branches_and_leaves_nothing() {
    let fixture = Fixture::new();
    let one = done(&fixture, 1, "same", "one\n", Deliver::Branch).await;
    let other = done(&fixture, 2, "other", "o\n", Deliver::Branch).await;
    let two = done(&fixture, 3, "same", "two\n", Deliver::Branch).await;
    let error =
        start(&fixture, "clash", &[one, other, two], ConflictPolicy::Fail).await.expect_err("a conflict");
    assert_eq!(error.failure().reason, factory_domain::FailureReason::MergeConflict);
    let said = error.to_string();
    for part in ["factory/done3 of task 3", "factory/done1 of task 1", "In conflict: same"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!fixture.path("worker/workspaces/clash").exists());
    let branches = fixture.git(&fixture.clone_path(), &["for-each-ref", "refs/heads"]);
    assert_eq!(branches, "");
}

#[tokio::test]
async fn an_agent_begins_in_the_unfinished_merge_and_is_told_of_all_of_it() {
    let fixture = Fixture::new();
    let one = done(&fixture, 1, "same", "one\n", Deliver::Branch).await;
    let two = done(&fixture, 2, "same", "two\n", Deliver::Branch).await;
    let three = done(&fixture, 3, "third", "3\n", Deliver::Branch).await;
    let upstreams = [one, two, three];
    let worktree = start(&fixture, "clash", &upstreams, ConflictPolicy::Agent).await.expect("a worktree");
    assert_eq!(worktree.base_commit, upstreams[0].upstream.commit);
    assert!(read(worktree.path.join("same")).contains("<<<<<<<"));
    let note = worktree.lineage.conflict.as_ref().expect("a conflict").note();
    assert!(note.contains("branch factory/done2 of task 2") && note.contains("\n- same\n"), "{note}");
    let next = format!("- `git merge {}`", upstreams[2].upstream.commit);
    assert!(note.contains(&next), "{note}");

    let left = async || worktree.left_unmerged(true).await.expect("told").unwrap_or_default();
    assert!(left().await.contains("still in conflict: same"));
    std::fs::write(worktree.path.join("same"), "one and two\n").expect("written");
    fixture.git(&worktree.path, &["add", "same"]);
    assert!(left().await.contains("factory/done3"), "the next is missing");
    fixture.git(&worktree.path, &["commit", "--quiet", "--no-edit"]);
    fixture.git(&worktree.path, &["merge", "--quiet", "--no-edit", &upstreams[2].upstream.commit]);
    assert_eq!(left().await, "");
    let work = worktree.finish(Leftovers::Commit, "clash", &fixture.out()).await.expect("finished");
    assert_eq!(
        work.commits.len(),
        2,
        "the merges are its own, and what they merged is not: {:?}",
        work.commits
    );
}

#[tokio::test]
async fn a_commit_that_is_nowhere_is_said_to_be() {
    let fixture = Fixture::new();
    let mut gone = done(&fixture, 1, "x", "x\n", Deliver::Branch).await;
    for commit in ["0123456789012345678901234567890123456789", "--upload-pack=x", ""] {
        gone.upstream.commit = commit.to_owned();
        let error = start(&fixture, "next", std::slice::from_ref(&gone), ConflictPolicy::Fail).await;
        let error = error.expect_err("there is no such commit");
        assert!(matches!(error, RepoError::UpstreamMissing { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_merge_left_unsettled_is_the_next_attempts_to_settle() {
    let fixture = Fixture::new();
    let one = done(&fixture, 1, "same", "one\n", Deliver::Branch).await;
    let two = done(&fixture, 2, "same", "two\n", Deliver::Branch).await;
    let three = done(&fixture, 3, "third", "3\n", Deliver::Branch).await;
    let incoming = [one, two, three];
    let upstreams: Vec<_> = incoming.iter().map(|incoming| incoming.upstream.clone()).collect();
    let mut worktree = start(&fixture, "clash", &incoming, ConflictPolicy::Agent).await.expect("a worktree");
    worktree.finish(Leftovers::Commit, "clash", &fixture.out()).await.expect("finished");
    worktree.reopen_leftovers("clash").await.expect("open again");
    worktree.take_over(&upstreams).await.expect("taken over");
    let note = worktree.lineage.conflict.as_ref().expect("a conflict").note();
    assert!(note.contains("\n- same\n") && note.contains(&upstreams[2].commit), "{note}");
    std::fs::write(worktree.path.join("same"), "one and two\n").expect("written");
    fixture.git(&worktree.path, &["add", "same"]);
    fixture.git(&worktree.path, &["commit", "--quiet", "--no-edit"]);
    let parents = fixture.git(&worktree.path, &["show", "--no-patch", "--format=%P", "HEAD"]);
    assert_eq!(parents, format!("{} {}", upstreams[0].commit, upstreams[1].commit));

    // Interrupted there: a merge that has not begun is not taken for done.
    worktree.take_over(&upstreams).await.expect("taken over");
    let note = worktree.lineage.conflict.as_ref().expect("one is missing").note();
    assert!(!note.contains("unfinished merge") && note.contains(&upstreams[2].commit), "{note}");
    assert!(
        !fixture
            .try_git(&worktree.path, &["rev-parse", "--verify", "--quiet", "MERGE_HEAD"])
            .status
            .success()
    );
    fixture.git(&worktree.path, &["merge", "--quiet", "--no-edit", &upstreams[2].commit]);
    assert_eq!(worktree.left_unmerged(true).await.expect("told"), None);
}
