//! A worker that is cut off for longer than its leases last: its agents work on, and catch up.

use factory_proto::v1::{LogPosition, TaskState};
use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup};
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::{Bell, Turnstile};
use factory_tests::harness::worker::{Worker, WorkerSetup};
use factory_tests::harness::{processes, soon, task};

use crate::seeded::proxy::Proxy;
use crate::{assert_each_ended_once, counted, follow_from};

/// Out of contact is soon noticed, and for as long as this test takes it is no loss.
const PATIENT: &str = "\
[lease]
heartbeat_ms = 200
lease_ms = 1000
lost_after_ms = 300000
";

#[tokio::test(flavor = "multi_thread")]
async fn agents_cut_off_for_many_leases_work_on_and_catch_up() {
    const TASKS: usize = 3;
    const LINES: u32 = 2000;
    let host = Host::new();
    let setup = CoordinatorSetup { config: PATIENT.to_owned(), ..CoordinatorSetup::new(&host) };
    let coordinator = Coordinator::try_start(&host, setup).await.expect("the coordinator starts");
    let address = coordinator.url().trim_start_matches("http://").parse().expect("an address");
    let proxy = Proxy::before(address).await;
    let setup = WorkerSetup::named("anvil", 3).env("FACTORY_URL", proxy.url());
    let _worker = Worker::start(&host, &coordinator, setup).await;
    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    let (mut begun, mut done) = (Bell::new(&host, "begun"), Bell::new(&host, "done"));
    let turnstile = Turnstile::new(&host, "turnstile");
    let text = format!(
        "echo line-1; echo up > {}; read _ < {}\n\
         i=2; while [ $i -le {LINES} ]; do echo line-$i; i=$((i+1)); done; echo up > {}",
        begun.path().display(),
        turnstile.path().display(),
        done.path().display()
    );
    let submitted = task::submit(&client, vec![task::script(&text); TASKS]).await;
    let ids: Vec<String> = submitted.into_iter().map(|task| task.id).collect();
    begun.rung(TASKS).await;

    proxy.stall(true);
    for id in &ids {
        feed.wait_for("contact to be lost", |event| &event.task_id == id && event.kind == "contact_lost")
            .await;
    }
    // They work and come to their end with nobody to tell it to.
    turnstile.let_through(TASKS);
    done.rung(TASKS).await;
    let attempts = attempts(&client, &ids).await;
    soon("the agents to be gone", async {
        while attempts.iter().any(|attempt| !processes::of_attempt(attempt).is_empty()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    proxy.cut();
    proxy.stall(false);

    for id in &ids {
        let end = feed.wait_for_end(id).await;
        assert_eq!((end.state(), end.attempt_number), (TaskState::Succeeded, 1), "{}", feed.story());
        // Its end may be known before all of its log.
        let log = follow_from(&client, id, LogPosition::default(), |_| false).await;
        assert_eq!(task::stdout_lines(&log), counted(LINES));
    }
    assert_each_ended_once(&feed, &ids, TaskState::Succeeded);
}

async fn attempts(client: &factory_proto::client::Client, ids: &[String]) -> Vec<String> {
    let mut attempts = Vec::new();
    for id in ids {
        attempts.push(task::get(client, id).await.task.expect("a task").attempt_id);
    }
    attempts
}
