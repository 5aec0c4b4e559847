//! Workers, the agents that run on them, and what it all comes to.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, Query, page_size};
use super::problem::{BadRequest, DiskFull, NotFound, Problem};
use super::view::{RunningAgent, Stats, Worker, WorkerDetail};
use crate::app::{App, Error};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(stats))
        .routes(routes!(agents))
        .routes(routes!(workers))
        .routes(routes!(worker))
        .routes(routes!(drain))
        .routes(routes!(resume))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Counted {
    /// Tasks of this repository alone: exact, as given at the submit.
    repo: Option<String>,
}

/// How many tasks there are in each state, what they have used, and how busy the fleet is.
#[utoipa::path(
    get,
    path = "/api/stats",
    tag = "fleet",
    params(Counted),
    responses((status = OK, body = Stats), BadRequest)
)]
async fn stats(
    State(app): State<Arc<App>>,
    Query(Counted { repo }): Query<Counted>,
) -> Result<Json<Stats>, Problem> {
    let repo = repo.filter(|repo| !repo.is_empty());
    Ok(Json(app.stats(repo).await?.into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Paging {
    /// 50 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// From an earlier page.
    #[serde(default)]
    page_token: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentPage)]
struct Agents {
    agents: Vec<RunningAgent>,
    /// `null` on the last page.
    next_page_token: Option<String>,
}

/// The agents that run now, those of the newest tasks first.
#[utoipa::path(
    get,
    path = "/api/agents",
    tag = "fleet",
    params(Paging),
    responses((status = OK, body = Agents), BadRequest)
)]
async fn agents(
    State(app): State<Arc<App>>,
    Query(Paging { limit, page_token }): Query<Paging>,
) -> Result<Json<Agents>, Problem> {
    let page = app.running_agents(page_size(limit)?, &page_token).await?;
    Ok(Json(Agents {
        agents: page.agents.into_iter().map(RunningAgent::from).collect(),
        next_page_token: Some(page.next_page_token).filter(|token| !token.is_empty()),
    }))
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkerPage)]
struct Workers {
    workers: Vec<Worker>,
    /// For people: what is wrong with the coordinator's own disk.
    disk_warning: Option<String>,
    /// Always `null`: all of them are on one page.
    next_page_token: Option<String>,
}

/// Every worker that has ever registered, connected ones first.
#[utoipa::path(get, path = "/api/workers", tag = "fleet", responses((status = OK, body = Workers)))]
async fn workers(State(app): State<Arc<App>>) -> Result<Json<Workers>, Problem> {
    let workers = app.workers().await?.into_iter().map(Worker::from).collect();
    Ok(Json(Workers { workers, disk_warning: app.disk_warning(), next_page_token: None }))
}

/// One worker, with the attempts it holds now.
#[utoipa::path(
    get,
    path = "/api/workers/{worker}",
    tag = "fleet",
    params(("worker" = String, Path, description = "Name, id, or the beginning of either that only one has")),
    responses((status = OK, body = WorkerDetail), BadRequest, NotFound)
)]
async fn worker(
    State(app): State<Arc<App>>,
    Path(worker): Path<String>,
) -> Result<Json<WorkerDetail>, Problem> {
    Ok(Json(app.worker(&worker).await?.into()))
}

/// Seconds; as long as any attempt may last.
const LONGEST: u64 = 30 * 24 * 3600;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HandOver {
    /// After so many seconds what still runs is ended, saved, and given to other workers; left out: it may take its
    /// time. Asking again sets it anew.
    #[param(maximum = 2_592_000)]
    hand_over_after_seconds: Option<u64>,
}

/// No new work for a worker, through restarts of either side, until it is resumed. What it holds goes on.
#[utoipa::path(
    post,
    path = "/api/workers/{worker}/drain",
    tag = "fleet",
    params(("worker" = String, Path, description = "Name, id, or the beginning of either that only one has"), HandOver),
    responses((status = OK, body = WorkerDetail), BadRequest, NotFound, DiskFull)
)]
async fn drain(
    State(app): State<Arc<App>>,
    Path(worker): Path<String>,
    Query(HandOver { hand_over_after_seconds: seconds }): Query<HandOver>,
) -> Result<Json<WorkerDetail>, Problem> {
    if seconds.is_some_and(|seconds| seconds > LONGEST) {
        return Err(Error::invalid("hand_over_after_seconds", "is longer than 30 days").into());
    }
    Ok(Json(app.drain_worker(&worker, seconds.map(Duration::from_secs)).await?.into()))
}

/// The end of a drain. A worker that does not drain stays as it is.
#[utoipa::path(
    post,
    path = "/api/workers/{worker}/resume",
    tag = "fleet",
    params(("worker" = String, Path, description = "Name, id, or the beginning of either that only one has")),
    responses((status = OK, body = WorkerDetail), BadRequest, NotFound, DiskFull)
)]
async fn resume(
    State(app): State<Arc<App>>,
    Path(worker): Path<String>,
) -> Result<Json<WorkerDetail>, Problem> {
    Ok(Json(app.resume_worker(&worker).await?.into()))
}
