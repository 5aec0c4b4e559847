//! Snapshots of worktrees and directories: taken while an agent works, and gone on from on another host.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use factory_domain::AttemptId;
use factory_worker::checkpoint::{Bounds, DirectorySnapshots, RestoreError, Snapshot, Taken, restore};
use factory_worker::git::Git;
use factory_worker::worktree::Worktree;
use uuid::Uuid;

use crate::fixture::{Fixture, read};

async fn taken(worktree: &Worktree, out: &Path) -> Taken {
    let taken = worktree.snapshot(out, Bounds::default(), None).await.expect("taken");
    taken.expect("something has changed")
}

async fn snapshot(worktree: &Worktree, out: &Path) -> Snapshot {
    taken(worktree, out).await.snapshot
}

fn attempt() -> AttemptId {
    AttemptId::from_uuid(Uuid::now_v7())
}

/// Another host: an origin fetched anew by a cache of its own.
fn elsewhere(fixture: &Fixture) -> Fixture {
    let other = Fixture::without_origin();
    let (from, to) = (fixture.origin(), other.origin());
    let paths = [from.to_str().expect("plain"), to.to_str().expect("plain")];
    other.git(&other.path("."), &["clone", "--quiet", paths[0], paths[1]]);
    other
}

/// Goes on from the snapshot on another host; gives that host and its worktree.
async fn moved(fixture: &Fixture, worktree: &Worktree, snapshot: &Snapshot) -> (Fixture, Worktree) {
    let bundle = worktree.bundle_snapshot(snapshot, &fixture.out()).await.expect("packed").expect("a bundle");
    let other = elsewhere(fixture);
    let mut there = other.checkout("two", snapshot.base.as_deref()).await.expect("a worktree");
    restore(&mut there, &bundle, snapshot, attempt()).await.expect("restored");
    (other, there)
}

fn mode(path: PathBuf) -> u32 {
    path.symlink_metadata().expect("there").permissions().mode() & 0o777
}

#[tokio::test]
async fn work_goes_on_elsewhere_just_as_it_was() {
    let fixture = Fixture::new();
    fixture.commit("origin", "old", "x\n");
    fixture.commit("origin", "tool", "#!/bin/sh\n");
    fixture.commit("origin", ".gitignore", "ignored\n");
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let at = |name: &str| worktree.path.join(name);
    let tip = fixture.commit_in(&worktree.path, "done", "1\n");
    std::fs::write(at("README"), "changed\n").expect("written");
    std::fs::write(at("done"), "staged\n").expect("written");
    fixture.git(&worktree.path, &["add", "done"]);
    std::fs::write(at("binary \u{fc}\nname"), [0_u8, 159, 146, 150, 0, 255]).expect("written");
    std::fs::write(at("ignored"), "x\n").expect("written");
    std::fs::remove_file(at("old")).expect("removed");
    std::fs::set_permissions(at("tool"), PermissionsExt::from_mode(0o755)).expect("executable");
    symlink("/nowhere", at("link")).expect("linked");
    let status = fixture.git(&worktree.path, &["status", "--porcelain"]);

    let saved = snapshot(&worktree, &fixture.out()).await;
    assert_eq!((saved.base.as_ref(), saved.tip.as_ref()), (Some(&worktree.base_commit), Some(&tip)));
    assert_eq!(fixture.git(&worktree.path, &["status", "--porcelain"]), status, "the agent sees no change");

    let (other, there) = moved(&fixture, &worktree, &saved).await;
    let at = |name: &str| there.path.join(name);
    assert_eq!(other.git(&there.path, &["symbolic-ref", "HEAD"]), "refs/heads/factory/two");
    assert_eq!(other.git(&there.path, &["rev-parse", "HEAD"]), tip);
    assert_eq!(other.git(&there.path, &["diff", "--cached", "--name-only"]), "", "the index is at the tip");
    assert_eq!(
        other.git(&there.path, &["status", "--porcelain", "-z"]).split('\0').collect::<Vec<_>>(),
        [" M README", " M done", " D old", " M tool", "?? binary \u{fc}\nname", "?? link", ""]
    );
    assert_eq!(std::fs::read(at("binary \u{fc}\nname")).expect("there"), [0_u8, 159, 146, 150, 0, 255]);
    assert_eq!(read(at("done")), "staged\n");
    assert_eq!(mode(at("tool")), 0o755);
    assert_eq!(std::fs::read_link(at("link")).expect("a link"), Path::new("/nowhere"));
    assert!(!at("ignored").exists() && !at("old").exists());
    let again = there.snapshot(&other.out(), Bounds::default(), Some(&saved)).await.expect("looked at");
    assert!(again.is_none(), "nothing has changed by moving: {again:?}");
}

#[tokio::test]
async fn only_changes_make_a_snapshot() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let (out, bounds) = (fixture.out(), Bounds::default());
    assert!(worktree.snapshot(&out, bounds, None).await.expect("looked at").is_none());

    std::fs::write(worktree.path.join("new"), "1\n").expect("written");
    let first = snapshot(&worktree, &out).await;
    assert!(worktree.snapshot(&out, bounds, Some(&first)).await.expect("looked at").is_none());

    fixture.git(&worktree.path, &["add", "new"]);
    fixture.git(&worktree.path, &["commit", "--quiet", "--message", "Mine"]);
    let second = worktree.snapshot(&out, bounds, Some(&first)).await.expect("taken").expect("the tip moved");
    let second = second.snapshot;
    let tree =
        |commit: &str| fixture.git(&fixture.clone_path(), &["rev-parse", &format!("{commit}^{{tree}}")]);
    assert_eq!(tree(&first.commit), tree(&second.commit));

    fixture.git(&worktree.path, &["reset", "--quiet", "--hard", &worktree.base_commit]);
    fixture.git(&worktree.path, &["branch", "--quiet", "--force", "kept", "HEAD"]);
    let back = worktree.snapshot(&out, bounds, Some(&second)).await.expect("taken").expect("it changed");
    assert_eq!(worktree.bundle_snapshot(&back.snapshot, &out).await.expect("looked at"), None);
}

#[tokio::test]
async fn what_was_added_against_ignore_rules_is_taken_in_and_its_deletion_too() {
    let fixture = Fixture::new();
    fixture.commit("origin", ".gitignore", "build\n");
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let out = fixture.out();
    std::fs::write(worktree.path.join("new"), "1\n").expect("written");
    let first = snapshot(&worktree, &out).await;
    std::fs::write(worktree.path.join("build"), "x\n").expect("written");
    fixture.git(&worktree.path, &["add", "--force", "build"]);
    let next = worktree.snapshot(&out, Bounds::default(), Some(&first)).await.expect("taken");
    let files = |commit: &str| fixture.git(&fixture.clone_path(), &["ls-tree", "--name-only", commit]);
    let second = next.expect("it changed").snapshot;
    assert_eq!(files(&second.commit), ".gitignore\nREADME\nbuild\nnew");

    std::fs::remove_file(worktree.path.join("build")).expect("removed");
    std::fs::remove_file(worktree.path.join("README")).expect("removed");
    std::fs::create_dir(worktree.path.join("README")).expect("a directory in its place");
    let third = worktree.snapshot(&out, Bounds::default(), Some(&second)).await.expect("taken");
    assert_eq!(files(&third.expect("it changed").snapshot.commit), ".gitignore\nnew");
}

#[tokio::test]
async fn the_agents_locks_and_damage_are_in_nobodys_way() {
    let fixture = Fixture::new();
    type Deed = fn(&Fixture, &Path, &Path);
    let deeds: [(&str, Deed, &str); 7] = [
        (
            "holds-the-lock",
            |_, _, git_dir| std::fs::write(git_dir.join("index.lock"), "").expect("locked"),
            "README\na\nb",
        ),
        (
            "broke-the-index",
            |_, _, git_dir| std::fs::write(git_dir.join("index"), "DIRC").expect("broken"),
            "README\na\nb",
        ),
        (
            "removed-git",
            |_, path, git_dir| {
                std::fs::remove_file(path.join(".git")).expect("removed");
                std::fs::remove_dir_all(git_dir).expect("removed");
            },
            "README\na\nb",
        ),
        (
            "made-its-own",
            |fixture, path, _| {
                std::fs::remove_file(path.join(".git")).expect("removed");
                fixture.git(path, &["init", "--quiet"]);
                fixture.commit_in(path, "c", "x\n");
            },
            "README\na\nb\nc",
        ),
        ("removed-all", |_, path, _| std::fs::remove_dir_all(path).expect("removed"), "README\na"),
        (
            "detached",
            |fixture, path, _| drop(fixture.git(path, &["checkout", "--quiet", "--detach"])),
            "README\na\nb",
        ),
        (
            "unborn",
            |fixture, path, _| {
                fixture.git(path, &["checkout", "--quiet", "--orphan", "fresh"]);
                fixture.git(path, &["branch", "--quiet", "-D", "factory/unborn"]);
            },
            "README\na\nb",
        ),
    ];
    for (name, deed, expected) in deeds {
        let worktree = fixture.checkout(name, None).await.expect("a worktree");
        fixture.commit_in(&worktree.path, "a", "x\n");
        std::fs::write(worktree.path.join("b"), "x\n").expect("written");
        let git_dir = fixture.git(&worktree.path, &["rev-parse", "--absolute-git-dir"]);
        deed(&fixture, &worktree.path, Path::new(&git_dir));
        let out = fixture.path(name);
        let saved = snapshot(&worktree, &out).await;
        let files = fixture.git(&fixture.clone_path(), &["ls-tree", "--name-only", &saved.commit]);
        assert_eq!(files, expected, "{name}");
        moved(&fixture, &worktree, &saved).await;
    }
}

#[tokio::test]
async fn a_rewritten_history_goes_along() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    fixture.git(&worktree.path, &["commit", "--quiet", "--amend", "--message", "Mine now"]);
    std::fs::write(worktree.path.join("b"), "x\n").expect("written");
    let saved = snapshot(&worktree, &fixture.out()).await;
    let (other, there) = moved(&fixture, &worktree, &saved).await;
    assert_eq!(other.git(&there.path, &["log", "--format=%s"]), "Mine now");
    assert_eq!(other.git(&there.path, &["status", "--porcelain"]), "?? b");
}

#[tokio::test]
async fn a_merge_left_in_the_middle_is_saved_as_it_stands() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    fixture.git(&worktree.path, &["checkout", "--quiet", "-b", "other"]);
    fixture.commit_in(&worktree.path, "README", "theirs\n");
    fixture.git(&worktree.path, &["checkout", "--quiet", "factory/one"]);
    fixture.commit_in(&worktree.path, "README", "ours\n");
    assert!(!fixture.try_git(&worktree.path, &["merge", "other"]).status.success(), "no conflict");
    let saved = snapshot(&worktree, &fixture.out()).await;
    let merged = fixture.git(&fixture.clone_path(), &["show", &format!("{}:README", saved.commit)]);
    assert!(merged.contains("ours") && merged.contains("theirs"), "{merged}");
}

#[tokio::test]
async fn what_is_too_large_or_not_the_repositorys_is_left_out_and_named() {
    let fixture = Fixture::new();
    std::fs::write(fixture.origin().join(".worktreeinclude"), ".env\n").expect("written");
    std::fs::write(fixture.origin().join(".env"), "SECRET=1\n").expect("written");
    fixture.commit("origin", ".gitignore", ".env\n.worktreeinclude\n");
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    // The agent takes the rule away, and adds the file even.
    std::fs::write(worktree.path.join(".gitignore"), "").expect("written");
    fixture.git(&worktree.path, &["add", "--force", ".env"]);
    let inner = worktree.path.join("vendor/inner");
    std::fs::create_dir_all(&inner).expect("made");
    fixture.git(&inner, &["init", "--quiet"]);
    std::fs::write(worktree.path.join("small"), "x\n").expect("written");
    let large = std::fs::File::create(worktree.path.join("large")).expect("made");
    large.set_len(4 << 20).expect("sparse");
    let bounds = Bounds { bytes: 1 << 20, files: 100 };
    let taken = worktree.snapshot(&fixture.out(), bounds, None).await.expect("taken").expect("changed");
    let files = fixture.git(&fixture.clone_path(), &["ls-tree", "-r", "--name-only", &taken.snapshot.commit]);
    assert_eq!(files, ".gitignore\nREADME\nsmall");
    let said = taken.left_out.to_string();
    assert!(said.contains("large (too large)") && said.contains("vendor/inner"), "{said}");
}

#[tokio::test]
async fn a_bundle_that_cannot_be_used_leaves_the_worktree_as_it_was() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    std::fs::write(worktree.path.join("b"), "x\n").expect("written");
    let saved = snapshot(&worktree, &fixture.out()).await;
    let bundle = worktree.bundle_snapshot(&saved, &fixture.out()).await.expect("packed").expect("a bundle");
    let other = elsewhere(&fixture);
    let mut there = other.checkout("two", None).await.expect("a worktree");
    let head = other.git(&there.path, &["rev-parse", "HEAD"]);

    let bytes = std::fs::read(&bundle).expect("read");
    let broken = fixture.path("broken");
    for content in [&bytes[..bytes.len() - 30], b"no bundle at all", b""] {
        std::fs::write(&broken, content).expect("written");
        let refused = restore(&mut there, &broken, &saved, attempt()).await;
        assert!(matches!(refused, Err(RestoreError::Broken { .. })), "{refused:?}");
    }
    let another = Snapshot { commit: "1".repeat(40), ..saved.clone() };
    let refused = restore(&mut there, &bundle, &another, attempt()).await;
    assert!(matches!(refused, Err(RestoreError::Broken { .. })), "{refused:?}");
    assert_eq!(other.git(&there.path, &["status", "--porcelain"]), "");
    assert_eq!(other.git(&there.path, &["rev-parse", "HEAD"]), head);

    let stranger = Fixture::without_origin();
    std::fs::create_dir(stranger.origin()).expect("made");
    stranger.git(&stranger.origin(), &["init", "--quiet"]);
    stranger.commit("origin", "else", "x\n");
    let mut there = stranger.checkout("two", None).await.expect("a worktree");
    let refused = restore(&mut there, &bundle, &saved, attempt()).await;
    let is_missing =
        matches!(&refused, Err(RestoreError::BaseMissing { base }) if *base == worktree.base_commit);
    assert!(is_missing, "{refused:?}");
}

#[tokio::test]
async fn a_snapshot_is_taken_while_the_agent_writes() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    let (path, stop) =
        (worktree.path.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = std::sync::Arc::clone(&stop);
    std::fs::write(path.join("stays"), "x\n").expect("written");
    let agent = std::thread::spawn(move || {
        let mut turn = 0_u32;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            turn += 1;
            let file = path.join(format!("dir{}/file{turn}", turn % 3));
            std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
            std::fs::write(&file, turn.to_string()).expect("written");
            if turn.is_multiple_of(7) {
                std::fs::remove_dir_all(path.join(format!("dir{}", turn % 3))).expect("removed");
            }
        }
    });
    let mut previous = None;
    for _ in 0..5 {
        let taken = worktree.snapshot(&fixture.out(), Bounds::default(), previous.as_ref()).await;
        previous = taken.expect("taken").map(|taken| taken.snapshot).or(previous);
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    agent.join().expect("the agent ended");
    let commit = previous.expect("something has changed").commit;
    let stays = fixture.git(&fixture.clone_path(), &["show", &format!("{commit}:stays")]);
    assert_eq!(stays, "x");
}

#[tokio::test]
async fn locks_of_a_git_that_was_killed_with_its_worker_are_in_nobodys_way() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    std::fs::write(worktree.path.join("new"), "1\n").expect("written");
    let refs = fixture.clone_path().join("refs/factory/checkpoints");
    std::fs::create_dir_all(&refs).expect("made");
    for lock in [refs.join("one.lock"), fixture.out().join("work.bundle.lock")] {
        std::fs::write(lock, "").expect("locked");
    }
    let taken = snapshot(&worktree, &fixture.out()).await;
    worktree.bundle_snapshot(&taken, &fixture.out()).await.expect("packed").expect("a bundle");

    let (snapshots, root) = directory(&fixture, "here");
    std::fs::write(root.join("new"), "1\n").expect("written");
    let repository = fixture.path("here-spool/snapshots.git");
    std::fs::create_dir_all(&repository).expect("made");
    for lock in ["config.lock", "HEAD.lock"] {
        std::fs::write(repository.join(lock), "").expect("locked");
    }
    snapshots.snapshot(Bounds::default(), None).await.expect("taken").expect("there are files");
}

#[tokio::test]
async fn the_hidden_ref_goes_with_the_worktree() {
    let fixture = Fixture::new();
    let worktree = fixture.checkout("one", None).await.expect("a worktree");
    std::fs::write(worktree.path.join("b"), "x\n").expect("written");
    snapshot(&worktree, &fixture.out()).await;
    let refs = || fixture.git(&fixture.clone_path(), &["for-each-ref", "refs/factory", "refs/heads"]);
    assert!(refs().contains("refs/factory/checkpoints/one"), "{}", refs());
    worktree.remove().await.expect("removed");
    assert_eq!(refs(), "");
}

fn directory(fixture: &Fixture, name: &str) -> (DirectorySnapshots, PathBuf) {
    let root = fixture.path(name);
    std::fs::create_dir_all(&root).expect("made");
    let out = fixture.path(&format!("{name}-spool"));
    (DirectorySnapshots::new(Git::new(), &root, &out, attempt()), root)
}

#[tokio::test]
async fn a_workspace_without_a_repository_goes_along_as_well() {
    let fixture = Fixture::without_origin();
    let (here, root) = directory(&fixture, "here");
    let bounds = Bounds::default();
    assert!(here.snapshot(bounds, None).await.expect("looked at").is_none(), "it is empty");

    std::fs::create_dir(root.join("sub")).expect("made");
    std::fs::write(root.join("sub/tool"), "#!/bin/sh\n").expect("written");
    std::fs::set_permissions(root.join("sub/tool"), PermissionsExt::from_mode(0o755)).expect("executable");
    std::fs::write(root.join("gone"), "x\n").expect("written");
    let first = here.snapshot(bounds, None).await.expect("taken").expect("files").snapshot;
    assert!(here.snapshot(bounds, Some(&first)).await.expect("looked at").is_none());
    std::fs::remove_file(root.join("gone")).expect("removed");
    symlink("sub", root.join("link")).expect("linked");
    let second = here.snapshot(bounds, Some(&first)).await.expect("taken").expect("changed").snapshot;
    let bundle = here.bundle_snapshot(&second).await.expect("packed").expect("a bundle");

    let (there, root) = directory(&fixture, "there");
    let refused = there.restore(&fixture.path("nothing"), &second).await;
    assert!(matches!(refused, Err(RestoreError::Broken { .. })), "{refused:?}");
    there.restore(&bundle, &second).await.expect("restored");
    assert_eq!(mode(root.join("sub/tool")), 0o755);
    assert_eq!(std::fs::read_link(root.join("link")).expect("a link"), Path::new("sub"));
    assert!(!root.join("gone").exists() && !root.join(".git").exists());
    assert!(there.snapshot(bounds, Some(&second)).await.expect("looked at").is_none());

    std::fs::remove_dir_all(root.join("sub")).expect("removed");
    std::fs::remove_file(root.join("link")).expect("removed");
    let empty = there.snapshot(bounds, Some(&second)).await.expect("taken").expect("changed").snapshot;
    assert_eq!(there.bundle_snapshot(&empty).await.expect("looked at"), None);
}
