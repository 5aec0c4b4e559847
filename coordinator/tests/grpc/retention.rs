//! What is kept no longer, as its reader hears of it.

use std::time::Duration;

use factory_domain::Keep;
use factory_proto::v1;
use tonic::Code;

use crate::setup::{Factory, Worker, prompt, soon, succeeded};

#[tokio::test]
async fn a_log_beyond_its_age_goes_at_a_start_and_every_reader_is_told() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    worker.push(&offer, 0, &["one", "two"]).await;
    worker.report(&offer, succeeded(2)).await;
    drop(worker);

    let at_once = Keep { age: Some(Duration::from_nanos(1)), bytes: None };
    let factory = factory.restart_with(|config| config.retention.logs = at_once).await;
    // The first round begins with the start, beside all else.
    let removed = soon(async {
        loop {
            let request = v1::ReadLogRequest { task: task.id.clone(), ..Default::default() };
            match factory.client.logs().read(request).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(status) => return status,
            }
        }
    });
    let removed = removed.await;
    assert_eq!(removed.code(), Code::NotFound);
    assert!(removed.message().contains("the log of attempt 1 was removed on"), "{removed:?}");
    assert!(removed.message().contains("--keep-logs"), "{removed:?}");

    for offset in [0, 1] {
        let from = Some(v1::LogPosition { attempt_number: 1, offset });
        let request = v1::FollowLogRequest { task: task.id.clone(), from, ..Default::default() };
        let told = soon(factory.client.logs().follow(request)).await.expect_err("no line");
        assert_eq!((told.code(), told.message()), (Code::NotFound, removed.message()));
    }

    let attempt = factory.get(&task.id).await.attempts.remove(0);
    assert_eq!(attempt.removed[0].message, removed.message());
    assert_eq!(factory.state(&task.id).await, v1::TaskState::Succeeded);
}
