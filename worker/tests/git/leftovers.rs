//! What is read from a worktree when its agent has ended, whatever the agent did to it.

use factory_domain::{Deliver, DiffStat, Leftovers};
use factory_worker::worktree::Fate;

use crate::fixture::{Fixture, read};

fn subjects(work: &factory_worker::worktree::Work) -> Vec<&str> {
    work.commits.iter().map(|commit| commit.subject.as_str()).collect()
}

#[tokio::test]
async fn uncommitted_changes_become_one_commit_that_says_so() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    fixture.commit_in(&worktree.path, "done", "1\n2\n");
    std::fs::write(worktree.path.join("README"), "changed\n").expect("written");
    std::fs::write(worktree.path.join("neu\nund ü"), "x\n").expect("written");
    let out = fixture.out();
    let work = worktree.finish(Leftovers::Commit, "Fix the login", &out).await.expect("finished");
    assert_eq!(subjects(&work), ["Leftovers of: Fix the login", "Add done"]);
    assert_eq!((work.leftovers.files, work.leftovers.fate), (2, Fate::Committed));
    assert_eq!(work.diff_stat, DiffStat { files: 3, insertions: 4, deletions: 1 });
    assert_eq!(fixture.git(&worktree.path, &["status", "--porcelain"]), "");
    let patch = read(work.patch.as_ref().expect("a patch"));
    assert!(patch.contains("+changed"), "{patch}");

    let again = worktree.finish(Leftovers::Commit, "Fix the login", &out).await.expect("finished again");
    assert_eq!((again.commits, again.diff_stat), (work.commits, work.diff_stat));
}

#[tokio::test]
async fn the_patch_makes_the_same_tree_again() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    std::fs::write(worktree.path.join("binary"), [0_u8, 159, 146, 150, 0, 255]).expect("written");
    std::fs::rename(worktree.path.join("README"), worktree.path.join("LIES MICH")).expect("renamed");
    let work = worktree.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    let patch = work.patch.expect("a patch");
    let origin = fixture.origin();
    fixture.git(&origin, &["apply", "--index", patch.to_str().expect("a plain path")]);
    let applied = fixture.git(&origin, &["write-tree"]);
    assert_eq!(applied, fixture.git(&worktree.path, &["rev-parse", "HEAD^{tree}"]));
}

#[tokio::test]
async fn kept_leftovers_stay_and_discarded_ones_go() {
    let fixture = Fixture::new();
    for (name, wish, fate) in
        [("keep", Leftovers::Keep, Fate::Kept), ("discard", Leftovers::Discard, Fate::Discarded)]
    {
        let worktree = fixture.checkout(name, None).await.expect("a worktree");
        std::fs::write(worktree.path.join("README"), "changed\n").expect("written");
        std::fs::write(worktree.path.join("new"), "x\n").expect("written");
        let work = worktree.finish(wish, "t", &fixture.out()).await.expect("finished");
        assert_eq!((work.leftovers.files, work.leftovers.fate), (2, fate));
        assert_eq!((work.commits.len(), work.patch), (0, None));
        assert_eq!(worktree.path.join("new").exists(), fate == Fate::Kept);
        assert_eq!(read(worktree.path.join("README")) == "hello\n", fate == Fate::Discarded);
    }
}

#[tokio::test]
async fn an_untouched_worktree_has_no_work() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let work = worktree.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    assert_eq!((work.commits.len(), work.diff_stat), (0, DiffStat::default()));
    assert_eq!((work.patch, work.leftovers.fate), (None, Fate::None));
}

#[tokio::test]
async fn work_is_found_wherever_the_agent_left_head() {
    let fixture = Fixture::new();
    type Deed = fn(&Fixture, &std::path::Path);
    let deeds: [(&str, Deed, &[&str]); 5] = [
        (
            "detached",
            |fixture, path| {
                fixture.git(path, &["checkout", "--quiet", "--detach"]);
                fixture.commit_in(path, "a", "x\n");
            },
            &["Add a"],
        ),
        (
            "another-branch",
            |fixture, path| {
                fixture.git(path, &["checkout", "--quiet", "-b", "idea"]);
                fixture.commit_in(path, "a", "x\n");
            },
            &["Add a"],
        ),
        (
            "went-back",
            |fixture, path| {
                fixture.commit_in(path, "a", "x\n");
                fixture.git(path, &["checkout", "--quiet", "--detach", "HEAD~1"]);
            },
            &["Add a"],
        ),
        (
            "amended-the-base",
            |fixture, path| {
                fixture.git(path, &["commit", "--quiet", "--amend", "--message", "Mine now"]);
            },
            &["Mine now"],
        ),
        (
            "orphan",
            |fixture, path| {
                fixture.git(path, &["checkout", "--quiet", "--orphan", "fresh"]);
                std::fs::write(path.join("b"), "x\n").expect("written");
            },
            &["Leftovers of: t"],
        ),
    ];
    for (name, deed, expected) in deeds {
        let worktree = fixture.checkout(name, None).await.expect("a worktree");
        deed(&fixture, &worktree.path);
        let work = worktree.finish(Leftovers::Commit, "t", &fixture.out()).await.expect(name);
        assert_eq!(subjects(&work), expected, "{name}");
        worktree.remove().await.expect(name);
    }
}

#[tokio::test]
async fn a_git_directory_the_agent_damaged_loses_no_work() {
    let fixture = Fixture::new();
    let deleted = fixture.checkout("deleted", None).await.expect("a worktree");
    fixture.commit_in(&deleted.path, "a", "x\n");
    std::fs::remove_file(deleted.path.join(".git")).expect("removed");
    std::fs::write(deleted.path.join("b"), "x\n").expect("written");
    let work = deleted.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    assert_eq!(subjects(&work), ["Leftovers of: t", "Add a"]);

    let replaced = fixture.checkout("replaced", None).await.expect("a worktree");
    std::fs::remove_file(replaced.path.join(".git")).expect("removed");
    fixture.git(&replaced.path, &["init", "--quiet"]);
    fixture.commit_in(&replaced.path, "own", "x\n");
    let work = replaced.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    assert_eq!(subjects(&work), ["Leftovers of: t"]);
    assert_eq!(work.diff_stat.files, 1);

    let removed = fixture.checkout("removed", None).await.expect("a worktree");
    fixture.commit_in(&removed.path, "a", "x\n");
    let path = removed.path.to_str().expect("a plain path");
    fixture.git(&fixture.clone_path(), &["worktree", "remove", "--force", "--force", path]);
    let work = removed.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    assert_eq!(subjects(&work), ["Add a"]);
}

#[tokio::test]
async fn locks_of_a_killed_agent_are_in_nobodys_way() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let git_dir = fixture.git(&worktree.path, &["rev-parse", "--absolute-git-dir"]);
    for lock in ["index.lock", "HEAD.lock"] {
        std::fs::write(std::path::Path::new(&git_dir).join(lock), "").expect("written");
    }
    std::fs::write(fixture.clone_path().join("refs/heads/factory/one.lock"), "").expect("written");
    std::fs::write(worktree.path.join("new"), "x\n").expect("written");
    let work = worktree.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    assert_eq!(subjects(&work), ["Leftovers of: t"]);
}

#[tokio::test]
async fn a_merge_left_in_the_middle_is_committed_as_it_stands() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    fixture.git(&worktree.path, &["checkout", "--quiet", "-b", "other"]);
    fixture.commit_in(&worktree.path, "README", "theirs\n");
    fixture.git(&worktree.path, &["checkout", "--quiet", "factory/one"]);
    fixture.commit_in(&worktree.path, "README", "ours\n");
    assert!(!fixture.try_git(&worktree.path, &["merge", "other"]).status.success(), "no conflict");
    let work = worktree.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    assert_eq!(work.commits[0].subject, "Leftovers of: t");
    assert_eq!(fixture.git(&worktree.path, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn repositories_inside_the_worktree_are_left_out_and_named() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let inner = worktree.path.join("vendor/inner");
    std::fs::create_dir_all(&inner).expect("made");
    fixture.git(&inner, &["init", "--quiet"]);
    std::fs::write(worktree.path.join("vendor/file"), "x\n").expect("written");
    let work = worktree.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    assert_eq!(fixture.git(&worktree.path, &["show", "--name-only", "--format=", "HEAD"]), "vendor/file");
    assert!(work.leftovers.to_string().contains("vendor/inner"), "{}", work.leftovers);
}

#[tokio::test]
async fn a_worktree_means_the_same_after_a_restart() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    fixture.commit_in(&worktree.path, "a", "x\n");
    let kept = serde_json::to_string(&worktree).expect("written");
    let worktree: factory_worker::worktree::Worktree = serde_json::from_str(&kept).expect("read");
    let work = worktree.finish(Leftovers::Commit, "t", &fixture.out()).await.expect("finished");
    assert_eq!(subjects(&work), ["Add a"]);
}

#[tokio::test]
async fn committed_leftovers_are_uncommitted_again_where_another_attempt_goes_on() {
    let fixture = Fixture::new();
    for detached in [false, true] {
        let name = if detached { "detached" } else { "attached" };
        let worktree = fixture.checkout(name, None).await.expect("a worktree");
        fixture.commit_in(&worktree.path, "done", "1\n");
        if detached {
            fixture.git(&worktree.path, &["checkout", "--quiet", "--detach"]);
        }
        std::fs::write(worktree.path.join("README"), "changed\n").expect("written");
        std::fs::write(worktree.path.join("new"), "x\n").expect("written");
        let out = fixture.out();
        let work = worktree.finish(Leftovers::Commit, "t", &out).await.expect("finished");
        assert_eq!(subjects(&work), ["Leftovers of: t", "Add done"]);
        factory_worker::delivery::deliver(&worktree, Deliver::None, &out).await.expect("bundled");

        for _ in 0..2 {
            worktree.reopen_leftovers("t").await.expect("reopened");
            let tip = worktree.tip().await.expect("a tip");
            assert_eq!(fixture.git(&worktree.path, &["log", "-1", "--format=%s", &tip]), "Add done");
        }
        let status = fixture.git(&worktree.path, &["status", "--porcelain"]);
        assert_eq!(status, " M README\n?? new", "{name}");
    }
}
