//! What people have become of a task: it is let go, ended, tried again.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::http::extract::{Path, Query};
use crate::http::problem::{BadRequest, Conflict, DiskFull, NotFound, Problem};
use crate::http::traceparent;
use crate::http::view::{Task, TaskDetail};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(run)).routes(routes!(cancel)).routes(routes!(retry))
}

/// Let a task go that was created without `auto_run`. One that is not held stays as it is.
#[utoipa::path(
    post,
    path = "/api/tasks/{task}/run",
    tag = "tasks",
    params(("task" = String, Path, description = "Id, a prefix of it, or number")),
    responses((status = OK, body = Task), BadRequest, NotFound, Conflict, DiskFull)
)]
async fn run(State(app): State<Arc<App>>, Path(task): Path<String>) -> Result<Json<Task>, Problem> {
    let (task, waiting_for) = app.release(&task).await?;
    Ok(Json(Task::new(task, waiting_for)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Reach {
    /// Also its children that have not ended, and theirs.
    #[serde(default)]
    children: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct Cancelled {
    #[serde(flatten)]
    task: Task,
    /// Children that were asked to end with it.
    children_cancelled: u32,
    /// Children that go on.
    children_live: u32,
}

/// Wish a task's end. Durable once answered; the task is `cancelling` until its worker confirms.
#[utoipa::path(
    post,
    path = "/api/tasks/{task}/cancel",
    tag = "tasks",
    params(("task" = String, Path, description = "Id, a prefix of it, or number"), Reach),
    responses((status = OK, body = Cancelled), BadRequest, NotFound, Conflict, DiskFull)
)]
async fn cancel(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    Query(Reach { children }): Query<Reach>,
) -> Result<Json<Cancelled>, Problem> {
    let cancelled = app.cancel(&task, children).await?;
    Ok(Json(Cancelled {
        task: Task::new(cancelled.task, cancelled.waiting_for),
        children_cancelled: cancelled.children_cancelled,
        children_live: cancelled.children_live,
    }))
}

/// Submit an ended task again, as a new task that names the old one.
#[utoipa::path(
    post,
    path = "/api/tasks/{task}/retry",
    tag = "tasks",
    params(("task" = String, Path, description = "Id, a prefix of it, or number")),
    responses(
        (status = CREATED, body = TaskDetail, description = "The new task", headers(("Location" = String))),
        BadRequest, NotFound, Conflict, DiskFull
    )
)]
async fn retry(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    headers: HeaderMap,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<TaskDetail>), Problem> {
    let again = app.retry(&task, &traceparent(&headers)).await?;
    let detail = app.get(&again.id.to_string()).await?;
    let location = [(header::LOCATION, format!("/api/tasks/{}", again.number))];
    Ok((StatusCode::CREATED, location, Json(detail.into())))
}
