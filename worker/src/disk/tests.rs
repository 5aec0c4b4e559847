//! Sweeps over real clones and worktrees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use factory_domain::{AttemptId, BranchName, Brief, Notices, RepoSource, SpecDraft, TaskId, Timestamp};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::policy::Limits;
use super::survey::Layout;
use super::sweep::{State, Sweep};
use crate::attempt::assignment::{Assignment, Place, Progress};
use crate::by_hand::Wish;
use crate::checkpoint::Bounds;
use crate::git::Git;
use crate::kept::Why;
use crate::repo::{Cache, Merge, Request};
use crate::shim::ShimProgram;
use crate::spool::SpoolDir;
use crate::worktree::Worktree;

const LIMITS: Limits = Limits {
    keep_workspaces: Duration::from_secs(24 * 3600),
    keep_repositories: Duration::from_secs(30 * 24 * 3600),
    keep_unowned: Duration::from_secs(600),
    free: 1000,
};

struct Host {
    directory: tempfile::TempDir,
    cache: Cache,
    layout: Layout,
    sweep: Sweep,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n";
        fs::write(directory.path().join("gitconfig"), config).expect("written");
        let git = Git::new()
            .env("HOME", directory.path())
            .env("GIT_CONFIG_GLOBAL", directory.path().join("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1");
        let root = directory.path().join("worker");
        let (layout, sweep) = (Layout::new(&root), Sweep::new(&root, LIMITS));
        let host = Self { cache: Cache::with_git(&root, git), directory, layout, sweep };
        fs::create_dir(host.origin()).expect("made");
        host.git(&host.origin(), &["init", "--quiet"]);
        host.commit(&host.origin(), "README");
        host
    }

    fn origin(&self) -> PathBuf {
        self.directory.path().join("origin")
    }

    fn git(&self, directory: &Path, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(args)
            .current_dir(directory)
            .env("GIT_CONFIG_GLOBAL", self.directory.path().join("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git runs");
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    fn commit(&self, directory: &Path, file: &str) {
        fs::write(directory.join(file), "x\n").expect("written");
        self.git(directory, &["add", "--all"]);
        self.git(directory, &["commit", "--quiet", "--message", file]);
    }

    /// A worktree of an attempt that nothing else is known of.
    async fn worktree(&self) -> (AttemptId, Worktree) {
        let attempt = AttemptId::from_uuid(Uuid::now_v7());
        let request = Request {
            source: &RepoSource::parse(self.origin().to_str().expect("plain")).expect("a source"),
            base: None,
            attempt,
            branch: &BranchName::parse(format!("factory/{attempt}")).expect("a branch"),
            merge: Merge::default(),
            workspace: &self.layout.workspaces.join(attempt.to_string()),
            goes_on: false,
            token: &CancellationToken::new(),
        };
        (attempt, self.cache.checkout(&request, &|_| ()).await.expect("a worktree"))
    }

    /// The same, with the attempt in the spool.
    async fn attempt(&self) -> (SpoolDir, Worktree) {
        let (attempt, worktree) = self.worktree().await;
        let draft = SpecDraft { prompt: "x".into(), ..SpecDraft::default() };
        let assignment = Assignment {
            task: TaskId::from_uuid(Uuid::now_v7()),
            attempt,
            attempt_number: 1,
            spec: draft.validate().expect("valid"),
            traceparent: String::new(),
            session: Uuid::new_v4(),
            continues: None,
            brief: Brief::default(),
            notices: Notices::default(),
            upstreams: Vec::new(),
            past: None,
            progress: Progress::Prepared { place: Place::Worktree(Box::new(worktree.clone())) },
        };
        let spool = SpoolDir::create(&self.layout.spools, attempt).expect("made");
        assignment.write(&spool).expect("written");
        (spool, worktree)
    }

    fn clone_path(&self) -> PathBuf {
        self.cache.clones().expect("read").pop().expect("a clone")
    }

    fn refs(&self) -> String {
        let names = ["for-each-ref", "--format=%(refname)", "refs/heads", "refs/factory"];
        self.git(&self.clone_path(), &names)
    }

    /// Sweeps as if so much time had passed.
    async fn sweep_after(&mut self, span: Duration) {
        let now = crate::attempt::now().after(span);
        self.sweep_at(now).await;
    }

    async fn sweep_at(&mut self, now: Timestamp) {
        let state = State { free: LIMITS.free, idle: true, now };
        self.sweep.once(&self.cache, state).await.expect("swept");
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_crashes_leave_goes_and_what_is_unsaved_stays() {
    let mut host = Host::new();
    let (_, owned) = host.attempt().await;
    let (_, clean) = host.worktree().await;
    let (_, changed) = host.worktree().await;
    let (_, committed) = host.worktree().await;
    let (_, gone) = host.worktree().await;
    let (_, gone_with_commits) = host.worktree().await;
    fs::write(changed.path.join("new"), "x").expect("written");
    fs::remove_file(clean.path.join("README")).expect("removed");
    host.commit(&committed.path, "a");
    host.commit(&gone_with_commits.path, "a");
    for worktree in [&gone, &gone_with_commits] {
        fs::remove_dir_all(&worktree.path).expect("removed");
    }
    let (empty, files) = (host.layout.workspaces.join("empty"), host.layout.workspaces.join("files"));
    for path in [&empty, &files] {
        fs::create_dir(path).expect("made");
    }
    fs::write(files.join("x"), "x").expect("written");

    host.sweep_after(Duration::ZERO).await;
    assert!(clean.path.exists() && empty.exists(), "their owner may still show up");
    let left = |worktree: &Worktree| host.refs().contains(worktree.branch.as_str());
    assert!(!left(&gone) && left(&gone_with_commits));

    host.sweep_after(11 * MINUTE).await;
    assert!(!clean.path.exists() && !empty.exists());
    for path in [&owned.path, &changed.path, &committed.path, &files] {
        assert!(path.exists(), "{}", path.display());
    }
    let mut expected =
        [&owned, &changed, &committed, &gone_with_commits].map(|w| format!("refs/heads/{}", w.branch));
    expected.sort();
    assert_eq!(host.refs(), expected.join("\n"));
    host.sweep_after(12 * MINUTE).await;
    assert_eq!(host.refs(), expected.join("\n"), "again changes nothing");
    assert_eq!(host.git(&owned.path, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn kept_workspaces_go_when_they_are_old_unless_they_are_unsaved() {
    let mut host = Host::new();
    let kept = host.layout.kept.clone();
    let now = crate::attempt::now();
    let mut worktrees = Vec::new();
    for why in [Why::Resumable, Why::Unsaved, Why::LeftChanges] {
        let (spool, worktree) = host.attempt().await;
        fs::write(worktree.path.join("new"), "x").expect("written");
        let out = host.directory.path().join("out");
        worktree.snapshot(&out, Bounds::default(), None).await.expect("taken").expect("changed");
        kept.keep(&spool, why, now).expect("kept");
        worktrees.push(worktree);
    }
    host.sweep_at(now.after(23 * 60 * MINUTE)).await;
    assert_eq!(kept.list().expect("listed").kept.len(), 3);
    host.sweep_at(now.after(24 * 60 * MINUTE)).await;
    let there: Vec<bool> = worktrees.iter().map(|worktree| worktree.path.exists()).collect();
    assert_eq!(there, [false, true, true]);
    assert_eq!(kept.list().expect("listed").kept.len(), 2);
    let attempt = worktrees[0].path.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(!host.refs().contains(&attempt), "{}", host.refs());
}

#[tokio::test]
async fn a_kept_workspace_goes_once_someone_has_brought_all_of_it_to_the_origin() {
    let mut host = Host::new();
    let kept = host.layout.kept.clone();
    let now = crate::attempt::now();
    let (spool, worktree) = host.attempt().await;
    host.commit(&worktree.path, "a");
    fs::write(worktree.path.join("new"), "x").expect("written");
    kept.keep(&spool, Why::Unsaved, now).expect("kept");
    let later = now.after(25 * 60 * MINUTE);
    host.sweep_at(later).await;
    host.git(&worktree.path, &["push", "--quiet", "origin", "HEAD"]);
    host.sweep_at(later).await;
    assert!(worktree.path.exists(), "there is a new file");
    fs::remove_file(worktree.path.join("new")).expect("removed");
    host.sweep_at(now.after(23 * 60 * MINUTE)).await;
    assert!(worktree.path.exists(), "someone may be looking at it");
    host.sweep_at(later).await;
    assert!(!worktree.path.exists());
    assert_eq!(host.refs(), "");
}

#[tokio::test]
async fn worktrees_made_by_hand_are_left_alone_wherever_they_are_just_now() {
    let mut host = Host::new();
    let source = RepoSource::parse(host.origin().to_str().expect("plain")).expect("a source");
    let branch = BranchName::parse("mine").expect("a branch");
    let wish = Wish { source: &source, branch: &branch, base: None };
    let shims = ShimProgram { program: "/nowhere".into(), args: Vec::new() };
    let (by_hand, token) = (host.layout.by_hand.clone(), CancellationToken::new());
    let worktree = by_hand.make(wish, &host.cache, &shims, &token).await.expect("made");
    let month = 31 * 24 * 60 * MINUTE;
    host.sweep_after(month).await;
    // As a crash leaves it in the middle of being taken over.
    let aside = host.directory.path().join("aside");
    fs::rename(&worktree.path, &aside).expect("moved");
    host.sweep_after(month).await;
    fs::rename(&aside, &worktree.path).expect("moved back");
    assert_eq!(host.git(&worktree.path, &["branch", "--show-current"]), "mine");
    assert_eq!(host.git(&worktree.path, &["status", "--porcelain"]), "");
}

#[tokio::test]
async fn a_removal_cut_short_is_taken_up_again() {
    let mut host = Host::new();
    let (spool, worktree) = host.attempt().await;
    drop(host.layout.kept.doom_spool(&spool).expect("set aside"));
    host.sweep_after(Duration::ZERO).await;
    assert!(worktree.path.exists(), "whoever set it aside may be at it");
    host.sweep_after(11 * MINUTE).await;
    assert!(!worktree.path.exists());
    assert_eq!(host.refs(), "");
    assert!(host.layout.kept.list().expect("listed").doomed.is_empty());
}

#[tokio::test]
async fn a_clone_goes_once_nobody_uses_it_and_comes_again_when_it_is_asked_for() {
    let mut host = Host::new();
    let (_, worktree) = host.worktree().await;
    let day = 24 * 60 * MINUTE;
    host.sweep_after(31 * day).await;
    let clone = host.clone_path();
    worktree.remove().await.expect("removed");
    host.sweep_after(29 * day).await;
    assert!(clone.exists());
    let half = clone.with_file_name("half.tmp");
    fs::create_dir_all(half.join("objects")).expect("made");
    host.sweep_after(31 * day).await;
    assert!(!clone.exists() && half.exists());
    host.sweep_after(32 * day).await;
    assert!(!half.exists());
    let (_, worktree) = host.worktree().await;
    assert!(worktree.path.join("README").exists() && clone.exists());
}

#[tokio::test]
async fn a_clone_is_packed_and_a_locked_one_is_left_alone() {
    let host = Host::new();
    let (_, worktree) = host.worktree().await;
    host.commit(&worktree.path, "a");
    let clone = host.clone_path();
    let loose = || host.git(&clone, &["count-objects"]);
    assert!(!loose().starts_with("0 objects"), "{}", loose());
    let lock = crate::repo::lock::RepositoryLock::acquire(&clone).await.expect("locked");
    assert!(!host.cache.collect_garbage(&clone).await.expect("left alone"));
    assert!(host.cache.tidy(&clone, || unreachable!("it is locked")).await.expect("left alone").is_none());
    drop(lock);
    // A process that another test is just about to start may share the lock until it is executed.
    while !host.cache.collect_garbage(&clone).await.expect("packed") {
        drop(crate::repo::lock::RepositoryLock::acquire(&clone).await.expect("locked"));
    }
    assert!(loose().starts_with("0 objects"), "{}", loose());
    assert_eq!(host.git(&worktree.path, &["status", "--porcelain"]), "");
}
