//! Tasks that wait for others: how they are named, what is refused, and how they are shown.

use factory_proto::v1;
use tonic::{Code, Status};

use crate::setup::{Factory, Worker, failed, prompt, soon, succeeded};
use crate::tasks::fields;

fn task(name: &str, after: &[&str]) -> v1::NewTask {
    v1::NewTask {
        spec: Some(prompt(&format!("do {name}"))),
        name: name.to_owned(),
        after: after.iter().map(|one| (*one).to_owned()).collect(),
        ..v1::NewTask::default()
    }
}

async fn submit(factory: &Factory, tasks: Vec<v1::NewTask>) -> Result<Vec<v1::Submitted>, Status> {
    let submitted = soon(factory.client.tasks().submit(v1::SubmitRequest { tasks })).await?;
    Ok(submitted.into_inner().tasks)
}

async fn view(factory: &Factory, task: &v1::Submitted) -> v1::Task {
    factory.get(&task.id).await.task.expect("a task")
}

#[tokio::test]
async fn a_circle_is_refused_with_the_way_around_it() {
    let factory = Factory::start().await;
    let tasks = vec![
        task("z", &["@a"]),
        task("a", &["@b"]),
        task("b", &["@d", "@c"]),
        task("c", &["@a"]),
        task("d", &[]),
    ];
    let refused = submit(&factory, tasks).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(fields(&refused), ["tasks[1].after[0]"]);
    assert!(refused.message().contains("a -> b -> c -> a"), "{refused}");

    let itself = submit(&factory, vec![task("a", &["@a"])]).await.expect_err("refused");
    assert!(itself.message().contains("a -> a"), "{itself}");
    let mut parents = vec![task("a", &[]), task("b", &[])];
    (parents[0].parent, parents[1].parent) = ("@b".to_owned(), "@a".to_owned());
    let refused = submit(&factory, parents).await.expect_err("refused");
    assert_eq!(fields(&refused), ["tasks[0].parent"]);

    // Under one key they are one task.
    let keyed = |task| v1::NewTask { idempotency_key: "k".to_owned(), ..task };
    let mut twice = vec![keyed(task("a", &["@b"])), task("b", &["@c"]), keyed(task("c", &[]))];
    twice[2].spec = twice[0].spec.clone();
    let refused = submit(&factory, twice).await.expect_err("refused");
    assert!(refused.message().contains("a -> b -> a"), "{refused}");
    let all = soon(factory.client.tasks().list(v1::ListRequest::default())).await.expect("a list");
    assert!(all.into_inner().tasks.is_empty(), "nothing is kept of what was refused");
}

#[tokio::test]
async fn every_name_that_means_nothing_is_refused_at_once() {
    let factory = Factory::start().await;
    let mut tasks = vec![task("a", &["@nobody", "77"]), task("a", &[""]), task("not one name", &[])];
    tasks[1].parent = "0000000".to_owned();
    tasks[2].goes_on_from = "@a".to_owned();
    let refused = submit(&factory, tasks).await.expect_err("refused");
    assert_eq!(
        fields(&refused),
        [
            "tasks[1].name",
            "tasks[2].name",
            "tasks[0].after[0]",
            "tasks[0].after[1]",
            "tasks[1].after[0]",
            "tasks[1].parent",
            "tasks[2].goes_on_from",
        ]
    );
    assert!(refused.message().contains("no task of this call is named `nobody`"), "{refused}");
}

#[tokio::test]
async fn a_task_says_for_whom_it_waits_and_starts_when_they_are_done() {
    let factory = Factory::start().await;
    let first = submit(&factory, vec![task("", &[])]).await.expect("accepted").remove(0);
    let all = vec![task("last", &["1", "@side", &first.id[..30]]), task("side", &[])];
    let submitted = submit(&factory, all).await.expect("accepted");
    let last = view(&factory, &submitted[0]).await;
    assert_eq!(last.state(), v1::TaskState::Blocked);
    assert_eq!(last.after, [first.id.clone(), submitted[1].id.clone()], "each once");
    assert_eq!(last.waiting_for, "task 1 (queued) and 1 other");

    let mut worker = Worker::connect(&factory.client).await;
    for _ in 0..2 {
        let offer = worker.run().await;
        assert_eq!(worker.report(&offer, succeeded(0)).await, v1::ReportVerdict::Accepted);
    }
    let offer = worker.run().await;
    assert_eq!(offer.task_id, submitted[0].id);
}

#[tokio::test]
async fn a_batch_repeated_by_its_keys_is_the_same_batch() {
    let factory = Factory::start().await;
    let keyed = |task: v1::NewTask| v1::NewTask { idempotency_key: format!("k-{}", task.name), ..task };
    let batch = || vec![keyed(task("b", &["@a"])), keyed(task("a", &[]))];
    let first = submit(&factory, batch()).await.expect("accepted");
    let mut more = batch();
    more.push(task("c", &["@a", "@b"]));
    let again = submit(&factory, more).await.expect("accepted");
    let ids = |tasks: &[v1::Submitted]| tasks.iter().map(|task| task.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&again[..2]), ids(&first));
    assert!(again[0].existed && again[1].existed && !again[2].existed);
    let added = view(&factory, &again[2]).await;
    assert_eq!(added.after, [first[1].id.clone(), first[0].id.clone()]);
}

#[tokio::test]
async fn what_was_cancelled_for_a_failure_is_tried_again_after_it() {
    let factory = Factory::start().await;
    let submitted = submit(&factory, vec![task("a", &[]), task("b", &["@a"])]).await.expect("accepted");
    let mut worker = Worker::connect(&factory.client).await;
    let offer = worker.run().await;
    worker.report(&offer, failed("rejected", 0)).await;
    let cancelled = view(&factory, &submitted[1]).await;
    assert_eq!(cancelled.state(), v1::TaskState::Cancelled);
    assert_eq!(cancelled.cancelled_because, "it waited for task 1, which failed");

    let retry = |task: &v1::Submitted| {
        let (mut tasks, task) = (factory.client.tasks(), task.id.clone());
        async move { soon(tasks.retry(v1::RetryRequest { task })).await }
    };
    let early = retry(&submitted[1]).await.expect_err("refused");
    assert_eq!(early.code(), Code::FailedPrecondition);
    assert!(early.message().contains("retry that one first"), "{early}");
    let first = retry(&submitted[0]).await.expect("retried").into_inner().task.expect("a task");
    let second = retry(&submitted[1]).await.expect("retried").into_inner().task.expect("a task");
    let second = view(&factory, &second).await;
    assert_eq!((second.state(), second.after), (v1::TaskState::Blocked, vec![first.id]));
}
