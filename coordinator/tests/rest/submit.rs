//! Creating tasks, letting them go, and how much there is of them.

use factory_proto::v1;
use reqwest::header::LOCATION;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::caller::{Answer, act, get, post, request, send};
use crate::setup::{Factory, Worker, prompt, succeeded};

async fn keyed(factory: &Factory, key: &str, body: &Value) -> Answer {
    send(request(factory, Method::POST, "/api/tasks").header("Idempotency-Key", key).json(body)).await
}

#[tokio::test]
async fn a_task_is_held_until_it_is_run() {
    let factory = Factory::start().await;
    let body = json!({ "title": "Add a cache", "description": "In Redis", "agent_type": "coder" });
    let created = post(&factory, "/api/tasks", &body).await;
    assert_eq!((created.status, created.header(LOCATION.as_str())), (StatusCode::CREATED, "/api/tasks/1"));
    let task = created.json;
    assert_eq!(
        (&task["status"], &task["state"], &task["held"], &task["agent_type"]),
        (&json!("queued"), &json!("blocked"), &json!(true), &json!("coder"))
    );
    assert_eq!(task["description"], "Add a cache\n\nIn Redis", "the agent is told both");
    let waits = task["waiting_for"].as_str().expect("a reason");
    assert!(waits.contains("factoryctl release 1"), "{waits}");

    let released = act(&factory, "/api/tasks/1/run").await.assert_ok();
    assert_eq!((&released["state"], &released["held"]), (&json!("queued"), &json!(false)));
    let again = act(&factory, "/api/tasks/1/run").await.assert_ok();
    assert_eq!(again["state"], "queued");
    act(&factory, "/api/tasks/1/cancel").await.assert_ok();
    act(&factory, "/api/tasks/1/run").await.assert_problem(StatusCode::CONFLICT, "has ended already");
    act(&factory, "/api/tasks/2/run").await.assert_problem(StatusCode::NOT_FOUND, "no task `2`");
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn everything_a_task_can_ask_for_can_be_said() {
    let factory = Factory::start().await;
    post(&factory, "/api/tasks?auto_run=true", &json!({ "title": "First", "agent": "scripted" }))
        .await
        .assert_ok();
    let body = json!({
        "title": "Second", "description": "note it", "repo": "owner/name", "agent_type": "reviewer",
        "agent": "scripted", "type": "code", "base": "main", "branch": "work", "model": "opus", "priority": 5,
        "labels": { "gpu": "no" }, "after": [1], "on_failed_dependency": "run", "touches": ["src/**"],
        "keys": ["release"], "acceptance": "It builds", "timeout_seconds": 60, "idle_timeout_seconds": 30,
        "max_attempts": 2, "budget_usd": 1.5, "budget_tokens": 1000, "max_turns": 9, "parent": "1",
        "issue": "https://example.com/1", "project": "p", "submitter": "ada", "directory": "src", "setup": "s.sh",
        "setup_timeout_seconds": 5, "trust_repo": true, "allowed_tools": ["Read"], "disallowed_tools": ["Bash"],
        "permission_mode": "plan", "output_schema": { "type": "object" }, "deliver": "none", "leftovers": "keep",
        "on_conflict": "agent", "keep_session": true, "goes_on_from": null,
    });
    let task = post(&factory, "/api/tasks?auto_run=true", &body).await.assert_ok();
    assert_eq!((&task["state"], &task["held"]), (&json!("blocked"), &json!(false)));
    for field in [
        "title",
        "description",
        "repo",
        "agent_type",
        "type",
        "base",
        "branch",
        "model",
        "priority",
        "labels",
        "touches",
        "keys",
        "acceptance",
        "max_attempts",
        "issue",
    ] {
        assert_eq!(task[field], body[field], "{field}");
    }
    assert_eq!((&task["parent"]["number"], &task["after"][0]["number"]), (&json!(1), &json!(1)));
    let spec = factory.get("2").await.task.and_then(|task| task.spec).expect("a task");
    assert_eq!(
        (spec.timeout_ms, spec.idle_timeout_ms, spec.setup_timeout_ms),
        (Some(60_000), Some(30_000), Some(5_000))
    );
    assert_eq!(
        (spec.budget_micro_usd, spec.budget_tokens, spec.max_turns),
        (Some(1_500_000), Some(1000), Some(9))
    );
    assert_eq!((spec.permission_mode(), spec.deliver()), (v1::PermissionMode::Plan, v1::Deliver::None));
    assert_eq!((spec.leftovers(), spec.on_conflict()), (v1::Leftovers::Keep, v1::ConflictPolicy::Agent));
    assert_eq!(
        (spec.output_schema.as_str(), spec.trust_repo, spec.keep_session),
        (r#"{"type":"object"}"#, true, true)
    );
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn a_bad_task_is_refused_by_its_fields_and_changes_nothing() {
    let factory = Factory::start().await;
    let bad = json!({ "title": "x", "priority": 5000, "repo": "--upload-pack=x", "timeout_seconds": 0 });
    let refused = post(&factory, "/api/tasks", &bad).await;
    refused.assert_problem(StatusCode::BAD_REQUEST, "priority");
    let fields: Vec<_> =
        refused.json["errors"].as_array().expect("fields").iter().map(|bad| &bad["field"]).collect();
    assert_eq!(fields, ["repo", "priority", "timeout_seconds"]);
    for (body, status, about) in [
        (json!({}), StatusCode::BAD_REQUEST, "description"),
        (json!({ "title": "x", "agent_type": "nobody" }), StatusCode::BAD_REQUEST, "agent_type"),
        (json!({ "title": "x", "budget_usd": -1 }), StatusCode::BAD_REQUEST, "budget_usd"),
        (json!({ "title": "x", "after": [77] }), StatusCode::BAD_REQUEST, "no task `77`"),
        (
            json!({ "title": "x", "descriptoin": "y" }),
            StatusCode::UNPROCESSABLE_ENTITY,
            "unknown field `descriptoin`",
        ),
        (json!({ "title": 7 }), StatusCode::UNPROCESSABLE_ENTITY, "title"),
        (json!([]), StatusCode::UNPROCESSABLE_ENTITY, "invalid length"),
    ] {
        post(&factory, "/api/tasks", &body).await.assert_problem(status, about);
    }
    assert_eq!(get(&factory, "/api/stats").await.assert_ok()["tasks"], 0);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn the_same_key_finds_the_same_task() {
    let factory = Factory::start().await;
    let body = json!({ "title": "Once" });
    let first = keyed(&factory, "key-1", &body).await;
    let again = keyed(&factory, "key-1", &body).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!((&first.json["id"], again.header(LOCATION.as_str())), (&again.json["id"], "/api/tasks/1"));
    keyed(&factory, "key-1", &json!({ "title": "Twice" }))
        .await
        .assert_problem(StatusCode::CONFLICT, "key-1");
    keyed(&factory, "", &body).await.assert_problem(StatusCode::BAD_REQUEST, "Idempotency-Key");
    keyed(&factory, &"k".repeat(201), &body).await.assert_problem(StatusCode::BAD_REQUEST, "Idempotency-Key");
    assert_eq!(get(&factory, "/api/stats").await.assert_ok()["tasks"], 1);
    factory.coordinator.shutdown().await;
}

#[tokio::test]
async fn sums_are_told_to_whoever_asks() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    factory.submit(prompt("One")).await;
    let offer = worker.run().await;
    let usage =
        v1::Usage { cost_micro_usd: 250_000, input_tokens: 7, output_tokens: 2, ..v1::Usage::default() };
    worker.report(&offer, v1::Report { usage: Some(usage), ..succeeded(0) }).await;
    factory.submit(v1::TaskSpec { repo: "/srv/app".to_owned(), ..prompt("Two") }).await;

    let stats = get(&factory, "/api/stats").await.assert_ok();
    let sums =
        ["tasks", "attempts", "input_tokens", "output_tokens", "workers", "slots", "busy", "open_questions"];
    assert_eq!(sums.map(|name| stats[name].as_u64()), [2, 1, 7, 2, 1, 8, 0, 0].map(Some), "{stats}");
    assert_eq!(stats["cost_usd"], 0.25);
    let of = |status: &str| {
        stats["statuses"]
            .as_array()
            .expect("counts")
            .iter()
            .find(|count| count["status"] == status)
            .expect("every status")["tasks"]
            .as_u64()
    };
    assert_eq!(["queued", "in_progress", "done"].map(of), [1, 0, 1].map(Some));
    assert_eq!(get(&factory, "/api/stats?repo=/srv/app").await.assert_ok()["tasks"], 1);
    factory.coordinator.shutdown().await;
}
