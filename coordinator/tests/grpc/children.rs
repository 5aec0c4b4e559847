//! What an agent does with tasks of its own, through its worker.

use factory_proto::v1;
use tonic::{Code, Status};

use crate::setup::{Factory, Worker, prompt, soon, succeeded};
use crate::tasks::fields;

fn speaks(worker: &Worker, offer: &v1::Offer) -> Option<v1::AttemptRef> {
    Some(v1::AttemptRef {
        worker_id: worker.id.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
    })
}

async fn submit(
    worker: &Worker,
    offer: &v1::Offer,
    key: &str,
    task: v1::NewTask,
) -> Result<v1::Submitted, Status> {
    let (attempt, key, task) = (speaks(worker, offer), key.to_owned(), Some(task));
    let request = v1::AgentSubmitTaskRequest { attempt, key, task };
    Ok(soon(worker.client().agents().submit_task(request)).await?.into_inner().task.expect("a task"))
}

fn wanted(text: &str) -> v1::NewTask {
    let spec = v1::TaskSpec { prompt: text.to_owned(), ..v1::TaskSpec::default() };
    v1::NewTask { spec: Some(spec), ..v1::NewTask::default() }
}

#[tokio::test]
async fn a_child_is_as_its_parent_and_its_end_is_told() {
    let factory = Factory::start().await;
    let spec = v1::TaskSpec {
        repo: "/srv/app".into(),
        project: "app".into(),
        submitter: "ann".into(),
        priority: 7,
        ..prompt("Plan it")
    };
    let parent = factory.submit(spec).await;
    let mut worker = Worker::connect(&factory.client).await;
    let offer = worker.run().await;
    let child = submit(&worker, &offer, "k", wanted("Do a part")).await.expect("accepted");
    let again = submit(&worker, &offer, "k", wanted("Do a part")).await.expect("found");
    assert_eq!((again.id.as_str(), again.existed), (child.id.as_str(), true));

    let view = factory.get(&child.id).await.task.expect("a task");
    assert_eq!((view.parent_id.as_str(), view.parent_number), (parent.id.as_str(), 1));
    let spec = view.spec.expect("a spec");
    let inherited = (spec.agent.as_str(), spec.repo.as_str(), spec.project.as_str(), spec.submitter.as_str());
    assert_eq!((inherited, spec.priority), (("scripted", "/srv/app", "app", "ann"), 7));
    let listed = v1::ListRequest { parent: "1".into(), ..v1::ListRequest::default() };
    let listed = soon(factory.client.tasks().list(listed)).await.expect("a list").into_inner().tasks;
    assert_eq!(listed.iter().map(|task| &task.id).collect::<Vec<_>>(), [&child.id]);

    let request = v1::NoticesRequest { attempt: speaks(&worker, &offer), told_up_to: 0, wait_ms: 10_000 };
    let mut agents = worker.client().agents();
    let ends = async {
        let part = worker.run().await;
        assert_eq!(part.task_id, child.id);
        assert_eq!(worker.report(&part, succeeded(0)).await, v1::ReportVerdict::Accepted);
    };
    let (told, ()) = tokio::join!(soon(agents.notices(request)), ends);
    let told = told.expect("an answer").into_inner().notices;
    assert_eq!(told[0].kind(), v1::NoticeKind::ChildEnded);
    assert!(told[0].text.starts_with("Your subtask 2 (Do a part) has succeeded."), "{}", told[0].text);
}

#[tokio::test]
async fn an_agent_sees_and_names_only_what_concerns_it() {
    let factory = Factory::start().await;
    let stranger = factory.submit(v1::TaskSpec { priority: -5, ..prompt("Something else") }).await;
    factory.submit(prompt("Plan it")).await;
    let mut worker = Worker::connect(&factory.client).await;
    let offer = worker.run().await;
    let child = submit(&worker, &offer, "", wanted("Do a part")).await.expect("accepted");

    let status = |tasks: &[&str]| {
        let tasks = tasks.iter().map(|name| (*name).to_owned()).collect();
        let request = v1::AgentTaskStatusRequest { attempt: speaks(&worker, &offer), tasks };
        let mut agents = worker.client().agents();
        async move { soon(agents.task_status(request)).await.map(|found| found.into_inner().tasks) }
    };
    let all = status(&[]).await.expect("shown");
    assert_eq!(all.iter().map(|task| task.number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(status(&["3"]).await.expect("shown")[0].id, child.id);
    assert_eq!(status(&["1"]).await.expect_err("refused").code(), Code::NotFound);

    let after = v1::NewTask { after: vec![stranger.id], ..wanted("Wait for it") };
    let refused = submit(&worker, &offer, "", after).await.expect_err("refused");
    assert_eq!(fields(&refused), ["tasks[0].after"]);
    let mut trusting = wanted("Trust me");
    trusting.spec.as_mut().expect("a spec").trust_repo = true;
    let refused = submit(&worker, &offer, "", trusting).await.expect_err("refused");
    assert_eq!(fields(&refused), ["task.spec.trust_repo"]);
}

#[tokio::test]
async fn progress_is_shown_with_the_task() {
    let factory = Factory::start().await;
    let task = factory.submit(prompt("Work")).await;
    let mut worker = Worker::connect(&factory.client).await;
    let offer = worker.run().await;
    let report = |text: &str, percent| {
        let (attempt, text) = (speaks(&worker, &offer), text.to_owned());
        let mut agents = worker.client().agents();
        let request = v1::ReportProgressRequest { attempt, text, percent };
        async move { soon(agents.report_progress(request)).await }
    };
    // The word that it started may come after it.
    report("half of it", Some(50)).await.expect("noted");
    let view = factory.get(&task.id).await.task.expect("a task");
    assert_eq!((view.progress.as_str(), view.progress_percent), ("half of it", Some(50)));
    let refused = report("two\nlines", None).await.expect_err("refused");
    assert_eq!(fields(&refused), ["text"]);
    worker.report(&offer, succeeded(0)).await;
    assert_eq!(report("late", None).await.expect_err("refused").code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn a_cancel_says_what_became_of_the_children() {
    let factory = Factory::start().await;
    let parent = factory.submit(prompt("Plan it")).await;
    let mut worker = Worker::connect(&factory.client).await;
    let offer = worker.run().await;
    for text in ["One part", "Another"] {
        submit(&worker, &offer, "", wanted(text)).await.expect("accepted");
    }
    let cancel = |with_children| {
        let request = v1::CancelRequest { task: parent.id.clone(), with_children };
        let mut tasks = factory.client.tasks();
        async move { soon(tasks.cancel(request)).await.expect("wished").into_inner() }
    };
    let alone = cancel(false).await;
    assert_eq!((alone.children_cancelled, alone.children_live), (0, 2));
    let all = cancel(true).await;
    assert_eq!((all.children_cancelled, all.children_live), (2, 0));
    assert_eq!(factory.state("3").await, v1::TaskState::Cancelled);
}
