use std::fs;
use std::path::PathBuf;

use factory_domain::retention::RESCUE;
use factory_domain::{
    AgentKind, AttemptId, Brief, Capacity, Commit, Delivery, Event, Failure, FailureReason, Keep, Labels,
    Links, Outcome, Report, SessionId, SpecDraft, TaskId, WorkerId,
};
use factory_proto::v1::{LogRecord, LogStream};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::app::{ArtifactName, LogBatch, LogPlace};
use crate::artifacts::ArtifactStore;
use crate::clock::Clock;
use crate::library::Library;
use crate::logs::LogStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{
    AgentFound, ArtifactEntry, ArtifactKind, Claim, NewTask, ReportedAttempt, Rules, WorkerEntry,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const FOR_EVER: Keep = Keep { age: None, bytes: None };

/// A coordinator's inside, and one worker.
struct Bed {
    root: TempDir,
    app: App,
    worker: WorkerId,
    session: SessionId,
}

/// An attempt, and its task.
#[derive(Clone, Copy)]
struct Of {
    task: TaskId,
    attempt: AttemptId,
}

impl Bed {
    async fn new() -> Self {
        let root = TempDir::new().expect("a directory");
        let store = SqliteStore::open(&root.path().join("t.db"), Rules::default()).await.expect("opened");
        let logs = LogStore::open(root.path().join("logs")).expect("opened");
        let artifacts = ArtifactStore::open(root.path().join("artifacts")).await.expect("opened");
        let app = App::new(
            Arc::new(store),
            logs,
            artifacts,
            Library::open(root.path()),
            Clock::start(),
            Rules::default(),
            CancellationToken::new(),
        );
        let (worker, session) = (WorkerId::from_uuid(Uuid::now_v7()), SessionId::from_uuid(Uuid::now_v7()));
        let agents = vec![AgentFound {
            kind: AgentKind::Scripted,
            version: String::new(),
            warning: None,
            unusable: None,
        }];
        let entry = WorkerEntry {
            id: worker,
            session,
            name: "w".into(),
            version: String::new(),
            labels: Labels::default(),
            agents,
            slots: 1,
            free_disk: 0,
        };
        app.store.register_worker(entry, app.clock.now()).await.expect("registered");
        Self { root, app, worker, session }
    }

    /// A task whose agent runs, and which may be tried once.
    async fn running(&self) -> Of {
        self.submit(1).await;
        self.run(self.app.clock.now()).await
    }

    async fn submit(&self, max_attempts: u32) {
        let draft = SpecDraft {
            prompt: "x".into(),
            agent: "scripted".into(),
            max_attempts: Some(max_attempts),
            ..SpecDraft::default()
        };
        let task = NewTask {
            id: TaskId::from_uuid(Uuid::now_v7()),
            spec: draft.validate().expect("a valid spec"),
            idempotency_key: None,
            retry_of: None,
            links: Links::default(),
            brief: Brief::default(),
            traceparent: String::new(),
        };
        self.app.store.submit(vec![task], self.app.clock.now()).await.expect("accepted");
    }

    /// Takes the next task to where its agent has printed two lines.
    async fn run(&self, now: Timestamp) -> Of {
        let claim = Claim {
            worker: self.worker,
            session: self.session,
            capacity: Capacity {
                agents: [AgentKind::Scripted].into(),
                labels: Labels::default(),
                free_slots: 1,
                draining: false,
            },
            except: Vec::new(),
            left_to: Vec::new(),
            connected: [].into(),
            attempt_ids: vec![AttemptId::from_uuid(Uuid::now_v7())],
        };
        let claimed = self.app.store.claim(claim, now).await.expect("claimed").remove(0);
        let of = Of { task: claimed.task, attempt: claimed.attempt };
        for event in [Event::Accepted { attempt: of.attempt }, Event::Started { attempt: of.attempt }] {
            self.app.store.apply(of.task, event, now).await.expect("it fits");
        }
        self.push(of, 0..2).await;
        of
    }

    async fn push(&self, of: Of, offsets: std::ops::Range<u64>) -> bool {
        let record = |offset| LogRecord {
            offset,
            at_ms: 1,
            stream: LogStream::Stdout.into(),
            data: b"a line".to_vec().into(),
            continues: false,
        };
        let batch = LogBatch { task: of.task, attempt: of.attempt, records: offsets.map(record).collect() };
        self.app.push_logs(self.worker, vec![batch]).await.expect("an answer").remove(0).closed
    }

    async fn bring(&self, of: Of, kind: ArtifactKind, name: &str, content: &[u8]) {
        let entry = ArtifactEntry {
            attempt: of.attempt,
            kind,
            name: name.into(),
            bytes: content.len() as u64,
            sha256: Sha256::digest(content).into(),
        };
        let mut upload = self.app.begin_upload(self.worker, of.task, entry).await.expect("it begins");
        upload.write(content.to_vec()).await.expect("written");
        self.app.finish_upload(of.task, upload).await.expect("kept");
    }

    async fn end(&self, of: Of, outcome: Outcome, delivery: Delivery, commits: &[&str]) {
        let commit = |id: &&str| Commit { id: (*id).into(), subject: String::new() };
        let report = Report {
            outcome,
            result_text: String::new(),
            usage: Default::default(),
            agent_session: None,
            exit_code: None,
            base_commit: None,
            branch: None,
            commits: commits.iter().map(commit).collect(),
            diff_stat: Default::default(),
            delivery,
            log_records: 2,
            structured_output: None,
        };
        let reported = ReportedAttempt {
            worker: self.worker,
            task: of.task,
            attempt: of.attempt,
            digest: [1; 32],
            report,
        };
        self.app.report(reported).await.expect("accepted");
    }

    /// A task that succeeded and left a log and a patch.
    async fn ended(&self) -> Of {
        let of = self.running().await;
        self.bring(of, ArtifactKind::Patch, "changes.patch", b"+ a line").await;
        self.end(of, Outcome::Succeeded, Delivery::None, &[]).await;
        of
    }

    async fn sweep(&self, logs: Keep, artifacts: Keep, later: Duration) {
        let (retention, now) = (Retention { logs, artifacts }, self.app.clock.now().after(later));
        sweep(&self.app, retention, now, &mut Told::default()).await.expect("swept");
    }

    async fn log(&self, of: Of) -> Result<usize, String> {
        let page = self.app.read_log(&of.task.to_string(), None, LogPlace::From(0), 0).await;
        page.map(|page| page.records.len()).map_err(|error| error.to_string())
    }

    async fn artifact(&self, of: Of, kind: ArtifactKind, name: &str) -> Result<Vec<u8>, String> {
        let name = ArtifactName { kind, name: name.into() };
        let read = self.app.read_artifact(&of.task.to_string(), 0, name).await;
        let mut content = read.map_err(|error| error.to_string())?;
        Ok(content.next().await.expect("it reads").unwrap_or_default())
    }

    async fn patch(&self, of: Of) -> Result<Vec<u8>, String> {
        self.artifact(of, ArtifactKind::Patch, "changes.patch").await
    }

    fn folder(&self, of: Of) -> PathBuf {
        self.root.path().join("artifacts").join(of.attempt.to_string())
    }
}

fn failed() -> Outcome {
    Outcome::Failed { failure: Failure { reason: FailureReason::AgentError, message: "it broke".into() } }
}

fn days(days: u32) -> Keep {
    Keep { age: Some(days * DAY), bytes: None }
}

#[tokio::test]
async fn what_is_too_old_is_removed_and_told_of() {
    let bed = Bed::new().await;
    let (of, live) = (bed.ended().await, bed.running().await);
    bed.sweep(days(30), days(90), 29 * DAY).await;
    assert_eq!((bed.log(of).await, bed.patch(of).await), (Ok(2), Ok(b"+ a line".to_vec())));

    bed.sweep(days(30), days(90), 31 * DAY).await;
    let gone = bed.log(of).await.expect_err("removed");
    assert!(gone.contains("removed on") && gone.contains("30 days (--keep-logs)"), "{gone}");
    assert!(bed.patch(of).await.is_ok());

    bed.sweep(days(30), days(90), 91 * DAY).await;
    let gone = bed.patch(of).await.expect_err("removed");
    assert!(gone.contains("90 days (--keep-artifacts)"), "{gone}");
    assert!(!bed.folder(of).exists());
    assert_eq!(bed.log(live).await, Ok(2), "a live task's log has no age");

    let detail = bed.app.get(&of.task.to_string()).await.expect("it is there").attempts.remove(0);
    assert_eq!((detail.artifacts.len(), detail.pruned.len()), (0, 2));
}

#[tokio::test]
async fn who_follows_a_removed_log_or_brings_more_of_it_is_told() {
    let bed = Bed::new().await;
    let of = bed.ended().await;
    bed.sweep(days(1), FOR_EVER, 2 * DAY).await;
    let app = Arc::new(bed.app);
    let follower = app.follow_log(&of.task.to_string(), (1, 1), None).await;
    let told = follower.err().expect("there is nothing to follow").to_string();
    assert!(told.contains("--keep-logs"), "{told}");

    let record = LogRecord { offset: 0, ..LogRecord::default() };
    let batch = LogBatch { task: of.task, attempt: of.attempt, records: vec![record] };
    let acks = app.push_logs(bed.worker, vec![batch]).await.expect("an answer");
    assert!(acks[0].closed);
    assert_eq!(app.logs.on_disk().await.expect("listed"), []);
}

#[tokio::test]
async fn the_oldest_make_room() {
    let bed = Bed::new().await;
    let old = bed.ended().await;
    let new = bed.ended().await;
    let one = Keep { age: None, bytes: Some(8) };
    bed.sweep(FOR_EVER, one, Duration::ZERO).await;
    let gone = bed.patch(old).await.expect_err("removed");
    assert!(gone.contains("--max-artifacts-gib"), "{gone}");
    assert!(bed.patch(new).await.is_ok());
    assert_eq!(bed.log(old).await, Ok(2));
}

#[tokio::test]
async fn commits_that_are_nowhere_else_are_never_removed() {
    let bed = Bed::new().await;
    let bundled = || Delivery::Bundled { why: "no".into() };
    let (succeeded, broken) = (bed.running().await, bed.running().await);
    for (of, outcome) in [(succeeded, Outcome::Succeeded), (broken, failed())] {
        bed.bring(of, ArtifactKind::Bundle, "commits.bundle", b"commits").await;
        bed.end(of, outcome, bundled(), &["c2", "c1"]).await;
    }
    bed.sweep(FOR_EVER, Keep { age: Some(DAY), bytes: Some(0) }, 9999 * DAY).await;
    for of in [succeeded, broken] {
        assert_eq!(bed.artifact(of, ArtifactKind::Bundle, "").await, Ok(b"commits".to_vec()));
    }
}

#[tokio::test]
async fn commits_that_a_later_attempt_pushed_are_not_the_only_copy() {
    let bed = Bed::new().await;
    bed.submit(2).await;
    let first = bed.run(bed.app.clock.now()).await;
    bed.bring(first, ArtifactKind::Bundle, "commits.bundle", b"commits").await;
    bed.end(first, failed(), Delivery::Bundled { why: "no".into() }, &["c1"]).await;
    let later = bed.app.clock.now().after(DAY);
    bed.app.store.apply_due(later).await.expect("woken");
    let second = bed.run(later).await;
    assert_eq!(second.task, first.task);
    bed.sweep(FOR_EVER, days(1), 9999 * DAY).await;
    assert!(bed.artifact(first, ArtifactKind::Bundle, "").await.is_ok(), "its task has not ended");

    bed.end(second, Outcome::Succeeded, Delivery::Pushed, &["c2", "c1"]).await;
    bed.sweep(FOR_EVER, days(1), DAY / 2).await;
    assert!(bed.artifact(first, ArtifactKind::Bundle, "").await.is_ok(), "it is not old yet");
    bed.sweep(FOR_EVER, days(1), 2 * DAY).await;
    let gone = bed.artifact(first, ArtifactKind::Bundle, "").await.expect_err("removed");
    assert!(gone.contains("the bundle of commits of attempt 1 was removed"), "{gone}");
}

#[tokio::test]
async fn checkpoints_go_with_their_use() {
    let bed = Bed::new().await;
    let (live, succeeded, broken) = (bed.running().await, bed.running().await, bed.running().await);
    for of in [live, succeeded, broken] {
        bed.bring(of, ArtifactKind::CheckpointWork, "1", b"work").await;
    }
    bed.end(succeeded, Outcome::Succeeded, Delivery::Pushed, &[]).await;
    bed.end(broken, failed(), Delivery::None, &[]).await;
    let work = async |of| bed.artifact(of, ArtifactKind::CheckpointWork, "1").await;
    bed.sweep(FOR_EVER, FOR_EVER, RESCUE - DAY).await;
    let gone = work(succeeded).await.expect_err("removed");
    assert!(gone.contains("nothing goes on from it"), "{gone}");
    assert!(work(live).await.is_ok() && work(broken).await.is_ok());
    bed.sweep(FOR_EVER, FOR_EVER, RESCUE + DAY).await;
    assert!(work(live).await.is_ok() && work(broken).await.is_err());
}

#[tokio::test]
async fn a_crash_between_the_row_and_the_file_is_made_good() {
    let bed = Bed::new().await;
    let of = bed.ended().await;
    let kept = fs::read(bed.folder(of).join("changes.patch")).expect("it is there");
    bed.sweep(days(1), days(1), 2 * DAY).await;
    assert!(!bed.folder(of).exists());
    // As if neither file had gone yet.
    fs::create_dir_all(bed.folder(of)).expect("made");
    fs::write(bed.folder(of).join("changes.patch"), kept).expect("written");
    bed.app.logs.append(of.attempt, vec![LogRecord::default()]).await.expect("room");

    bed.sweep(days(1), days(1), 2 * DAY).await;
    assert!(!bed.folder(of).exists());
    assert_eq!(bed.app.logs.on_disk().await.expect("listed"), []);
    assert!(bed.patch(of).await.expect_err("removed").contains("--keep-artifacts"));
}

#[tokio::test]
async fn a_file_without_a_row_goes_once_nobody_will_bring_it_again() {
    let bed = Bed::new().await;
    let (ended, live) = (bed.ended().await, bed.running().await);
    let stranger = Of { task: live.task, attempt: AttemptId::from_uuid(Uuid::now_v7()) };
    for of in [ended, live, stranger] {
        fs::create_dir_all(bed.folder(of).join("files")).expect("made");
        for name in ["files/0123", "commits.bundle"] {
            fs::write(bed.folder(of).join(name), b"half known").expect("written");
        }
    }
    bed.sweep(FOR_EVER, FOR_EVER, Duration::ZERO).await;
    let there = |of, name| bed.folder(of).join(name).exists();
    assert!(!there(ended, "files"), "its worker has reported, and was told of every file before");
    assert!(there(ended, "changes.patch") && bed.patch(ended).await.is_ok());
    assert!(there(live, "files/0123"), "its worker brings it again");
    assert!(there(stranger, "files/0123"), "the database may be a backup");
    assert!([ended, live, stranger].into_iter().all(|of| there(of, "commits.bundle")));

    bed.bring(live, ArtifactKind::Bundle, "commits.bundle", b"commits").await;
    assert_eq!(bed.artifact(live, ArtifactKind::Bundle, "").await, Ok(b"commits".to_vec()));
}

#[tokio::test]
async fn a_row_without_its_file_is_told_of_and_stays() {
    let bed = Bed::new().await;
    let of = bed.ended().await;
    let path = bed.folder(of).join("changes.patch");
    fs::rename(&path, bed.root.path().join("aside")).expect("moved");
    let mut told = Told::default();
    let retention = Retention { logs: FOR_EVER, artifacts: FOR_EVER };
    sweep(&bed.app, retention, bed.app.clock.now(), &mut told).await.expect("swept");
    assert_eq!(told.lost(), 1);
    let gone = bed.patch(of).await.expect_err("gone");
    assert!(gone.contains("is gone") && gone.contains("changes.patch"), "{gone}");

    fs::rename(bed.root.path().join("aside"), &path).expect("moved");
    sweep(&bed.app, retention, bed.app.clock.now(), &mut told).await.expect("swept");
    assert_eq!((told.lost(), bed.patch(of).await), (0, Ok(b"+ a line".to_vec())));
}
