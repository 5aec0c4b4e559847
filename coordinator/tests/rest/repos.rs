//! Repositories, worktrees and work that sessions elsewhere dispatch: the requests as their users write them.

use factory_proto::v1;
use factory_proto::v1::repo_job::Job;
use factory_proto::v1::repo_job_done_request::Outcome;
use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::caller::{Answer, act, get, post, request, send};
use crate::setup::{Factory, Worker, soon, succeeded};

/// A request as documents have it: method and path, and below them the body.
async fn ask(factory: &Factory, written: &str) -> Answer {
    let (head, body) = written.split_once('\n').unwrap_or((written, ""));
    let (method, path) = head.split_once(' ').expect("a method and a path");
    let mut request = request(factory, method.parse().expect("a method"), path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json").body(body.to_owned());
    }
    send(request).await
}

/// A worker that does whatever it is asked about repositories, until its session ends.
async fn keeper(factory: &Factory) -> JoinSet<()> {
    let mut worker = Worker::connect(&factory.client).await;
    let mut keeping = JoinSet::new();
    keeping.spawn(async move {
        loop {
            let job = worker.repo_job().await;
            let outcome = match &job.job {
                Some(Job::Check(_)) if job.repo.contains("missing") => failure("it is not there"),
                Some(Job::Fetch(_)) => Outcome::Copy(v1::RepoCopy {
                    source: job.repo.clone(),
                    fetched_at_ms: 5,
                    default_branch: "main".to_owned(),
                    ..Default::default()
                }),
                Some(Job::MakeWorktree(make)) => Outcome::Worktree(v1::Worktree {
                    repo: job.repo.clone(),
                    path: format!("/w/{}", make.branch),
                    branch: make.branch.clone(),
                    kind: v1::WorktreeKind::ByHand.into(),
                    uncommitted: 1,
                    ..Default::default()
                }),
                Some(Job::DeleteWorktree(delete)) if !delete.force => Outcome::Failure(v1::RepoJobFailure {
                    kind: v1::RepoJobFailureKind::Refused.into(),
                    message: "1 file is changed".to_owned(),
                }),
                _ => Outcome::Nothing(v1::RepoJobNothing {}),
            };
            worker.repo_job_done(&job, outcome).await;
        }
    });
    keeping
}

fn failure(message: &str) -> Outcome {
    let kind = v1::RepoJobFailureKind::NotFound.into();
    Outcome::Failure(v1::RepoJobFailure { kind, message: message.to_owned() })
}

#[tokio::test]
async fn repositories_and_worktrees_are_managed_as_documented() {
    let factory = Factory::start().await;
    let mut worker = keeper(&factory).await;
    let added =
        ask(&factory, "POST /api/factory/repos\n{ \"owner\": \"NickGuAI\", \"repo\": \"HamBros\" }").await;
    assert_eq!(added.status, StatusCode::CREATED, "{added:?}");
    assert_eq!(added.header("location"), "/api/factory/repos/NickGuAI/HamBros");
    let repo = ask(&factory, "POST /api/factory/repos/NickGuAI/HamBros/sync").await.assert_ok();
    assert_eq!(repo["failed"], json!([]));
    let repos = ask(&factory, "GET /api/factory/repos").await.assert_ok();
    let repo = &repos["repos"][0];
    assert_eq!(
        [&repo["owner"], &repo["repo"], &repo["default_branch"], &repo["synced"]],
        [&json!("NickGuAI"), &json!("HamBros"), &json!("main"), &json!(true)]
    );

    let tree = "/api/factory/repos/NickGuAI/HamBros/worktrees/feat-auth-fix";
    let made = ask(&factory, &format!("POST {tree}")).await;
    assert_eq!((made.status, &made.json["branch"]), (StatusCode::CREATED, &json!("feat-auth-fix")));
    assert_eq!(act(&factory, tree).await.status, StatusCode::OK, "it is there");
    let shown = ask(&factory, &format!("GET {tree}")).await.assert_ok();
    assert_eq!((&shown["worker"], &shown["clean"]), (&json!("hand"), &json!(false)));
    let refused = ask(&factory, &format!("DELETE {tree}")).await;
    refused.assert_problem(StatusCode::CONFLICT, "?force=true");
    let removed = ask(&factory, &format!("DELETE {tree}?force=true")).await.assert_ok();
    assert_eq!(removed["path"], "/w/feat-auth-fix");
    ask(&factory, &format!("GET {tree}")).await.assert_problem(StatusCode::NOT_FOUND, "feat-auth-fix");
    worker.shutdown().await;
}

#[tokio::test]
async fn names_with_slashes_are_written_either_way() {
    let factory = Factory::start().await;
    let mut worker = keeper(&factory).await;
    let new = json!({ "repo": "/srv/tool", "name": "tool", "unchecked": true });
    let added = post(&factory, "/api/factory/repos", &new).await;
    assert_eq!((added.status, added.header("location")), (StatusCode::CREATED, "/api/factory/repos/-/tool"));
    assert_eq!(post(&factory, "/api/factory/repos", &new).await.status, StatusCode::OK, "it is there");
    for same in ["/api/factory/repos/-/tool", "/api/factory/repos/-/%2Fsrv%2Ftool"] {
        let repo = get(&factory, same).await.assert_ok();
        assert_eq!((&repo["name"], &repo["owner"]), (&json!("tool"), &Value::Null), "{same}");
    }
    act(&factory, "/api/factory/repos/-/tool/worktrees/feat/x").await.assert_ok();
    for same in ["feat/x", "feat%2Fx"] {
        let tree = get(&factory, &format!("/api/factory/repos/-/tool/worktrees/{same}")).await.assert_ok();
        assert_eq!(tree["branch"], "feat/x");
    }
    let all = get(&factory, "/api/factory/worktrees?repo=tool&branch=feat/x").await.assert_ok();
    assert_eq!(all["worktrees"].as_array().map(Vec::len), Some(1));
    let remove = request(&factory, Method::DELETE, "/api/factory/repos/-/tool");
    send(remove).await.assert_problem(StatusCode::CONFLICT, "worktrees are left");
    worker.shutdown().await;
}

#[tokio::test]
async fn what_cannot_be_added_is_refused_with_the_reason() {
    let factory = Factory::start().await;
    let add = |body: Value| {
        let factory = &factory;
        async move { post(factory, "/api/factory/repos", &body).await }
    };
    let new = json!({ "owner": "octo", "repo": "missing" });
    add(new.clone()).await.assert_problem(StatusCode::CONFLICT, "no worker is connected");
    let mut worker = keeper(&factory).await;
    add(new).await.assert_problem(StatusCode::NOT_FOUND, "it is not there");
    for bad in
        [json!({ "repo": "ext::sh -c id" }), json!({ "repo": "" }), json!({ "owner": "a/b", "repo": "c" })]
    {
        assert_eq!(add(bad.clone()).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    add(json!({ "repo": "somewhere" })).await.assert_problem(StatusCode::BAD_REQUEST, "default_org");
    add(json!({ "repo": "o/r", "branch": "x" }))
        .await
        .assert_problem(StatusCode::UNPROCESSABLE_ENTITY, "branch");
    get(&factory, "/api/factory/repos/octo/none").await.assert_problem(StatusCode::NOT_FOUND, "repos list");
    let bad = act(&factory, "/api/factory/repos/octo/app/worktrees/-x").await;
    bad.assert_problem(StatusCode::BAD_REQUEST, "branch");
    worker.shutdown().await;
}

/// As the documents have it, but for the agent: no `claude` is offered here.
const DISPATCH: &str = r#"POST /api/agents/sessions/dispatch-worker
{
"parentSession": "main-session",
"issue": "https://github.com/org/repo/issues/42",
"branch": "fix-issue-42",
"task": "Fix the login redirect bug",
"agent": "scripted"
}"#;

#[tokio::test]
async fn a_dispatched_worker_reports_back_to_its_session() {
    let factory = Factory::start().await;
    let mut worker = Worker::connect(&factory.client).await;
    let dispatched = ask(&factory, DISPATCH).await;
    assert_eq!((dispatched.status, dispatched.header("location")), (StatusCode::CREATED, "/api/tasks/1"));
    let task = &dispatched.json["task"];
    assert_eq!(dispatched.json["sessionId"], task["id"]);
    assert_eq!((&task["repo"], &task["branch"]), (&json!("org/repo"), &json!("fix-issue-42")));
    assert_eq!((&task["session"], &task["parent"]), (&json!("main-session"), &Value::Null));

    let offer = worker.run().await;
    worker.report(&offer, succeeded(0)).await;
    let from_the_first = v1::FollowMessagesRequest { after: Some(0), ..Default::default() };
    let board = soon(factory.client.board().follow_messages(from_the_first)).await.expect("followed");
    let told = soon(board.into_inner().message()).await.expect("no error").and_then(|told| told.message);
    let told = told.expect("a message");
    assert_eq!((told.from.as_str(), told.to.as_str()), ("factory", "user"));
    let begin = "To main-session: task 1 (Fix the login redirect bug) has succeeded.";
    assert!(told.content.starts_with(begin), "{told:?}");
    let sessions = get(&factory, "/api/agents/sessions?parent=main-session").await.assert_ok();
    assert_eq!(sessions["sessions"][0]["task"]["state"], "succeeded");
    assert_eq!(get(&factory, "/api/agents/sessions?parent=other").await.assert_ok()["sessions"], json!([]));
}

#[tokio::test]
async fn a_task_dispatches_its_children() {
    let factory = Factory::start().await;
    let parent = json!({ "parentSession": "s", "task": "Plan", "agent": "scripted", "repo": "/srv/a" });
    let path = "/api/agents/sessions/dispatch-worker";
    post(&factory, path, &parent).await.assert_ok();
    let child = json!({ "parentSession": "1", "task": "Do", "repo": "/srv/a" });
    let keyed = || send(request(&factory, Method::POST, path).header("idempotency-key", "k").json(&child));
    let made = keyed().await.assert_ok();
    assert_eq!(made["task"]["parent"]["number"], 1);
    let again = keyed().await;
    assert_eq!((again.status, &again.json["sessionId"]), (StatusCode::OK, &made["sessionId"]));

    for (bad, status, about) in [
        (json!({ "parentSession": "99", "task": "x", "repo": "/srv/a" }), StatusCode::NOT_FOUND, "99"),
        (json!({ "parentSession": "s", "task": "x" }), StatusCode::BAD_REQUEST, "repo"),
        (
            json!({ "parentSession": "", "task": "x", "repo": "/srv/a" }),
            StatusCode::BAD_REQUEST,
            "parentSession",
        ),
        (json!({ "parentSession": "s", "task": "", "repo": "/srv/a" }), StatusCode::BAD_REQUEST, "task"),
        (
            json!({ "parentSession": "s", "task": "x", "issue": "https://h/1" }),
            StatusCode::BAD_REQUEST,
            "issue",
        ),
    ] {
        post(&factory, path, &bad).await.assert_problem(status, about);
    }
}
