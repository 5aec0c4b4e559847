//! The coordinator's disk runs full under running work, and has room again.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_proto::v1::{FollowLogRequest, TaskSpec, TaskState};
use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup, SHORT_LEASES};
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::{Bell, Turnstile};
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{mounts, soon, task};
use tonic::Code;

/// Takes every byte there is, until it is dropped.
struct Filler(PathBuf);

impl Filler {
    fn fill(root: &Path) -> Self {
        let filler = Self(root.join("filler"));
        let mut file = File::create(&filler.0).expect("a file");
        for piece in [&[0; 64 * 1024][..], &[0; 512][..]] {
            loop {
                match file.write(piece) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the disk does not fill: {error}"),
                }
            }
        }
        filler
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("the filler goes");
    }
}

/// Waits until a daemon has logged `text`.
async fn logged(log: impl Fn() -> String, text: &str) {
    let seen = async {
        while !log().contains(text) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    soon(text, seen).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_disk_refuses_comes_once_there_is_room_and_costs_no_attempt() {
    if !mounts::permitted() {
        return;
    }
    let host = Host::new();
    let setup = CoordinatorSetup {
        mount: Some("size=12m".to_owned()),
        config: SHORT_LEASES.to_owned(),
        ..CoordinatorSetup::new(&host)
    };
    let coordinator = Coordinator::try_start(&host, setup).await.expect("it starts");
    let worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1)).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let (mut bell, turnstile) = (Bell::new(&host, "bell"), Turnstile::new(&host, "turnstile"));
    // Past what a lease lasts, and what an attempt may be out of contact for.
    let script = format!(
        "echo up > {bell}; read _ < {turnstile}; seq 1 3000; seq 1 50000 > numbers; sleep 9; echo done > {bell}",
        bell = bell.path().display(),
        turnstile = turnstile.path().display(),
    );
    let submitted = task::submit_one(&client, task::script(&script)).await;
    bell.rung(1).await;

    let filler = Filler::fill(&coordinator.root_seen_from_here());
    let large = || TaskSpec { prompt: "x".repeat(500_000), ..task::script("true") };
    let refused = task::try_submit(&client, vec![large()]).await.expect_err("there is no room");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    let database = coordinator.root().join("agent-factory.db");
    assert!(refused.message().contains(&database.display().to_string()), "{refused:?}");
    turnstile.let_through(1);
    logged(|| worker.log(), "logs could not be pushed").await;
    bell.rung(1).await;
    logged(|| worker.log(), "a report could not be delivered").await;
    assert_eq!(task::list(&client).await.tasks.len(), 1, "what was refused is not there");
    let said = Ctl::new(&host, &coordinator).run(&["workers"]).await;
    assert!(said.stderr.contains("the coordinator's disk has"), "{said:?}");

    drop(filler);
    let end = feed.wait_for_end(&submitted.id).await;
    assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, 1), "{}", feed.story());
    // To the log's end, which may come after the task's.
    let request = FollowLogRequest { task: submitted.id.clone(), ..FollowLogRequest::default() };
    let mut follow = client.logs().follow(request).await.expect("it begins").into_inner();
    let mut records = Vec::new();
    while let Some(page) = soon("the log's end", follow.message()).await.expect("a page") {
        records.extend(page.records);
    }
    let lines = task::stdout_lines(&records);
    let printed: Vec<String> = (1..=3000).map(|n| n.to_string()).collect();
    assert!(lines == printed, "each line once: {} lines", lines.len());
    let kept = task::get(&client, &submitted.id).await.attempts.remove(0).artifacts.remove(0);
    assert_eq!((kept.name.as_str(), kept.bytes), ("numbers", 288_894));
    task::submit_one(&client, large()).await;
    let told = |what| coordinator.log().matches(what).count();
    assert_eq!(told("little space is left"), 1, "once, not each time");
    assert!(told("a commit failed") < 10, "a spell is told once, and there are few");
}
