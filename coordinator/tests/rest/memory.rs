//! Memory.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::caller::{get, post, request, send};
use crate::setup::{Factory, prompt};

#[tokio::test]
async fn what_was_learned_is_kept_once_found_and_listed() {
    let factory = Factory::start().await;
    factory.submit(prompt("Fix the login")).await;
    let new = json!({
        "kind": "decision", "content": "Sessions live in Redis", "tags": ["login"], "repo": "octo/app",
        "task_id": 1,
    });
    let saved = post(&factory, "/api/memory", &new).await;
    assert_eq!(saved.status, StatusCode::CREATED, "{saved:?}");
    assert_eq!((&saved.json["task_number"], &saved.json["kind"]), (&json!(1), &json!("decision")));
    assert_eq!((&saved.json["repo"], &saved.json["is_summary"]), (&json!("octo/app"), &json!(false)));
    let same = post(&factory, "/api/memory", &new).await;
    assert_eq!((same.status, &same.json["id"]), (StatusCode::OK, &saved.json["id"]));
    let keyed = request(&factory, Method::POST, "/api/memory").header("Idempotency-Key", "k");
    let fact = json!({ "kind": "fact", "content": "CI has no network" });
    assert_eq!(send(keyed.json(&fact)).await.status, StatusCode::CREATED);

    let found = get(&factory, "/api/memory/search?q=where%20do%20sessions%20live").await.assert_ok();
    assert_eq!((&found["ranking"], &found["hits"][0]["memory"]), (&json!("bm25"), &saved.json));
    assert!(found["hits"][0]["score"].is_f64());
    for (query, count) in [
        ("", 2),
        ("?kind=fact", 1),
        ("?kind=fact&kind=decision", 2),
        ("?repo=octo/app", 1),
        ("?tag=login", 1),
        ("?tag=login&tag=other", 0),
        ("?of_tasks=true", 1),
        ("?project=checkout", 0),
    ] {
        let page = get(&factory, &format!("/api/memory{query}")).await.assert_ok();
        assert_eq!(page["memories"].as_array().map(Vec::len), Some(count), "{query}: {page}");
    }
    let first = get(&factory, "/api/memory?limit=1").await.assert_ok();
    let token = first["next_page_token"].as_str().expect("another page");
    let rest = get(&factory, &format!("/api/memory?page_token={token}")).await.assert_ok();
    assert_eq!((&first["memories"][0]["number"], &rest["memories"][0]["number"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn what_cannot_be_kept_or_looked_for_says_why() {
    let factory = Factory::start().await;
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    const SHAPE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
    for (body, status, said) in [
        (json!({ "kind": "fact", "content": "" }), BAD, "content is empty"),
        (json!({ "kind": "rumour", "content": "x" }), SHAPE, "rumour"),
        (json!({ "content": "x" }), SHAPE, "kind"),
        (json!({ "kind": "fact", "content": "x", "tags": [""] }), BAD, "tags"),
        (json!({ "kind": "fact", "content": "x", "task_id": 7 }), StatusCode::NOT_FOUND, "no task `7`"),
    ] {
        post(&factory, "/api/memory", &body).await.assert_problem(status, said);
    }
    for (path, said) in [
        ("/api/memory/search", "q"),
        ("/api/memory/search?q=%20", "q is empty"),
        ("/api/memory/search?q=x&limit=101", "at most 100"),
        ("/api/memory?kind=rumour", "rumour"),
        ("/api/memory?page_token=1", "page_token"),
    ] {
        get(&factory, path).await.assert_problem(BAD, said);
    }
    assert_eq!(get(&factory, "/api/memory").await.assert_ok()["memories"], json!([]));
}
