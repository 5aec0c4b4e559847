//! Submit, get, list, cancel, retry; and input that cannot be accepted.

use factory_proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::setup::{Factory, Worker, prompt, soon, succeeded};

pub fn fields(status: &Status) -> Vec<String> {
    let bad = status.get_details_bad_request().expect("a BadRequest");
    bad.field_violations.into_iter().map(|violation| violation.field).collect()
}

#[tokio::test]
async fn a_submitted_task_is_found_by_id_prefix_and_number_and_says_what_it_waits_for() {
    let factory = Factory::start().await;
    let task = factory.submit(prompt("Fix the login")).await;
    let id = task.id.clone();
    let number = task.number.to_string();
    for name in [id.as_str(), &id[..30], number.as_str()] {
        let found = factory.get(name).await.task.expect("a task");
        assert_eq!((found.id.as_str(), found.state()), (id.as_str(), v1::TaskState::Queued));
        assert_eq!(found.waiting_for, "no worker is connected");
        assert_eq!(found.spec.expect("a spec").prompt, "Fix the login");
    }
    let missing = soon(factory.client.tasks().get(v1::GetRequest { task: "999".into() })).await;
    assert_eq!(missing.expect_err("not there").code(), Code::NotFound);
}

#[tokio::test]
async fn every_bad_field_of_every_task_is_named_and_nothing_is_kept() {
    let factory = Factory::start().await;
    let bad = v1::TaskSpec {
        base: "--upload-pack=x".into(),
        branch: "../../x".into(),
        repo: "octo/app".into(),
        agent: "nobody".into(),
        ..prompt("x")
    };
    let specs = vec![prompt("good"), bad, prompt(" "), prompt(&"x".repeat(3_000_000)), prompt("a\0b")];
    let refused = factory.try_submit(specs).await.expect_err("refused");
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(
        fields(&refused),
        [
            "tasks[1].agent",
            "tasks[1].base",
            "tasks[1].branch",
            "tasks[2].prompt",
            "tasks[3].prompt",
            "tasks[4].prompt"
        ]
    );
    assert!(refused.message().contains("3000000 bytes"), "{refused}");
    let all = soon(factory.client.tasks().list(v1::ListRequest::default())).await.expect("a list");
    assert!(all.into_inner().tasks.is_empty());
}

#[tokio::test]
async fn a_message_beyond_every_limit_is_refused_with_the_limit() {
    let factory = Factory::start().await;
    let refused = factory.try_submit(vec![prompt(&"x".repeat(9_000_000))]).await.expect_err("refused");
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("8388608"), "{refused}");
}

#[tokio::test]
async fn the_same_key_and_task_again_is_the_same_task() {
    let factory = Factory::start().await;
    let submit = |text: &str| {
        let task = v1::NewTask {
            spec: Some(prompt(text)),
            idempotency_key: "monday".into(),
            ..v1::NewTask::default()
        };
        let mut tasks = factory.client.tasks();
        async move { soon(tasks.submit(v1::SubmitRequest { tasks: vec![task] })).await }
    };
    let first = submit("once").await.expect("accepted").into_inner().tasks.remove(0);
    let again = submit("once").await.expect("accepted").into_inner().tasks.remove(0);
    assert_eq!((again.id.as_str(), again.existed), (first.id.as_str(), true));
    let other = submit("something else").await.expect_err("refused");
    assert_eq!(other.code(), Code::AlreadyExists);
    assert!(other.message().contains(&first.id), "{other}");
}

#[tokio::test]
async fn a_list_comes_in_pages_newest_first() {
    let factory = Factory::start().await;
    factory.try_submit((0..5).map(|n| prompt(&format!("task {n}"))).collect()).await.expect("accepted");
    let page = |token: String, repo: &str| {
        let request =
            v1::ListRequest { page_size: 2, page_token: token, repo: repo.into(), ..Default::default() };
        let mut tasks = factory.client.tasks();
        async move { soon(tasks.list(request)).await.map(tonic::Response::into_inner) }
    };
    let (mut numbers, mut token) = (Vec::new(), String::new());
    loop {
        let next = page(token, "").await.expect("a page");
        numbers.extend(next.tasks.iter().map(|task| task.number));
        token = next.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(numbers, [5, 4, 3, 2, 1]);
    let first = page(String::new(), "").await.expect("a page");
    let mixed = page(first.next_page_token, "octo/app").await.expect_err("another list's token");
    assert_eq!(fields(&mixed), ["page_token"]);
}

#[tokio::test]
async fn cancel_ends_a_queued_task_and_retry_makes_a_new_one_of_it() {
    let factory = Factory::start().await;
    let task = factory.submit(prompt("Never mind")).await;
    let retry = || factory.client.tasks();
    let early = soon(retry().retry(v1::RetryRequest { task: task.id.clone() })).await.expect_err("too early");
    assert_eq!(early.code(), Code::FailedPrecondition);

    let cancel = v1::CancelRequest { task: task.id.clone(), with_children: false };
    let cancelled = soon(factory.client.tasks().cancel(cancel.clone())).await.expect("cancelled");
    assert_eq!(cancelled.into_inner().task.expect("a task").state(), v1::TaskState::Cancelled);
    let again = soon(factory.client.tasks().cancel(cancel)).await.expect_err("it has ended");
    assert_eq!(again.code(), Code::FailedPrecondition);

    let retried = soon(retry().retry(v1::RetryRequest { task: task.id.clone() })).await.expect("retried");
    let new = retried.into_inner().task.expect("a task");
    assert_eq!(factory.get(&new.id).await.task.expect("a task").retry_of, task.id);
    let old = factory.get(&task.id).await.task.expect("a task");
    assert_eq!((old.state(), old.retried_as.as_str()), (v1::TaskState::Cancelled, new.id.as_str()));
}

#[tokio::test]
async fn the_callers_trace_travels_to_the_offer() {
    let factory = Factory::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let task = v1::NewTask { spec: Some(prompt("x")), ..Default::default() };
    let mut request = tonic::Request::new(v1::SubmitRequest { tasks: vec![task] });
    request.metadata_mut().insert("traceparent", trace.parse().expect("a header"));
    soon(factory.client.tasks().submit(request)).await.expect("accepted");
    let mut worker = Worker::connect(&factory.client).await;
    let offer = worker.run().await;
    assert_eq!(offer.traceparent, trace);
    assert_eq!(worker.report(&offer, succeeded(0)).await, v1::ReportVerdict::Accepted);
}
