//! Repositories, and the worktrees of them on every host.
//!
//! A repository that is not at the host of `owner/repo` has `-` for its owner, and for its name whatever tasks name
//! it by: `/api/factory/repos/-/app`, `/api/factory/repos/-/%2Fsrv%2Fapp`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Path, Query};
use super::problem::{BadJson, BadRequest, Conflict, DiskFull, NotFound, Problem};
use super::view::{Repo, RepoCopy};
use crate::app::{App, Error, WantedRepo};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(get, remove)).routes(routes!(sync))
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RepoPage)]
struct Page {
    repos: Vec<Repo>,
    /// Always `null`: all of them are on one page.
    next_page_token: Option<String>,
}

/// The repositories that were added or configured, and those that workers have clones of, by name.
#[utoipa::path(get, path = "/api/factory/repos", tag = "repos", responses((status = OK, body = Page)))]
async fn list(State(app): State<Arc<App>>) -> Result<Json<Page>, Problem> {
    let repos = app.repos().await?;
    let repos = repos.into_iter().map(|repo| Repo::new(&app, repo)).collect();
    Ok(Json(Page { repos, next_page_token: None }))
}

/// A repository to add: `owner` and `repo`, or `repo` alone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRepo {
    /// Of `owner/repo`; left out: `repo` says all of it.
    #[serde(default)]
    owner: String,
    /// A repository's name beside `owner`; otherwise `owner/name`, a short name of the default organisation, a URL,
    /// or an absolute path on a worker's host.
    #[schema(min_length = 1)]
    repo: String,
    /// What tasks can call it; left out: made from `repo`.
    #[serde(default)]
    name: String,
    /// The role of its tasks that name none.
    #[serde(default)]
    default_role: String,
    /// Do not look whether it is there.
    #[serde(default)]
    unchecked: bool,
    /// Also clone it now, at every connected worker.
    #[serde(default)]
    clone: bool,
}

/// Add a repository, once a worker has found it with `git ls-remote`. Adding it again changes nothing.
#[utoipa::path(
    post,
    path = "/api/factory/repos",
    tag = "repos",
    request_body = NewRepo,
    responses(
        (status = CREATED, description = "It was added.", body = Repo, headers(("Location" = String))),
        (status = OK, description = "It was there already.", body = Repo),
        BadRequest, NotFound, Conflict, BadJson, DiskFull,
    )
)]
async fn add(State(app): State<Arc<App>>, Body(new): Body<NewRepo>) -> Result<Response, Problem> {
    let NewRepo { owner, repo, name, default_role, unchecked, clone } = new;
    let repo = match owner.as_str() {
        "" => repo,
        owner if owner.contains('/') || repo.contains('/') => {
            return Err(Error::invalid("owner", "and repo are names, without `/`; or give repo alone").into());
        }
        owner => format!("{owner}/{repo}"),
    };
    let wanted = WantedRepo { repo, name, default_role, unchecked, clone };
    let (repo, existed) = app.add_repo(wanted).await?;
    let repo = Repo::new(&app, repo);
    if existed {
        return Ok(Json(repo).into_response());
    }
    let location = [(LOCATION, repo.address())];
    Ok((StatusCode::CREATED, location, Json(repo)).into_response())
}

/// A repository in a path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
struct Named {
    /// `-`: `repo` says all of it.
    owner: String,
    /// Beside `-` the name by which tasks name it, a URL or a path, with its slashes as `%2F`.
    repo: String,
}

impl Named {
    fn full(&self) -> String {
        full_name(&self.owner, &self.repo)
    }
}

/// A repository as the use cases know it, by the two parts that stand in a path.
pub fn full_name(owner: &str, repo: &str) -> String {
    if owner == "-" { repo.to_owned() } else { format!("{owner}/{repo}") }
}

/// One repository, with its clone on each host.
#[utoipa::path(
    get,
    path = "/api/factory/repos/{owner}/{repo}",
    tag = "repos",
    params(Named),
    responses((status = OK, body = Repo), BadRequest, NotFound)
)]
async fn get(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Json<Repo>, Problem> {
    let repo = app.repo(&named.full()).await?;
    Ok(Json(Repo::new(&app, repo)))
}

/// What became of a repository's clones.
#[derive(Debug, Serialize, ToSchema)]
struct RemovedRepo {
    removed: Vec<RepoCopy>,
    /// At workers that are away or would not, with the reason as their error.
    left: Vec<RepoCopy>,
}

/// Forget a repository, and remove its clones from connected workers. Refused while tasks of it have not ended, or
/// worktrees of it are left.
#[utoipa::path(
    delete,
    path = "/api/factory/repos/{owner}/{repo}",
    tag = "repos",
    params(Named),
    responses((status = OK, body = RemovedRepo), BadRequest, NotFound, Conflict, DiskFull)
)]
async fn remove(State(app): State<Arc<App>>, Path(named): Path<Named>) -> Result<Json<RemovedRepo>, Problem> {
    let gone = app.remove_repo(&named.full()).await?;
    let copies = |copies: Vec<crate::app::CopyView>| copies.into_iter().map(RepoCopy::from).collect();
    Ok(Json(RemovedRepo { removed: copies(gone.removed), left: copies(gone.left) }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Where {
    /// At this worker: name, id, or the beginning of either. Given several times: at each of them.
    #[serde(default)]
    worker: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SyncedRepo {
    repo: Repo,
    /// Workers at which it did not work.
    failed: Vec<SyncFailure>,
}

#[derive(Debug, Serialize, ToSchema)]
struct SyncFailure {
    worker: String,
    worker_id: String,
    /// For people: the thing, the cause, the next step.
    message: String,
}

/// Fetch now, at every connected worker that has it; at one, where none has. An error where it works at none of them.
#[utoipa::path(
    post,
    path = "/api/factory/repos/{owner}/{repo}/sync",
    tag = "repos",
    params(Named, Where),
    responses((status = OK, body = SyncedRepo), BadRequest, NotFound, Conflict, DiskFull)
)]
async fn sync(
    State(app): State<Arc<App>>,
    Path(named): Path<Named>,
    Query(Where { worker }): Query<Where>,
) -> Result<Json<SyncedRepo>, Problem> {
    let synced = app.sync_repo(&named.full(), &worker).await?;
    let failed = synced.failed.into_iter().map(|failure| SyncFailure {
        worker: failure.worker.name,
        worker_id: failure.worker.worker.to_string(),
        message: failure.why.to_string(),
    });
    Ok(Json(SyncedRepo { failed: failed.collect(), repo: Repo::new(&app, synced.repo) }))
}
