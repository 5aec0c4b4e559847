//! Worktrees on every host.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, Query};
use super::problem::{BadRequest, Conflict, DiskFull, NotFound, Problem};
use super::view::Worktree;
use crate::app::{App, WantedWorktree, WhichWorktree, WorktreesRequest};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, make, remove))
        // The slashes of a branch may stand as they are.
        .route(
            "/api/factory/repos/{owner}/{repo}/worktrees/{branch}/{*rest}",
            get(show).post(make).delete(remove),
        )
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Of this repository, as tasks name it.
    #[serde(default)]
    repo: String,
    /// At this worker: name, id, or the beginning of either.
    #[serde(default)]
    worker: String,
    /// Of this branch.
    #[serde(default)]
    branch: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorktreePage)]
struct Page {
    worktrees: Vec<Worktree>,
    /// Always `null`: all of them are on one page.
    next_page_token: Option<String>,
}

/// The worktrees of all hosts, also of those that are away, as they said last.
#[utoipa::path(
    get,
    path = "/api/factory/worktrees",
    tag = "repos",
    params(Filter),
    responses((status = OK, body = Page), BadRequest, NotFound)
)]
async fn list(State(app): State<Arc<App>>, Query(filter): Query<Filter>) -> Result<Json<Page>, Problem> {
    let Filter { repo, worker, branch } = filter;
    let worktrees = app.worktrees(WorktreesRequest { repo, worker, branch }).await?;
    Ok(Json(Page { worktrees: worktrees.into_iter().map(Worktree::from).collect(), next_page_token: None }))
}

/// A worktree in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Named {
    /// `-`: `repo` says all of it.
    owner: String,
    /// Beside `-` the name by which tasks name it, a URL or a path, with its slashes as `%2F`.
    repo: String,
    /// Its slashes may be `%2F`, or stand as they are.
    branch: String,
    #[serde(default)]
    #[param(ignore)]
    rest: String,
}

impl Named {
    fn at(self, worker: String) -> WhichWorktree {
        let Self { owner, repo, branch, rest } = self;
        let repo = super::repos::full_name(&owner, &repo);
        let branch = if rest.is_empty() { branch } else { format!("{branch}/{rest}") };
        WhichWorktree { repo, branch, worker }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Where {
    /// Needed where several hosts have one of the branch: name, id, or the beginning of either.
    #[serde(default)]
    worker: String,
}

/// The worktree of a branch.
#[utoipa::path(
    get,
    path = "/api/factory/repos/{owner}/{repo}/worktrees/{branch}",
    tag = "repos",
    params(Named, Where),
    responses((status = OK, body = Worktree), BadRequest, NotFound)
)]
async fn show(
    State(app): State<Arc<App>>,
    Path(named): Path<Named>,
    Query(Where { worker }): Query<Where>,
) -> Result<Json<Worktree>, Problem> {
    Ok(Json(app.worktree(&named.at(worker)).await?.into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Making {
    /// Where a new branch starts; left out: the default branch.
    #[serde(default)]
    base: String,
    /// At this worker: name, id, or the beginning of either; left out: who has the repository, with the most room.
    #[serde(default)]
    worker: String,
}

/// Make a worktree for a branch; a task with that branch on that host works in it. Making it again changes nothing.
#[utoipa::path(
    post,
    path = "/api/factory/repos/{owner}/{repo}/worktrees/{branch}",
    tag = "repos",
    params(Named, Making),
    responses(
        (status = CREATED, description = "It was made.", body = Worktree),
        (status = OK, description = "It was there already.", body = Worktree),
        BadRequest, NotFound, Conflict, DiskFull,
    )
)]
async fn make(
    State(app): State<Arc<App>>,
    Path(named): Path<Named>,
    Query(Making { base, worker }): Query<Making>,
) -> Result<Response, Problem> {
    let WhichWorktree { repo, branch, worker } = named.at(worker);
    let (worktree, existed) = app.add_worktree(WantedWorktree { repo, branch, base, worker }).await?;
    let status = if existed { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(Worktree::from(worktree))).into_response())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Removing {
    /// Also where it holds work that is saved nowhere else.
    #[serde(default)]
    force: bool,
    /// Needed where several hosts have one of the branch: name, id, or the beginning of either.
    #[serde(default)]
    worker: String,
}

/// Remove the worktree of a branch; answers with what it was. Refused where a task works in it, and where it holds
/// work that is saved nowhere else, unless that is to go with it.
#[utoipa::path(
    delete,
    path = "/api/factory/repos/{owner}/{repo}/worktrees/{branch}",
    tag = "repos",
    params(Named, Removing),
    responses((status = OK, body = Worktree), BadRequest, NotFound, Conflict, DiskFull)
)]
async fn remove(
    State(app): State<Arc<App>>,
    Path(named): Path<Named>,
    Query(Removing { force, worker }): Query<Removing>,
) -> Result<Json<Worktree>, Problem> {
    Ok(Json(app.remove_worktree(&named.at(worker), force).await?.into()))
}
