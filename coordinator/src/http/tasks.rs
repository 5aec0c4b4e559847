//! Tasks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, Query};
use super::problem::Problem;
use super::view::{Task, TaskDetail};
use crate::app::{App, ListRequest};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// 1 to 1000; 50 when left out.
    #[serde(default)]
    limit: u32,
    /// From an earlier page with the same filters.
    #[serde(default)]
    page_token: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Page {
    tasks: Vec<Task>,
    /// `null` on the last page.
    next_page_token: Option<String>,
}

/// Tasks, newest first, in pages.
#[utoipa::path(
    get,
    path = "/api/tasks",
    tag = "tasks",
    params(Wanted),
    responses((status = OK, body = Page), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
async fn list(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    let Wanted { limit: page_size, page_token } = wanted;
    let page = app.list(ListRequest { page_size, page_token, ..ListRequest::default() }).await?;
    Ok(Json(Page {
        tasks: page.tasks.into_iter().map(|(task, waiting_for)| Task::new(task, waiting_for)).collect(),
        next_page_token: Some(page.next_page_token).filter(|token| !token.is_empty()),
    }))
}

/// One task in full, with its attempts.
#[utoipa::path(
    get,
    path = "/api/tasks/{task}",
    tag = "tasks",
    params(("task" = String, Path, description = "Id, a prefix of it, or number")),
    responses((status = OK, body = TaskDetail), (status = "4XX", body = Problem, content_type = "application/problem+json"))
)]
async fn get(State(app): State<Arc<App>>, Path(task): Path<String>) -> Result<Json<TaskDetail>, Problem> {
    Ok(Json(app.get(&task).await?.into()))
}
