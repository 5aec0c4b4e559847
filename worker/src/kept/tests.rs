//! Workspaces changing hands, on a real disk.

use super::*;
use crate::attempt::assignment::Progress;
use factory_domain::{Brief, Notices, SpecDraft, TaskId};
use uuid::Uuid;

struct Host {
    root: tempfile::TempDir,
    kept: KeptWorkspaces,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let kept = KeptWorkspaces::new(root.path());
        Self { root, kept }
    }

    /// An ended attempt with a workspace, in the spool.
    fn spool(&self) -> SpoolDir {
        let attempt = AttemptId::from_uuid(Uuid::now_v7());
        let spool = SpoolDir::create(&self.root.path().join("spool"), attempt).expect("made");
        let path = self.root.path().join("workspaces").join(attempt.to_string());
        fs::create_dir_all(&path).expect("made");
        fs::write(path.join("work"), "x").expect("written");
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
            progress: Progress::Prepared { place: Place::Directory { path } },
        };
        assignment.write(&spool).expect("written");
        fs::create_dir(spool.path().join(AGENT_HOME)).expect("made");
        fs::write(spool.path().join(AGENT_HOME).join("transcript"), "hello").expect("written");
        fs::create_dir(spool.path().join("out")).expect("made");
        fs::write(spool.records_path(), "records").expect("written");
        spool
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_000);

#[test]
fn a_kept_attempt_is_found_and_has_only_what_is_needed() {
    let host = Host::new();
    let spool = host.spool();
    host.kept.keep(&spool, Why::Resumable, NOW).expect("kept");
    assert!(!spool.path().exists());
    let kept = host.kept.find(spool.attempt()).expect("read").expect("there");
    assert_eq!((kept.why, kept.kept_at), (Why::Resumable, NOW));
    let mut names: Vec<_> =
        fs::read_dir(&kept.path).expect("read").map(|e| e.expect("e").file_name()).collect();
    names.sort();
    assert_eq!(names, ["agent-home", "assignment.json", "kept.json"]);
    assert!(host.kept.find(AttemptId::from_uuid(Uuid::now_v7())).expect("read").is_none());

    fs::remove_dir_all(kept.place().expect("a place").path()).expect("removed");
    assert!(host.kept.find(spool.attempt()).expect("read").is_none(), "its workspace is gone");
}

#[test]
fn it_is_taken_once_and_with_the_agents_home_and_known_after_a_restart() {
    let host = Host::new();
    let (earlier, next, another) = (host.spool(), host.spool(), host.spool());
    fs::remove_dir_all(next.path().join(AGENT_HOME)).expect("removed");
    let mut assignment = Assignment::read(&next).expect("read");
    assignment.progress = Progress::Preparing;
    assignment.write(&next).expect("written");
    host.kept.keep(&earlier, Why::Resumable, NOW).expect("kept");
    let taken = host.kept.take(earlier.attempt(), &next).expect("taken").expect("there");
    assert!(host.kept.take(earlier.attempt(), &another).expect("looked").is_none());
    taken.move_home().expect("moved");

    let taken = Taken::of(&next).expect("read").expect("there");
    taken.move_home().expect("nothing to do");
    assert_eq!(fs::read(next.path().join("agent-home/transcript")).expect("there"), b"hello");
    assert!(taken.place().expect("a place").path().join("work").exists());
    assert!(Taken::of(&another).expect("read").is_none());

    host.kept.doom_spool(&next).expect("ended before it used it");
    assert!(Taken::of(&next).expect("read").is_none());
    let kept = host.kept.find(earlier.attempt()).expect("read").expect("there again");
    assert!(kept.path.join("agent-home/transcript").exists());
}

#[tokio::test]
async fn what_is_doomed_cannot_be_taken_and_its_removal_may_be_repeated() {
    let host = Host::new();
    let (earlier, next) = (host.spool(), host.spool());
    host.kept.keep(&earlier, Why::Resumable, NOW).expect("kept");
    let kept = host.kept.find(earlier.attempt()).expect("read").expect("there");
    let doomed = host.kept.doom(&kept).expect("doomed").expect("there");
    assert!(host.kept.take(earlier.attempt(), &next).expect("looked").is_none());
    assert!(host.kept.doom(&kept).expect("looked").is_none());
    drop(doomed);

    let listing = host.kept.list().expect("listed");
    assert_eq!((listing.kept.len(), listing.doomed.len()), (0, 1), "known after a restart");
    let cache = repo::Cache::new(host.root.path());
    for doomed in listing.doomed {
        doomed.remove(&cache, host.root.path()).await.expect("removed");
    }
    assert!(!kept.place().expect("a place").path().exists());
    assert!(host.kept.list().expect("listed").doomed.is_empty());
}

#[tokio::test]
async fn an_attempt_that_is_done_with_goes_with_its_workspace() {
    let host = Host::new();
    let spool = host.spool();
    let place = Assignment::read(&spool).expect("read").place().expect("a place").path().to_owned();
    let doomed = host.kept.doom_spool(&spool).expect("doomed");
    assert!(!spool.path().exists() && place.exists());
    let cache = repo::Cache::new(host.root.path());
    doomed.remove(&cache, &host.root.path().join("workspaces")).await.expect("removed");
    assert!(!place.exists() && host.kept.list().expect("listed").doomed.is_empty());
}

#[test]
fn what_cannot_be_read_is_listed_as_that() {
    let host = Host::new();
    let spool = host.spool();
    host.kept.keep(&spool, Why::Unsaved, NOW).expect("kept");
    let path = host.kept.path(spool.attempt());
    fs::write(path.join(RECORD), "{").expect("written");
    let listing = host.kept.list().expect("listed");
    assert_eq!((listing.kept.len(), listing.unreadable.len()), (0, 1));
    assert!(host.kept.find(spool.attempt()).is_err());
}
