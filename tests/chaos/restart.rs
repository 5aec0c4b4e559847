//! The coordinator is stopped and started again, as for an upgrade, while its fleet is at work.

use std::collections::BTreeSet;

use factory_proto::v1::{LogPosition, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::Turnstile;
use factory_tests::harness::task;
use factory_tests::harness::worker::{Worker, WorkerSetup};

use crate::{assert_each_ended_once, counted, counting, follow_from, is_line};

const WORKERS: u32 = 3;
const SLOTS: u32 = 3;
const TASKS: u32 = 18;
const RESTARTS: usize = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_costs_no_lease_no_line_and_no_try() {
    let host = Host::new();
    let mut coordinator = Coordinator::start(&host).await;
    let mut workers = Vec::new();
    for n in 0..WORKERS {
        workers.push(Worker::start(&host, &coordinator, WorkerSetup::named(&format!("w{n}"), SLOTS)).await);
    }
    let turnstile = Turnstile::new(&host, "turnstile");
    let specs = (0..TASKS).map(|_| counting(40, 80, &turnstile)).collect();
    let client = coordinator.client().await;
    let submitted: Vec<String> = task::submit(&client, specs).await.into_iter().map(|task| task.id).collect();

    // Each time in the midst of the lines of some that run, and of offers of those that wait.
    for (restart, running) in submitted.iter().enumerate().take(RESTARTS) {
        let client = coordinator.client().await;
        follow_from(&client, running, LogPosition::default(), |record| is_line(record, "line-20")).await;
        let status = coordinator.terminate().await;
        assert!(status.success(), "restart {restart}: {status}\n{}", coordinator.log());
        turnstile.let_through(TASKS as usize / RESTARTS);
        coordinator.start_again().await;
    }

    let client = coordinator.client().await;
    let mut feed = Feed::from_start(&client).await;
    for id in &submitted {
        let end = feed.wait_for_end(id).await;
        assert_eq!(end.state(), TaskState::Succeeded, "{}", feed.story());
    }
    assert_each_ended_once(&feed, &submitted, TaskState::Succeeded);
    for id in &submitted {
        let found = task::get(&client, id).await;
        // An offer on its way when the sessions ended comes back, and costs nothing.
        let tried: Vec<_> = found.attempts.iter().filter(|attempt| attempt.state != "returned").collect();
        let states: BTreeSet<_> = tried.iter().map(|attempt| attempt.state.as_str()).collect();
        assert_eq!(
            (tried.len(), states),
            (1, ["succeeded"].into()),
            "{:?}\n{}",
            found.attempts,
            feed.story()
        );
        let log = task::log(&client, id, tried[0].number).await;
        assert_eq!(task::stdout_lines(&log), counted(80));
    }
}
