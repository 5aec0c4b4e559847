//! Tasks: lists, one in full, logs, files, ends and tries.

use std::collections::BTreeMap;

use factory_proto::v1;
use reqwest::header::{ETAG, IF_NONE_MATCH, LOCATION};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::caller::{act, get, request, send};
use crate::setup::{Factory, Worker, failed, prompt, soon, succeeded};

fn numbers(page: &Value) -> Vec<u64> {
    let tasks = page["tasks"].as_array().expect("tasks");
    tasks.iter().map(|task| task["number"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let labelled = |text: &str, labels: &[(&str, &str)]| v1::TaskSpec {
        labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..prompt(text)
    };
    factory.submit(prompt("One")).await;
    let offer = worker.run().await;
    worker.report(&offer, succeeded(0)).await;
    factory.submit(prompt("Two")).await;
    worker.run().await;
    factory.submit(labelled("Three", &[("gpu", "yes"), ("zone", "b")])).await;
    factory.submit(v1::TaskSpec { role: "reviewer".to_owned(), ..labelled("Four", &[("gpu", "yes")]) }).await;

    for (query, wanted) in [
        ("", vec![4, 3, 2, 1]),
        ("?status=done", vec![1]),
        ("?status=in_progress,done", vec![2, 1]),
        ("?status=in_progress&status=queued", vec![4, 3, 2]),
        ("?state=running,succeeded", vec![2, 1]),
        ("?status=queued&state=running", vec![]),
        ("?label=gpu%3Dyes", vec![4, 3]),
        ("?label=gpu%3Dyes&label=zone%3Db", vec![3]),
        ("?agent_type=reviewer", vec![4]),
        ("?repo=/nowhere", vec![]),
    ] {
        let page = get(&factory, &format!("/api/tasks{query}")).await.assert_ok();
        assert_eq!(numbers(&page), wanted, "{query}");
    }
    let page = get(&factory, "/api/tasks?limit=3").await.assert_ok();
    assert!(page["tasks"][0]["description"].is_null(), "lists leave prompts out: {page}");
    let token = page["next_page_token"].as_str().expect("another page");
    let rest = get(&factory, &format!("/api/tasks?page_token={token}")).await.assert_ok();
    assert_eq!((numbers(&page), numbers(&rest)), (vec![4, 3, 2], vec![1]));
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_task_that_is_as_it_was_is_not_sent_again() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let task = factory.submit(prompt("One")).await;
    let first = get(&factory, "/api/tasks/1").await;
    assert_eq!((&first.json["id"], &first.json["description"]), (&task.id.into(), &"One".into()));
    let tag = first.header(ETAG.as_str()).to_owned();
    let again = || send(request(&factory, Method::GET, "/api/tasks/1").header(IF_NONE_MATCH, &tag));

    factory.submit(prompt("Another, which moves the feed")).await;
    let same = again().await;
    assert_eq!((same.status, same.text.as_str()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(same.header(ETAG.as_str()), tag);
    worker.run().await;
    let changed = again().await;
    assert_eq!((changed.status, &changed.json["status"]), (StatusCode::OK, &"in_progress".into()));
    assert_ne!(changed.header(ETAG.as_str()), tag);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_log_is_read_page_by_page_over_all_attempts() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(v1::TaskSpec { max_attempts: Some(1), ..prompt("One") }).await;
    let empty = get(&factory, "/api/tasks/1/logs").await.assert_ok();
    assert_eq!(
        (&empty["attempt"], &empty["at_end"], &empty["complete"]),
        (&Value::Null, &true.into(), &false.into())
    );
    let offer = worker.run().await;
    worker.push(&offer, 0, &["a", "b", "c"]).await;

    let read = async |query: &str| get(&factory, &format!("/api/tasks/1/logs?{query}")).await.assert_ok();
    let texts = |page: &Value| -> Vec<String> {
        let lines = page["lines"].as_array().expect("lines");
        lines.iter().map(|line| line["text"].as_str().expect("a text").to_owned()).collect()
    };
    let page = read("limit=2").await;
    assert_eq!(
        (texts(&page), &page["next_since"], &page["at_end"]),
        (vec!["a".into(), "b".into()], &"1:2".into(), &false.into())
    );
    let line = &page["lines"][1];
    assert_eq!(
        (&line["offset"], &line["stream"], &line["at"]),
        (&1.into(), &"stdout".into(), &"1970-01-01T00:00:00.001Z".into())
    );
    let page = read("since=1:2").await;
    assert_eq!(
        (texts(&page), &page["at_end"], &page["complete"]),
        (vec!["c".into()], &true.into(), &false.into())
    );
    assert_eq!(texts(&read("tail=2&attempt=1").await), ["b", "c"]);

    worker.report(&offer, failed("agent_error", 3)).await;
    let page = read("since=1:3").await;
    assert_eq!((&page["next_since"], &page["complete"]), (&"1:3".into(), &true.into()));

    for (query, about) in [
        ("since=soon", "<attempt>:<offset>"),
        ("since=1:-1", "<attempt>:<offset>"),
        ("since=1:4", "ends at 3"),
        ("since=1:0&tail=3", "together"),
        ("limit=0", "between"),
        ("tail=100000", "between"),
    ] {
        let refused = get(&factory, &format!("/api/tasks/1/logs?{query}")).await;
        refused.assert_problem(StatusCode::BAD_REQUEST, about);
    }
    let refused = get(&factory, "/api/tasks/1/logs?attempt=2").await;
    refused.assert_problem(StatusCode::NOT_FOUND, "no attempt 2");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn what_an_attempt_left_is_listed_and_read() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("One")).await;
    let offer = worker.run().await;
    let none = get(&factory, "/api/tasks/1/diff").await;
    none.assert_problem(StatusCode::NOT_FOUND, "no patch is kept");
    let patch = "diff --git a/a b/a\n+one\n";
    for (kind, name, data) in
        [(v1::ArtifactKind::Patch, "changes.patch", patch), (v1::ArtifactKind::File, "notes/<b>.html", "<b>")]
    {
        upload(&worker, &offer, kind, name, data).await;
    }

    let diff = get(&factory, "/api/tasks/1/diff").await;
    assert_eq!((diff.header("content-type"), diff.text.as_str()), ("text/x-diff; charset=utf-8", patch));
    let list = get(&factory, "/api/tasks/1/artifacts").await.assert_ok();
    let kinds: BTreeMap<_, _> = list["artifacts"]
        .as_array()
        .expect("artifacts")
        .iter()
        .map(|one| (one["kind"].as_str(), one["bytes"].as_u64()))
        .collect();
    assert_eq!(kinds, BTreeMap::from([(Some("file"), Some(3)), (Some("patch"), Some(patch.len() as u64))]));
    let file = get(&factory, "/api/tasks/1/artifacts/file?name=notes/%3Cb%3E.html&attempt=1").await;
    assert_eq!((file.status, file.text.as_str()), (StatusCode::OK, "<b>"));
    assert_eq!(file.header("content-type"), "application/octet-stream");
    assert_eq!(
        (file.header("content-disposition"), file.header("x-content-type-options")),
        ("attachment", "nosniff")
    );

    get(&factory, "/api/tasks/1/artifacts/bundle").await.assert_problem(StatusCode::NOT_FOUND, "no bundle");
    get(&factory, "/api/tasks/1/artifacts/file")
        .await
        .assert_problem(StatusCode::BAD_REQUEST, "name is missing");
    get(&factory, "/api/tasks/1/artifacts/secrets").await.assert_problem(StatusCode::BAD_REQUEST, "secrets");
    factory.coordinator.shutdown().await;
}

async fn upload(worker: &Worker, offer: &v1::Offer, kind: v1::ArtifactKind, name: &str, data: &str) {
    use v1::upload_artifact_request::Part;
    let header = v1::ArtifactHeader {
        worker_id: worker.id.to_string(),
        task_id: offer.task_id.clone(),
        attempt_id: offer.attempt_id.clone(),
        artifact: Some(v1::Artifact {
            kind: kind.into(),
            name: name.to_owned(),
            bytes: data.len() as u64,
            sha256: Sha256::digest(data).to_vec(),
        }),
    };
    let pieces = [Part::Header(header), Part::Data(data.as_bytes().to_vec())];
    let pieces = pieces.map(|part| v1::UploadArtifactRequest { part: Some(part) });
    soon(worker.client().worker().upload_artifact(tokio_stream::iter(pieces))).await.expect("it is kept");
}

#[tokio::test]
async fn a_task_is_ended_and_tried_again() {
    let factory = Factory::start().await;
    factory.submit(prompt("One")).await;
    act(&factory, "/api/tasks/1/retry").await.assert_problem(StatusCode::CONFLICT, "has not ended");
    let cancelled = act(&factory, "/api/tasks/1/cancel").await.assert_ok();
    assert_eq!((&cancelled["status"], &cancelled["children_live"]), (&"cancelled".into(), &0.into()));
    act(&factory, "/api/tasks/1/cancel").await.assert_problem(StatusCode::CONFLICT, "has ended already");
    let again = act(&factory, "/api/tasks/1/retry").await;
    assert_eq!((again.status, again.header(LOCATION.as_str())), (StatusCode::CREATED, "/api/tasks/2"));
    assert_eq!(again.json["retry_of"], cancelled["id"]);
    factory.coordinator.shutdown().await;
}
