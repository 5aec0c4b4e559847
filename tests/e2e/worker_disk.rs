//! A worker whose disk is full, or nearly: it says so, ends what it cannot keep, and goes on.

use factory_proto::v1::{FollowLogRequest, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::ctl::Ctl;
use factory_tests::harness::disks::Disks;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{soon, task};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_fills_the_disk_is_ended_and_the_task_goes_on() {
    let host = Host::new();
    let Some(disks) = Disks::at(&[&host.path().join("anvil")], "12m").await else { return };
    let coordinator = Coordinator::start(&host).await;
    let worker = Worker::start(&host, &coordinator, WorkerSetup::named("anvil", 1).on(Some(disks))).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let been_here = host.path().join("been-here");
    let text = format!(
        "if [ -e {0} ]; then echo small; else : > {0}; head -c 40000000 /dev/zero | tr '\\0' x | fold -w 999; fi",
        been_here.display()
    );
    let filling = task::submit_one(&client, task::script(&text)).await;
    let end = feed.wait_for_end(&filling.id).await;
    // An offer may have been declined in between, while the disk was full.
    assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());

    let attempts = task::get(&client, &filling.id).await.attempts;
    let failure = attempts[0].report.as_ref().and_then(|report| report.failure.clone()).expect("a failure");
    let said = &failure.message;
    assert!(said.contains("records.log") && said.contains("No space left"), "{said}");
    // To the log's end, which may come after the task's.
    let request = FollowLogRequest {
        task: filling.id.clone(),
        attempt_number: Some(end.attempt_number),
        ..FollowLogRequest::default()
    };
    let mut follow = client.logs().follow(request).await.expect("it begins").into_inner();
    let mut records = Vec::new();
    while let Some(page) = soon("the log's end", follow.message()).await.expect("a page") {
        records.extend(page.records);
    }
    assert_eq!(task::stdout_lines(&records), ["small"]);
    drop(worker);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_free_disk_is_seen_before_any_offer() {
    let host = Host::new();
    let coordinator = Coordinator::start(&host).await;
    let setup = WorkerSetup::named("anvil", 1).flag("--min-free-disk", "8000000T");
    let _worker = Worker::start(&host, &coordinator, setup).await;
    let ctl = Ctl::new(&host, &coordinator);
    let shown = ctl.run(["workers", "show", "anvil"]).await;
    assert!(
        shown.stdout.contains("not offered: only ") && shown.stdout.contains("--min-free-disk"),
        "{}",
        shown.stdout
    );
    let client = coordinator.client().await;
    let queued = task::submit_one(&client, task::script("true")).await;
    let waiting = task::get(&client, &queued.id).await.task.expect("a task");
    assert_eq!((waiting.state(), waiting.attempts), (TaskState::Queued, 0));
    assert!(waiting.waiting_for.contains("disk"), "{}", waiting.waiting_for);
}
