//! The pages about one task, and the graph of many.

use factory_proto::v1;
use factory_proto::v1::upload_artifact_request::Part;
use reqwest::StatusCode;
use sha2::{Digest, Sha256};

use crate::browser::Browser;
use crate::setup::{Factory, Worker, failed, prompt, soon, succeeded};

/// What must never come out as it went in.
const HOSTILE: &str = "<script>alert(1)</script> {{ 7 * 7 }} \" onload=x \u{202e}";

const PATCH: &str = "diff --git a/a.rs b/a.rs\nindex 1111111111111111111111111111111111111111..\
2222222222222222222222222222222222222222 100644\n--- a/a.rs\n+++ b/a.rs\n@@ -1,2 +1,2 @@ fn main\n \
// same\n-let a = \"<b>old</b>\";\n+let a = \"<b>new</b>\";\n";

fn after(prompt_text: &str, needed: &v1::Submitted) -> v1::NewTask {
    let spec = Some(prompt(prompt_text));
    v1::NewTask { spec, after: vec![needed.id.clone()], ..Default::default() }
}

async fn submit_after(factory: &Factory, text: &str, needed: &v1::Submitted) -> v1::Submitted {
    let request = v1::SubmitRequest { tasks: vec![after(text, needed)] };
    soon(factory.client.tasks().submit(request)).await.expect("accepted").into_inner().tasks.remove(0)
}

async fn keep_patch(factory: &Factory, worker: &Worker, offer: &v1::Offer, patch: &[u8]) {
    let artifact = v1::Artifact {
        kind: v1::ArtifactKind::Patch.into(),
        name: "changes.patch".to_owned(),
        bytes: patch.len() as u64,
        sha256: Sha256::digest(patch).to_vec(),
    };
    let header = v1::ArtifactHeader {
        worker_id: worker.id.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
        artifact: Some(artifact),
    };
    let data = patch.chunks(256 * 1024).map(|piece| Part::Data(piece.to_vec()));
    let parts = std::iter::once(Part::Header(header))
        .chain(data)
        .map(|part| v1::UploadArtifactRequest { part: Some(part) });
    let request = tokio_stream::iter(parts.collect::<Vec<_>>());
    soon(factory.client.worker().upload_artifact(request)).await.expect("kept");
}

#[tokio::test]
async fn a_task_is_shown_with_what_came_of_it() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(v1::TaskSpec { title: "Add a cache".into(), ..prompt("Do it") }).await;
    let next = submit_after(&factory, "next", &task).await;
    let offer = worker.run().await;
    let page = browser.get("/tasks/1").await;
    page.shows("Add a cache");
    page.shows("action=\"/tasks/1/cancel\"");
    page.shows("<meta name=\"factory-follow\" content=\"task=");
    page.shows("data-task=\"1\"");
    keep_patch(&factory, &worker, &offer, PATCH.as_bytes()).await;
    let usage = v1::Usage { cost_micro_usd: 250_000, turns: 3, output_tokens: 1_234, ..Default::default() };
    let report = v1::Report { result_text: "All done".into(), usage: Some(usage), ..succeeded(0) };
    worker.report(&offer, report).await;

    let page = browser.get(&format!("/tasks/{}", task.id)).await;
    for shown in [
        "state-succeeded",
        "All done",
        "$0.25",
        "1,234 out",
        "a.rs",
        "action=\"/tasks/1/retry\"",
        "The agent started",
    ] {
        page.shows(shown);
    }
    page.shows(&format!("href=\"/tasks/{}\"", next.number));
    page.shows("class=\"dag\"");
    let diff = browser.get("/tasks/1/diff").await;
    diff.shows("&lt;b&gt;<mark>old</mark>&lt;");
    diff.lacks("<b>old");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn whatever_is_in_a_task_is_shown_as_text() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let mut worker = Worker::connect(&factory.client).await;
    let spec = v1::TaskSpec {
        title: HOSTILE.into(),
        issue: "https://example.org/\"><script>".into(),
        labels: [("k".to_owned(), "v".to_owned())].into(),
        ..prompt(HOSTILE)
    };
    let task =
        factory.submit(v1::TaskSpec { labels: Default::default(), max_attempts: Some(1), ..spec }).await;
    submit_after(&factory, HOSTILE, &task).await;
    let offer = worker.run().await;
    keep_patch(&factory, &worker, &offer, PATCH.replace("a.rs", "<script>.rs").as_bytes()).await;
    let failure = v1::Failure { reason: "agent_error".into(), message: HOSTILE.into() };
    let report =
        v1::Report { failure: Some(failure), result_text: HOSTILE.into(), ..failed("agent_error", 0) };
    worker.report(&offer, report).await;
    for path in ["/tasks/1", "/tasks/1/diff", "/graph", "/graph?task=1", "/tasks/2"] {
        let page = browser.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.html);
        page.lacks("<script>");
        page.lacks("\" onload");
        page.shows("&lt;script&gt;");
    }
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn tasks_are_cancelled_and_tried_again_by_their_buttons() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    factory.submit(prompt("Work")).await;
    assert_eq!(browser.post("/tasks?state=queued", "/tasks/1/cancel", &[]).await.to(), "/tasks?state=queued");
    browser.get("/tasks/1").await.shows("someone asked for its end");
    let again = browser.post("/tasks/1", "/tasks/1/cancel", &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    again.shows("has ended already");
    assert_eq!(browser.post("/tasks/1", "/tasks/1/retry", &[]).await.to(), "/tasks/2");
    browser.get("/tasks/2").await.shows("Retry of");
    assert_eq!(browser.get("/tasks/77").await.status, StatusCode::NOT_FOUND);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_log_is_downloaded_whole_and_never_shown_as_a_page() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("Work")).await;
    let offer = worker.run().await;
    let lines: Vec<String> = (0..1500).map(|line| format!("<script> line {line}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    worker.push(&offer, 0, &lines).await;
    let log = browser.get("/tasks/1/log.txt").await;
    assert_eq!(log.html.lines().count(), 1500);
    assert_eq!(log.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(log.header("x-content-type-options"), "nosniff");
    assert_eq!(log.header("content-disposition"), "attachment; filename=\"log-1.txt\"");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn of_many_tasks_and_a_huge_patch_a_bounded_part_is_shown() {
    let factory = Factory::start().await;
    let browser = Browser::of(&factory.coordinator);
    let mut worker = Worker::connect(&factory.client).await;
    let first = factory.submit(prompt("First")).await;
    let offer = worker.run().await;
    let added: String = (0..200_000).map(|line| format!("+line {line} {}\n", "x".repeat(20))).collect();
    let patch = format!(
        "diff --git a/a.rs b/a.rs\nindex {}..{} 100644\n--- a/a.rs\n+++ b/a.rs\n@@ -1,0 +1,1 @@\n+one\n\
         diff --git a/big b/big\nnew file mode 100644\nindex {}..{}\n--- /dev/null\n+++ b/big\n@@ -0,0 +1,200000 @@\n{added}",
        "1".repeat(40),
        "2".repeat(40),
        "0".repeat(40),
        "3".repeat(40),
    );
    keep_patch(&factory, &worker, &offer, patch.as_bytes()).await;
    let diff = browser.get("/tasks/1/diff").await;
    diff.shows("larger than what is shown here");
    assert!(diff.html.len() < 2_000_000, "{} bytes", diff.html.len());

    let tasks = (0..400).map(|index| after(&format!("task {index}"), &first)).collect();
    soon(factory.client.tasks().submit(v1::SubmitRequest { tasks })).await.expect("accepted");
    let graph = browser.get("/graph?task=1").await;
    graph.shows("Only 300 tasks are drawn");
    assert_eq!(graph.html.matches("class=\"dag-box\"").count(), 300);
    let page = browser.get("/tasks/1").await;
    assert!(page.html.len() < 300_000, "{} bytes", page.html.len());
    factory.coordinator.shutdown().await;
}
