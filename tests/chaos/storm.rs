//! Kills of everything in turn, while tasks run.

use std::collections::HashSet;

use factory_proto::v1::{Event, TaskSpec, TaskState};
use factory_tests::harness::coordinator::Coordinator;
use factory_tests::harness::feed::Feed;
use factory_tests::harness::host::Host;
use factory_tests::harness::pipes::Turnstile;
use factory_tests::harness::repository::Origin;
use factory_tests::harness::task;
use factory_tests::harness::worker::{Worker, WorkerSetup};

use crate::{assert_each_ended_once, counted, counting};

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_everything_in_turn_lose_nothing_and_run_nothing_twice() {
    const TASKS: usize = 10;
    const LINES: u32 = 40;
    let host = Host::new();
    let mut coordinator = Coordinator::start(&host).await;
    let mut left = Worker::start(&host, &coordinator, WorkerSetup::named("left", 2)).await;
    let mut right = Worker::start(&host, &coordinator, WorkerSetup::named("right", 2)).await;
    let origin = Origin::new(&host, "app");
    let turnstile = Turnstile::new(&host, "turnstile");
    let mut client = coordinator.client().await;
    let spec = TaskSpec { repo: origin.source(), ..counting(LINES / 2, LINES, &turnstile) };
    let submitted = task::submit(&client, vec![spec; TASKS]).await;
    let ids: Vec<String> = submitted.into_iter().map(|task| task.id).collect();

    let mut feed = Feed::from_start(&client).await;
    let mut ended = HashSet::new();
    for round in 0..TASKS {
        turnstile.let_through(1);
        let another = |event: &Event| event.state().is_terminal() && !ended.contains(&event.task_id);
        let end = feed.wait_for("another task to end", another).await;
        ended.insert(end.task_id);
        match round % 4 {
            0 => {
                coordinator.kill9().await;
                coordinator.start_again().await;
            }
            1 => {
                left.kill9().await;
                left.start_again().await;
            }
            2 => {
                coordinator.kill9().await;
                right.kill9().await;
                coordinator.start_again().await;
                right.start_again().await;
            }
            _ => {
                assert!(coordinator.terminate().await.success(), "open streams do not hold it up");
                coordinator.start_again().await;
            }
        }
        client = coordinator.client().await;
        feed = Feed::from_start(&client).await;
    }

    for id in &ids {
        feed.wait_for_end(id).await;
    }
    assert_each_ended_once(&feed, &ids, TaskState::Succeeded);
    for id in &ids {
        // The first attempt, unless its worker was killed before it had started an agent.
        let attempt = feed.wait_for_end(id).await.attempt_number;
        assert_eq!(
            task::stdout_lines(&task::log(&client, id, attempt).await),
            counted(LINES),
            "{}",
            feed.story()
        );
    }
}
