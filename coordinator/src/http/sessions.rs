//! Work that a session elsewhere hands out, and what becomes of it. The names of fields are those such sessions use.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Query, page_size};
use super::problem::{BadJson, BadRequest, Conflict, DiskFull, NotFound, Problem};
use super::traceparent;
use super::view::Task;
use crate::app::{App, WantedDispatch};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(dispatch)).routes(routes!(list))
}

/// Work for an agent in a worktree of its own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Dispatch {
    /// Who is told of its end: a task, by number or id, whose child it becomes; or any name that a session elsewhere
    /// goes by.
    #[schema(min_length = 1, max_length = 200)]
    parent_session: String,
    /// What is to be done.
    #[schema(min_length = 1)]
    task: String,
    /// URL of the issue it is about; it also tells the repository, where `repo` is left out.
    #[serde(default)]
    issue: String,
    /// The branch to work on; left out: one of its own.
    #[serde(default)]
    branch: String,
    /// `claude` where it is left out, `command` or `scripted`.
    #[serde(default)]
    agent: String,
    /// `owner/name`, a short name, a URL, or an absolute path on a worker's host.
    #[serde(default)]
    repo: String,
    /// Who the agent is.
    #[serde(default)]
    role: String,
}

/// A task as the session it was dispatched by sees it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Session {
    /// The task's id.
    session_id: String,
    parent_session: String,
    task: Task,
}

/// Hand out work to an agent. Its end is told on the message board, to the task or the session that it was dispatched by.
#[utoipa::path(
    post,
    path = "/api/agents/sessions/dispatch-worker",
    tag = "tasks",
    params(IdempotencyKey),
    request_body = Dispatch,
    responses(
        (status = CREATED, description = "It was dispatched.", body = Session, headers(("Location" = String))),
        (status = OK, description = "It was dispatched before, under this key.", body = Session),
        BadRequest, NotFound, Conflict, BadJson, DiskFull,
    )
)]
async fn dispatch(
    State(app): State<Arc<App>>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    headers: HeaderMap,
    Body(wanted): Body<Dispatch>,
) -> Result<Response, Problem> {
    let wanted = WantedDispatch {
        parent_session: wanted.parent_session,
        issue: wanted.issue,
        branch: wanted.branch,
        task: wanted.task,
        agent: wanted.agent,
        repo: wanted.repo,
        role: wanted.role,
        idempotency_key,
    };
    let submitted = app.dispatch_worker(wanted, &traceparent(&headers)).await?;
    let detail = app.get(&submitted.id.to_string()).await?;
    let session = Session::new(Task::new(detail.task, detail.waiting_for), &submitted.id.to_string());
    if submitted.existed {
        return Ok(Json(session).into_response());
    }
    let location = [(LOCATION, format!("/api/tasks/{}", submitted.number))];
    Ok((StatusCode::CREATED, location, Json(session)).into_response())
}

impl Session {
    fn new(task: Task, id: &str) -> Self {
        let parent_session = task.session().unwrap_or_default().to_owned();
        Self { session_id: id.to_owned(), parent_session, task }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// The session that dispatched them, by the name or number that it gave.
    parent: String,
    /// 50 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// From an earlier page of the same session.
    #[serde(default)]
    page_token: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionPage)]
struct Page {
    sessions: Vec<Session>,
    /// `null` on the last page.
    next_page_token: Option<String>,
}

/// What a session has dispatched, newest first, in pages.
#[utoipa::path(
    get,
    path = "/api/agents/sessions",
    tag = "tasks",
    params(Wanted),
    responses((status = OK, body = Page), BadRequest)
)]
async fn list(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    let Wanted { parent, limit, page_token } = wanted;
    let page = app.dispatched_by(parent, page_size(limit)?, page_token).await?;
    let session = |(task, waiting_for): (crate::store::TaskEntry, _)| {
        let id = task.id.to_string();
        Session::new(Task::new(task, waiting_for), &id)
    };
    Ok(Json(Page {
        sessions: page.tasks.into_iter().map(session).collect(),
        next_page_token: Some(page.next_page_token).filter(|token| !token.is_empty()),
    }))
}
