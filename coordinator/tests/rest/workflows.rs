//! Workflows, and what they are made of: roles and templates.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::caller::{act, get, post, request, send};
use crate::setup::{Factory, soon};

const TOML: &str = "[workflows.tidy]\n[[workflows.tidy.steps]]\nagent = \"coder\"\noutput = \"code\"\n";

#[tokio::test]
async fn a_workflow_is_started_shown_and_cancelled() {
    let factory = Factory::start().await;
    let new = json!({
        "title": "Implement caching layer", "description": "Add Redis caching for API responses",
        "repo": "octo/app",
    });
    let started = post(&factory, "/api/workflows/code_review", &new).await;
    assert_eq!((started.status, started.header("location")), (StatusCode::CREATED, "/api/workflows/1"));
    assert_eq!(
        (&started.json["name"], &started.json["title"], &started.json["repo"]),
        (&json!("code_review"), &new["title"], &new["repo"])
    );
    assert!(["pending", "running"].iter().any(|status| started.json["status"] == *status), "{started:?}");

    // Its first step begins as a task.
    let step = soon(async {
        loop {
            let workflow = get(&factory, "/api/workflows/1").await.assert_ok();
            if workflow["steps"][0]["task"].is_object() {
                return workflow;
            }
        }
    });
    let workflow = step.await;
    assert_eq!((&workflow["status"], &workflow["steps"][0]["role"]), (&json!("running"), &json!("coder")));
    assert_eq!(workflow["steps"][0]["task"]["workflow_id"], workflow["id"]);
    assert!(workflow["definition"].as_str().is_some_and(|text| text.contains("[[workflows.\"code_review\"")));
    let handoffs = get(&factory, "/api/workflows/1/handoffs").await.assert_ok();
    assert_eq!((&handoffs["handoffs"], &handoffs["next_page_token"]), (&json!([]), &Value::Null));

    act(&factory, "/api/workflows/1/cancel").await.assert_ok();
    let ended = soon(async {
        loop {
            let workflow = get(&factory, "/api/workflows/1").await.assert_ok();
            if !workflow["ended_at"].is_null() {
                return workflow;
            }
        }
    });
    assert_eq!(ended.await["status"], "cancelled");
    let again = act(&factory, "/api/workflows/1/cancel").await;
    again.assert_problem(StatusCode::CONFLICT, "workflow 1 has ended already (cancelled)");
}

#[tokio::test]
async fn a_definition_is_brought_as_text_or_as_an_object() {
    let factory = Factory::start().await;
    let object = json!({ "steps": [{ "agent": "coder", "output": "code" }], "max_iterations": 2 });
    for (definition, name) in [(json!(TOML), "tidy"), (object, "workflow")] {
        let new = json!({ "definition": definition, "description": "Tidy up", "agent": "scripted" });
        let started = post(&factory, "/api/workflows", &new).await;
        assert_eq!(started.status, StatusCode::CREATED, "{started:?}");
        assert_eq!(started.json["name"], name);
    }
    act(&factory, "/api/workflows/1/cancel").await.assert_ok();
    let cancelled = soon(async {
        loop {
            let page = get(&factory, "/api/workflows?status=cancelled&status=failed").await.assert_ok();
            if page["workflows"].as_array().is_some_and(|workflows| !workflows.is_empty()) {
                return page;
            }
        }
    });
    assert_eq!(cancelled.await["workflows"][0]["number"], 1);
    let first = get(&factory, "/api/workflows?limit=1").await.assert_ok();
    let token = first["next_page_token"].as_str().expect("another page");
    let rest = get(&factory, &format!("/api/workflows?page_token={token}")).await.assert_ok();
    assert_eq!((&first["workflows"][0]["number"], &rest["workflows"][0]["number"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn the_same_key_starts_one_workflow() {
    let factory = Factory::start().await;
    let new = json!({ "name": "code_review", "description": "Add caching" });
    let start = async |body: &Value| {
        let keyed = request(&factory, Method::POST, "/api/workflows").header("Idempotency-Key", "k");
        send(keyed.json(body)).await
    };
    let (first, again) = (start(&new).await, start(&new).await);
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!(first.json["id"], again.json["id"]);
    let other = json!({ "name": "code_review", "description": "Add more" });
    start(&other).await.assert_problem(StatusCode::CONFLICT, "key `k` was used before");
}

#[tokio::test]
async fn what_is_no_workflow_is_refused() {
    let factory = Factory::start().await;
    const BAD: StatusCode = StatusCode::BAD_REQUEST;
    const SHAPE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
    for (path, body, status, said) in [
        ("/api/workflows", json!({ "description": "x" }), BAD, "name a workflow"),
        (
            "/api/workflows",
            json!({ "name": "nothing", "description": "x" }),
            StatusCode::NOT_FOUND,
            "nothing",
        ),
        ("/api/workflows", json!({ "definition": "steps: 7", "description": "x" }), BAD, "definition"),
        ("/api/workflows", json!({ "definition": { "steps": [] }, "description": "x" }), BAD, "step"),
        ("/api/workflows", json!({ "definition": 7, "description": "x" }), SHAPE, "a text, or an object"),
        ("/api/workflows/code_review", json!({ "description": "" }), BAD, "description"),
        ("/api/workflows/code_review", json!({ "description": "x", "name": "tidy" }), SHAPE, "name"),
        (
            "/api/workflows/code_review",
            json!({ "description": "x", "max_iterations": 101 }),
            BAD,
            "at most 100",
        ),
        ("/api/workflows/code_review", json!({ "title": "x" }), SHAPE, "description"),
    ] {
        post(&factory, path, &body).await.assert_problem(status, said);
    }
    for path in ["/api/workflows/7", "/api/workflows/x", "/api/workflows/7/handoffs"] {
        get(&factory, path).await.assert_problem(StatusCode::NOT_FOUND, "no workflow");
    }
    act(&factory, "/api/workflows/7/cancel").await.assert_problem(StatusCode::NOT_FOUND, "no workflow");
    get(&factory, "/api/workflows?status=late").await.assert_problem(BAD, "late");
    assert_eq!(get(&factory, "/api/workflows").await.assert_ok()["workflows"], json!([]));
}

#[tokio::test]
async fn roles_and_templates_are_those_of_the_library() {
    let factory = Factory::start().await;
    let roles = get(&factory, "/api/roles").await.assert_ok();
    let names: Vec<_> = roles["roles"].as_array().expect("roles").iter().map(|role| &role["name"]).collect();
    assert!(names.contains(&&json!("coder")) && names.contains(&&json!("reviewer")), "{names:?}");
    assert_eq!(roles["roles"][0]["prompt"], Value::Null);
    let reviewer = get(&factory, "/api/roles/reviewer").await.assert_ok();
    assert!(reviewer["prompt"].as_str().is_some_and(|prompt| !prompt.is_empty()));
    assert_eq!((&reviewer["timeout_s"], &reviewer["source"]), (&json!(1800), &json!("built-in")));

    let templates = get(&factory, "/api/templates").await.assert_ok();
    assert!(templates["placeholders"].as_array().is_some_and(|all| all.len() > 5));
    let name = templates["templates"][0]["name"].as_str().expect("a name");
    let template = get(&factory, &format!("/api/templates/{name}")).await.assert_ok();
    assert!(template["text"].as_str().is_some_and(|text| !text.is_empty()));
    for path in ["/api/roles/poet", "/api/templates/verse"] {
        get(&factory, path).await.assert_problem(StatusCode::NOT_FOUND, "");
    }
}
