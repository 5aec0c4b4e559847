//! Jobs about repositories: what they make, what they refuse, and what the coordinator is told of the disk.

use std::path::PathBuf;

use factory_proto::v1;
use factory_proto::v1::RepoJobFailureKind as Kind;
use factory_proto::v1::repo_job::Job;
use factory_proto::v1::repo_job_done_request::Outcome;

use super::*;
use crate::work::{git, origin};

pub const CHECK: Job = Job::Check(v1::CheckRepo {});
pub const FETCH: Job = Job::Fetch(v1::FetchRepo {});
pub const FORGET: Job = Job::Forget(v1::ForgetRepo {});

pub fn make(branch: &str) -> Job {
    Job::MakeWorktree(v1::MakeWorktree { branch: branch.into(), base: String::new() })
}

pub fn delete(branch: &str, force: bool) -> Job {
    Job::DeleteWorktree(v1::DeleteWorktree { branch: branch.into(), force })
}

impl Coordinator {
    pub async fn outcome(&self, repo: &str, job: Job) -> Outcome {
        let id = self.ask(repo, job).await;
        self.done(&id).await
    }

    pub async fn copy(&self, repo: &str, job: Job) -> v1::RepoCopy {
        match self.outcome(repo, job).await {
            Outcome::Copy(copy) => copy,
            other => panic!("no copy: {other:?}"),
        }
    }

    pub async fn worktree(&self, repo: &str, job: Job) -> v1::Worktree {
        match self.outcome(repo, job).await {
            Outcome::Worktree(worktree) => worktree,
            other => panic!("no worktree: {other:?}"),
        }
    }

    pub async fn refusal(&self, repo: &str, job: Job) -> (Kind, String) {
        match self.outcome(repo, job).await {
            Outcome::Failure(failure) => (failure.kind(), failure.message),
            other => panic!("not refused: {other:?}"),
        }
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Commits a file in a directory and gives the commit's id.
pub fn commit(directory: &Path, file: &str) -> String {
    std::fs::write(directory.join(file), file).expect("written");
    git(directory, &["add", "."]);
    git(directory, &["commit", "--quiet", "--message", file]);
    git(directory, &["rev-parse", "HEAD"]).trim().to_owned()
}

#[tokio::test]
async fn a_repository_is_looked_for_and_nothing_is_cloned() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let url = format!("file://{}", origin.path().display());
    let copy = coordinator.copy(&url, CHECK).await;
    assert_eq!((copy.default_branch.as_str(), copy.source.as_str()), ("main", url.as_str()));
    assert_eq!(copy.head, git(origin.path(), &["rev-parse", "main"]).trim());
    assert_eq!(entries(&root.path().join("repos")), 0);

    for (repo, kind, said) in [
        (format!("{url}/nothing"), Kind::NotFound, "Check the name"),
        (format!("{}/nothing", origin.path().display()), Kind::NotFound, "not on this worker's host"),
        ("http://127.0.0.1:1/a/b.git".into(), Kind::Unreachable, "could not be reached"),
        ("ext::sh -c 'touch /tmp/hacked'".into(), Kind::Refused, "not allowed"),
        ("--upload-pack=touch".into(), Kind::Refused, "begins with"),
        (String::new(), Kind::Refused, "empty"),
    ] {
        let (refused, why) = coordinator.refusal(&repo, CHECK).await;
        assert!(refused == kind && why.contains(said), "{repo}: {refused:?} {why}");
    }
    // A task finds the same out before anything is cloned.
    let spec = v1::TaskSpec { repo: format!("{url}/nothing"), ..shell("true") };
    let attempt = coordinator.offer(spec).await;
    let failure = coordinator.report(&attempt).await.failure.expect("a failure");
    assert_eq!(failure.reason, "repository_unavailable");
    assert!(!work::notes(&coordinator, &attempt).contains("cloning"));
    worker.shutdown().await;
}

#[tokio::test]
async fn a_clone_is_made_brought_up_to_date_told_of_and_forgotten() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let repo = text(origin.path());
    let first = coordinator.copy(repo, FETCH).await;
    let newer = commit(origin.path(), "newer");
    let second = coordinator.copy(repo, FETCH).await;
    assert!(first.head != newer && second.head == newer, "{second:?}");
    assert!(second.fetched_at_ms >= first.fetched_at_ms && first.fetched_at_ms > 0);
    let told = coordinator
        .until("the clone in the inventory", |state| {
            let copies = &state.inventories.last()?.copies;
            copies.iter().find(|copy| copy.head == newer && copy.bytes > 0).cloned()
        })
        .await;
    assert_eq!((told.source.as_str(), told.error.as_str()), (repo, ""));

    // What a fetch failed of is told with the clone, until one goes through.
    let away = origin.path().with_extension("away");
    std::fs::rename(origin.path().join(".git"), &away).unwrap();
    assert_eq!(coordinator.refusal(repo, FETCH).await.0, Kind::NotFound);
    coordinator
        .until("the error in the inventory", |state| {
            let copy = state.inventories.last()?.copies.first()?;
            copy.error.contains("is not a git repository").then_some(())
        })
        .await;
    std::fs::rename(&away, origin.path().join(".git")).unwrap();
    assert_eq!(coordinator.copy(repo, FETCH).await.error, "");

    coordinator.worktree(repo, make("mine")).await;
    let (kind, why) = coordinator.refusal(repo, FORGET).await;
    assert!(kind == Kind::Refused && why.contains("has worktrees"), "{why}");
    coordinator.worktree(repo, delete("mine", false)).await;
    for _ in 0..2 {
        assert!(matches!(coordinator.outcome(repo, FORGET).await, Outcome::Nothing(_)));
        assert!(!entries_of(&root.path().join("repos")).iter().any(|path| path.is_dir()));
    }
    coordinator
        .until("an inventory without it", |state| state.inventories.last()?.copies.is_empty().then_some(()))
        .await;
    // It can be had again.
    assert_eq!(coordinator.copy(repo, FETCH).await.head, newer);
    worker.shutdown().await;
}

fn entries_of(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()).collect()
}

#[tokio::test]
async fn a_worktree_made_by_hand_goes_only_where_nothing_is_lost() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let repo = text(origin.path());
    let made = coordinator.worktree(repo, make("feat/auth")).await;
    let path = PathBuf::from(&made.path);
    assert!(path.starts_with(root.path().join("worktrees")) && path.ends_with("feat%2Fauth"), "{made:?}");
    assert_eq!((made.kind(), made.branch.as_str()), (v1::WorktreeKind::ByHand, "feat/auth"));
    assert_eq!(git(&path, &["branch", "--show-current"]).trim(), "feat/auth");

    std::fs::write(path.join("draft"), "x").unwrap();
    let again = coordinator.worktree(repo, make("feat/auth")).await;
    assert_eq!((again.path.as_str(), again.uncommitted), (made.path.as_str(), 1));
    let (kind, why) = coordinator.refusal(repo, delete("feat/auth", false)).await;
    assert!(kind == Kind::Refused && why.contains("1 changed") && why.contains("push them first"), "{why}");
    let head = commit(&path, "draft");
    let (kind, why) = coordinator.refusal(repo, delete("feat/auth", false)).await;
    assert!(kind == Kind::Refused && why.contains("1 commit(s)"), "{why}");
    coordinator
        .until("the worktree in the inventory", |state| {
            let told = state.inventories.last()?.worktrees.first()?;
            (told.head == head && told.unsaved_commits == 1 && told.bytes > 0).then_some(())
        })
        .await;
    // Someone has pushed it, from wherever.
    git(origin.path(), &["fetch", "--quiet", text(&path), "feat/auth:feat/auth"]);
    let gone = coordinator.worktree(repo, delete("feat/auth", false)).await;
    assert_eq!((gone.head, gone.unsaved_commits, path.exists()), (head.clone(), 0, false));
    assert_eq!(coordinator.refusal(repo, delete("feat/auth", true)).await.0, Kind::NotFound);

    // The origin has the branch now, and it is gone on from.
    let back = coordinator.worktree(repo, make("feat/auth")).await;
    assert_eq!(back.head, head);
    std::fs::write(path.join("draft"), "thrown away").unwrap();
    assert_eq!(coordinator.worktree(repo, delete("feat/auth", true)).await.uncommitted, 1);
    assert!(!path.exists());
    worker.shutdown().await;
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_refused_and_change_nothing() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    let repo = text(origin.path());
    for branch in
        ["", "-b", "--force", "../x", "a/../../x", "/etc", "a b", ".git", "x.lock", "a\0b", "HEAD", "@{-1}"]
    {
        for job in [make(branch), delete(branch, true)] {
            let (kind, why) = coordinator.refusal(repo, job).await;
            assert!(kind == Kind::Refused && why.contains("branch name"), "{branch:?}: {why}");
        }
    }
    for base in ["--detach", "a..b", "x y"] {
        let job = Job::MakeWorktree(v1::MakeWorktree { branch: "x".into(), base: base.into() });
        assert_eq!(coordinator.refusal(repo, job).await.0, Kind::Refused, "{base}");
    }
    let job = Job::MakeWorktree(v1::MakeWorktree { branch: "x".into(), base: "nope".into() });
    let (kind, why) = coordinator.refusal(repo, job).await;
    assert!(kind == Kind::NotFound && why.contains("`nope`"), "{why}");
    assert!(!root.path().join("worktrees").exists() || entries(&root.path().join("worktrees/.records")) == 0);
    // A branch that looks like an attempt's id, and one as long as can be.
    for branch in [uuid::Uuid::now_v7().to_string(), format!("{}x", "é/".repeat(60))] {
        let made = coordinator.worktree(repo, make(&branch)).await;
        assert_eq!(made.branch, branch);
        coordinator.worktree(repo, delete(&branch, false)).await;
    }
    worker.shutdown().await;
}

#[tokio::test]
async fn an_answer_is_told_until_it_is_taken_and_a_job_ends_with_its_time() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    let worker = start(&coordinator, root.path()).await;
    coordinator.with(|state| state.plan.refuse_answers = 3);
    coordinator.copy(text(origin.path()), CHECK).await;
    assert_eq!(coordinator.with(|state| state.plan.refuse_answers), 0);

    // It listens, and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a/b.git", silent.local_addr().unwrap());
    let job = coordinator.ask_within(&url, CHECK, Duration::from_millis(300)).await;
    // The session goes on meanwhile.
    let attempt = coordinator.offer(shell("echo up")).await;
    assert_eq!(coordinator.report(&attempt).await.outcome(), v1::OutcomeKind::Succeeded);
    let Outcome::Failure(failure) = coordinator.done(&job).await else { panic!("it was done") };
    assert_eq!(failure.kind(), Kind::Unreachable, "{}", failure.message);
    // And a stop does not wait for one.
    coordinator.ask(&url, CHECK).await;
    let (_, _) = silent.accept().await.expect("asked");
    worker.shutdown().await;
}

#[tokio::test]
async fn a_coordinator_of_before_is_told_nothing() {
    let (coordinator, root, origin) = (Coordinator::start().await, tempfile::tempdir().unwrap(), origin());
    coordinator.with(|state| state.plan.terms.protocol = 3);
    let worker = start(&coordinator, root.path()).await;
    let attempt = coordinator.offer(work::in_repository(origin.path(), "true")).await;
    coordinator.report(&attempt).await;
    worker.drain().await;
    assert!(coordinator.with(|state| state.inventories.is_empty()));
    worker.shutdown().await;
}

#[tokio::test]
async fn a_host_tells_how_busy_it_is() {
    let (coordinator, root) = (Coordinator::start().await, tempfile::tempdir().unwrap());
    let worker = start(&coordinator, root.path()).await;
    let told = coordinator.until("a heartbeat", |state| state.heartbeats.first().cloned()).await;
    let load = told.load.expect("Linux tells");
    assert!(load.cpus > 0 && load.disk_total_bytes > 0, "{load:?}");
    worker.shutdown().await;
}
