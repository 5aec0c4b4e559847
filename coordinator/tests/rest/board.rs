//! Messages and handoffs.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::caller::{Answer, get, post, request, send};
use crate::setup::{Factory, prompt};

fn contents(page: &Value) -> Vec<&str> {
    let messages = page["messages"].as_array().expect("messages");
    messages.iter().map(|message| message["content"].as_str().expect("a text")).collect()
}

async fn post_keyed(factory: &Factory, path: &str, key: &str, body: &Value) -> Answer {
    send(request(factory, Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

#[tokio::test]
async fn a_message_is_posted_found_and_answered() {
    let factory = Factory::start().await;
    factory.submit(prompt("Cache it")).await;
    let asked = json!({
        "to": "reviewer", "content": "Redis or Memcached for authentication?", "message_type": "question",
        "task_id": 1, "from": "ada",
    });
    let posted = post(&factory, "/api/messages", &asked).await;
    assert_eq!((posted.status, posted.header("location")), (StatusCode::CREATED, "/api/messages/1"));
    let posted = posted.json;
    assert_eq!((&posted["to"], &posted["from"]), (&json!("reviewer"), &json!("ada")));
    assert_eq!((&posted["task_number"], &posted["message_type"]), (&json!(1), &json!("question")));
    let reply = json!({ "content": "Redis", "reply_to": 1 });
    let reply = post(&factory, "/api/messages", &reply).await.assert_ok();
    assert_eq!((&reply["to"], &reply["thread_number"]), (&json!("user"), &json!(1)));
    post(&factory, "/api/messages", &json!({ "content": "Freeze at noon" })).await.assert_ok();

    for (query, wanted) in [
        ("?limit=20", vec!["Freeze at noon", "Redis", "Redis or Memcached for authentication?"]),
        ("?task_id=1", vec!["Redis or Memcached for authentication?"]),
        ("?message_type=question", vec!["Redis or Memcached for authentication?"]),
        ("?message_type=question&message_type=error", vec!["Redis or Memcached for authentication?"]),
        ("?search=authentication", vec!["Redis or Memcached for authentication?"]),
        ("?search=%22%27*%00%20OR%20%28%20NEAR", vec![]),
        ("?from=ada", vec!["Redis or Memcached for authentication?"]),
        ("?to=all", vec!["Freeze at noon"]),
    ] {
        let page = get(&factory, &format!("/api/messages{query}")).await.assert_ok();
        assert_eq!(contents(&page), wanted, "{query}");
    }
    let id = posted["id"].as_str().expect("an id");
    let found = get(&factory, &format!("/api/messages/{id}")).await.assert_ok();
    assert_eq!((&found["content"], &found["replies"]), (&posted["content"], &json!(1)));
    let thread = get(&factory, "/api/messages/2/thread").await.assert_ok();
    assert_eq!(contents(&thread), ["Redis or Memcached for authentication?", "Redis"]);
}

#[tokio::test]
async fn a_long_board_is_read_in_pages() {
    let factory = Factory::start().await;
    for number in 1..=25 {
        let message = json!({ "content": format!("{number}"), "message_type": "status" });
        post(&factory, "/api/messages", &message).await.assert_ok();
    }
    let mut path = "/api/messages?limit=10".to_owned();
    let mut all = Vec::new();
    loop {
        let page = get(&factory, &path).await.assert_ok();
        all.extend(contents(&page).into_iter().map(|number| number.parse::<u64>().expect("a number")));
        let Some(token) = page["next_page_token"].as_str() else { break };
        let other = get(&factory, &format!("/api/messages?from=ada&page_token={token}")).await;
        other.assert_problem(StatusCode::BAD_REQUEST, "page_token");
        path = format!("/api/messages?limit=10&page_token={token}");
    }
    assert_eq!(all, (1..=25).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn the_same_key_posts_and_hands_on_once() {
    let factory = Factory::start().await;
    factory.submit(prompt("One")).await;
    let message = json!({ "content": "Once" });
    let handoff = json!({ "from_task": "1", "to_role": "reviewer", "context": "Look at it" });
    for (path, body, field) in [("/api/messages", message, "content"), ("/api/handoffs", handoff, "context")]
    {
        let first = post_keyed(&factory, path, "k", &body).await;
        let again = post_keyed(&factory, path, "k", &body).await;
        assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::OK), "{again:?}");
        assert_eq!(
            (&first.json["id"], again.header("location")),
            (&again.json["id"], first.header("location"))
        );
        let mut other = body.clone();
        other[field] = json!("Something else");
        post_keyed(&factory, path, "k", &other)
            .await
            .assert_problem(StatusCode::CONFLICT, "key `k` was used");
        post_keyed(&factory, path, " ", &body)
            .await
            .assert_problem(StatusCode::BAD_REQUEST, "Idempotency-Key");
    }
}

#[tokio::test]
async fn a_handoff_is_given_and_found_with_both_its_tasks() {
    let factory = Factory::start().await;
    for text in ["Write it", "Review it", "Something else"] {
        factory.submit(prompt(text)).await;
    }
    let new = json!({
        "from_task": 1, "to_task": "2", "context": "Look at the cache first", "artifacts": ["src/cache.rs"],
        "branch": "factory/cache",
    });
    let kept = post(&factory, "/api/handoffs", &new).await;
    assert_eq!((kept.status, kept.header("location")), (StatusCode::CREATED, "/api/handoffs/1"));
    assert_eq!(get(&factory, "/api/handoffs/1").await.assert_ok(), kept.json);
    assert_eq!((&kept.json["from_task_number"], &kept.json["to_task_number"]), (&json!(1), &json!(2)));
    assert_eq!((&kept.json["branch"], &kept.json["to_role"]), (&json!("factory/cache"), &Value::Null));
    for (path, count) in [
        ("/api/handoffs", 1),
        ("/api/tasks/1/handoffs", 1),
        ("/api/tasks/2/handoffs?limit=1", 1),
        ("/api/tasks/3/handoffs", 0),
    ] {
        let page = get(&factory, path).await.assert_ok();
        assert_eq!(page["handoffs"].as_array().map(Vec::len), Some(count), "{path}");
        assert!(page["next_page_token"].is_null(), "{path}");
    }
}

#[tokio::test]
async fn what_is_refused_says_why_and_changes_nothing() {
    let factory = Factory::start().await;
    factory.submit(prompt("One")).await;
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    const SHAPE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
    const MISSING: StatusCode = StatusCode::NOT_FOUND;
    for (path, body, status, said) in [
        ("/api/messages", json!({ "content": " " }), BAD, "content is empty"),
        ("/api/messages", json!({ "content": "x".repeat(64 * 1024 + 1) }), BAD, "65536"),
        ("/api/messages", json!({ "content": "x", "to": "task" }), BAD, "task:7"),
        ("/api/messages", json!({ "content": "x", "from": "a\nb" }), BAD, "from holds a control"),
        ("/api/messages", json!({ "content": "x", "task_id": 9 }), MISSING, "no task `9`"),
        ("/api/messages", json!({ "content": "x", "reply_to": 9 }), MISSING, "no message `9`"),
        ("/api/messages", json!({ "content": "x", "message_type": "gossip" }), SHAPE, "gossip"),
        ("/api/messages", json!({ "content": "x", "typ": "info" }), SHAPE, "typ"),
        ("/api/messages", json!({ "content": "x", "task_id": [1] }), SHAPE, "a number, or an id"),
        ("/api/messages", json!({ "to": "all" }), SHAPE, "content"),
        ("/api/handoffs", json!({ "from_task": 9, "context": "x" }), MISSING, "no task `9`"),
        ("/api/handoffs", json!({ "from_task": 1, "context": "" }), BAD, "context is empty"),
        (
            "/api/handoffs",
            json!({ "from_task": 1, "context": "x", "to_task": 1, "to_role": "coder" }),
            BAD,
            "to_role cannot be given",
        ),
        ("/api/handoffs", json!({ "from_task": 1, "context": "x", "branch": "a b" }), BAD, "branch"),
    ] {
        let refused = post(&factory, path, &body).await;
        refused.assert_problem(status, said);
    }
    for (path, status) in [
        ("/api/messages/7", MISSING),
        ("/api/messages/x/thread", MISSING),
        ("/api/handoffs/7", MISSING),
        ("/api/tasks/7/handoffs", MISSING),
        ("/api/messages?task_id=7", MISSING),
        ("/api/messages?limit=0", BAD),
        ("/api/messages?limit=many", BAD),
        ("/api/messages?page_token=x", BAD),
        ("/api/messages?sort=up", BAD),
    ] {
        get(&factory, path).await.assert_problem(status, "");
    }
    for path in ["/api/messages", "/api/handoffs"] {
        let page = get(&factory, path).await.assert_ok();
        let list = page.as_object().and_then(|page| page.values().find_map(Value::as_array));
        assert_eq!(list.map(Vec::len), Some(0), "{path}");
    }
}
