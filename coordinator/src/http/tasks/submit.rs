//! Creating a task.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::body::{NewTask, named_as_sent};
use crate::app::App;
use crate::http::extract::{Body, IdempotencyKey, Query};
use crate::http::problem::{BadJson, BadRequest, Conflict, DiskFull, Problem};
use crate::http::traceparent;
use crate::http::view::TaskDetail;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct How {
    /// It starts as soon as it can; otherwise it is held until `POST /api/tasks/{task}/run`.
    #[serde(default)]
    auto_run: bool,
}

/// Create a task. It survives a crash right after the answer.
///
/// Without `auto_run=true` it is held: it does not start until it is let go. Sent again with the same
/// `Idempotency-Key`, it is found, and 200 instead of 201.
#[utoipa::path(
    post,
    path = "/api/tasks",
    tag = "tasks",
    params(How, IdempotencyKey),
    request_body = NewTask,
    responses(
        (status = CREATED, body = TaskDetail, description = "The new task", headers(("Location" = String))),
        (status = OK, body = TaskDetail, description = "The task that was created with this key before",
            headers(("Location" = String))),
        BadRequest, BadJson, Conflict, DiskFull
    )
)]
pub async fn submit(
    State(app): State<Arc<App>>,
    Query(How { auto_run }): Query<How>,
    IdempotencyKey(key): IdempotencyKey,
    headers: HeaderMap,
    Body(task): Body<NewTask>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<TaskDetail>), Problem> {
    let wanted = task.read(key, !auto_run)?;
    let submitted = app.submit(vec![wanted], &traceparent(&headers)).await.map_err(named_as_sent)?;
    let task =
        submitted.first().ok_or_else(|| Problem::internal("the task was accepted and is not there"))?;
    let detail = app.get(&task.id.to_string()).await?;
    let status = if task.existed { StatusCode::OK } else { StatusCode::CREATED };
    let location = [(header::LOCATION, format!("/api/tasks/{}", task.number))];
    Ok((status, location, Json(detail.into())))
}
