//! What tasks give one another.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Path, Query, page_size};
use super::made::Made;
use super::name::Name;
use super::problem::{BadJson, BadRequest, Conflict, DiskFull, NotFound, Problem};
use super::view::Handoff;
use crate::app::{App, HandoffsRequest, WantedHandoff};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get))
        .routes(routes!(of_task))
        .routes(routes!(of_workflow))
}

/// What is sent to hand on. For a task, or a role; for neither: for whatever depends on the task it comes from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewHandoff {
    /// The task it comes from.
    from_task: Name,
    to_task: Option<Name>,
    to_role: Option<String>,
    /// In Markdown; 256 KiB at most.
    context: String,
    /// Paths and names; 200 at most.
    artifacts: Option<Vec<String>>,
    /// That of the task's work when left out.
    branch: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// 50 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// From an earlier page of the same.
    #[serde(default)]
    page_token: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HandoffPage)]
struct Page {
    handoffs: Vec<Handoff>,
    /// `null` on the last page.
    next_page_token: Option<String>,
}

/// Hand on in the name of a task.
#[utoipa::path(
    post,
    path = "/api/handoffs",
    tag = "handoffs",
    params(IdempotencyKey),
    request_body = NewHandoff,
    responses(
        (status = CREATED, body = Handoff, description = "It is kept", headers(("Location" = String))),
        (status = OK, body = Handoff, description = "It was, under this key", headers(("Location" = String))),
        BadRequest, NotFound, Conflict, BadJson, DiskFull
    )
)]
async fn create(
    State(app): State<Arc<App>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewHandoff>,
) -> Result<Made<Handoff>, Problem> {
    let wanted = WantedHandoff {
        to_task: Name::or_empty(new.to_task),
        to_role: new.to_role.unwrap_or_default(),
        context: new.context,
        artifacts: new.artifacts.unwrap_or_default(),
        branch: new.branch.unwrap_or_default(),
        key,
    };
    let kept = app.create_handoff(wanted, &new.from_task.to_string()).await;
    let kept = kept.map_err(|error| Problem::of_body(error, "handoff."))?;
    let at = format!("/api/handoffs/{}", kept.thing.number);
    Ok(Made { at, existed: kept.existed, view: kept.thing.into() })
}

/// Handoffs, newest first, in pages.
#[utoipa::path(
    get,
    path = "/api/handoffs",
    tag = "handoffs",
    params(Wanted),
    responses((status = OK, body = Page), BadRequest)
)]
async fn list(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    page(&app, wanted, String::new(), String::new()).await
}

/// One handoff.
#[utoipa::path(
    get,
    path = "/api/handoffs/{handoff}",
    tag = "handoffs",
    params(("handoff" = String, Path, description = "Id or number")),
    responses((status = OK, body = Handoff), BadRequest, NotFound)
)]
async fn get(State(app): State<Arc<App>>, Path(handoff): Path<String>) -> Result<Json<Handoff>, Problem> {
    Ok(Json(app.handoff(&handoff).await?.into()))
}

/// What came from a task, or to it, newest first, in pages.
#[utoipa::path(
    get,
    path = "/api/tasks/{task}/handoffs",
    tag = "handoffs",
    params(("task" = String, Path, description = "Id, a prefix of it, or number"), Wanted),
    responses((status = OK, body = Page), BadRequest, NotFound)
)]
async fn of_task(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Problem> {
    page(&app, wanted, task, String::new()).await
}

/// What the steps of a workflow gave one another, newest first, in pages.
#[utoipa::path(
    get,
    path = "/api/workflows/{workflow}/handoffs",
    tag = "handoffs",
    params(("workflow" = String, Path, description = "Id, a prefix of it, or number"), Wanted),
    responses((status = OK, body = Page), BadRequest, NotFound)
)]
async fn of_workflow(
    State(app): State<Arc<App>>,
    Path(workflow): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page>, Problem> {
    let workflow = app.resolve_workflow(&workflow).await?;
    page(&app, wanted, String::new(), workflow.to_string()).await
}

async fn page(app: &App, wanted: Wanted, task: String, workflow: String) -> Result<Json<Page>, Problem> {
    let Wanted { limit, page_token } = wanted;
    let page_size = page_size(limit)?;
    let page = app.handoffs(HandoffsRequest { task, workflow, page_size, page_token }).await?;
    let handoffs = page.handoffs.into_iter().map(Handoff::from).collect();
    let next_page_token = Some(page.next_page_token).filter(|token| !token.is_empty());
    Ok(Json(Page { handoffs, next_page_token }))
}
