//! `/repos`: repositories with their clones, and worktrees on every host.

mod worktree;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::form::Form;
use super::page::Frame;
use crate::app::{App, WantedRepo, WorktreesRequest};
use crate::http::extract::Query;
use crate::http::problem::Problem;
use crate::http::view::{Repo, Worktree};

const HERE: &str = "/repos";

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(HERE, get(show).post(add))
        .route("/repos/sync", post(sync))
        .route("/repos/remove", post(remove))
        .merge(worktree::routes())
}

/// Worktrees of one repository alone; its name, or empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Narrowed {
    repo: String,
}

/// The two forms, as they were typed.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default)]
struct Typed {
    repo: String,
    name: String,
    default_role: String,
    clone: String,
    branch: String,
    base: String,
    worker: String,
}

#[derive(Serialize)]
struct Shown {
    repos: Vec<Repo>,
    worktrees: Vec<Worktree>,
    /// Connected ones, by name.
    workers: BTreeSet<String>,
    roles: Vec<String>,
    /// Narrowed to this repository; empty: all.
    only: String,
    typed: Typed,
    /// Why a form was refused, and which.
    refused: Option<Refused>,
}

#[derive(Serialize)]
struct Refused {
    form: &'static str,
    why: String,
}

async fn show(
    frame: Frame,
    State(app): State<Arc<App>>,
    Query(Narrowed { repo }): Query<Narrowed>,
) -> Result<Response, Problem> {
    page(&frame, &app, StatusCode::OK, repo, Typed::default(), None).await
}

async fn add(
    frame: Frame,
    State(app): State<Arc<App>>,
    Form(typed): Form<Typed>,
) -> Result<Response, Problem> {
    let wanted = WantedRepo {
        repo: typed.repo.trim().to_owned(),
        name: typed.name.trim().to_owned(),
        default_role: typed.default_role.clone(),
        unchecked: false,
        clone: !typed.clone.is_empty(),
    };
    match app.add_repo(wanted).await {
        Ok(_) => Ok(Redirect::to(HERE).into_response()),
        Err(error) => refused(&frame, &app, typed, "repo", error.into()).await,
    }
}

#[derive(Debug, Deserialize)]
struct Which {
    repo: String,
}

async fn sync(State(app): State<Arc<App>>, Form(Which { repo }): Form<Which>) -> Result<Redirect, Problem> {
    // Where it failed is shown with the clone.
    app.sync_repo(&repo, &[]).await?;
    Ok(Redirect::to(HERE))
}

async fn remove(State(app): State<Arc<App>>, Form(Which { repo }): Form<Which>) -> Result<Redirect, Problem> {
    app.remove_repo(&repo).await?;
    Ok(Redirect::to(HERE))
}

/// The page again, with what was typed and why it cannot be; what is nobody's fault who typed is a problem.
async fn refused(
    frame: &Frame,
    app: &App,
    typed: Typed,
    form: &'static str,
    problem: Problem,
) -> Result<Response, Problem> {
    if problem.code() == StatusCode::INTERNAL_SERVER_ERROR {
        return Err(problem);
    }
    let (status, why) = (problem.code(), problem.detail().to_owned());
    page(frame, app, status, String::new(), typed, Some(Refused { form, why })).await
}

async fn page(
    frame: &Frame,
    app: &App,
    status: StatusCode,
    only: String,
    typed: Typed,
    refused: Option<Refused>,
) -> Result<Response, Problem> {
    let worktrees = WorktreesRequest { repo: only.clone(), ..WorktreesRequest::default() };
    let connected = app.workers().await?.into_iter().filter(|worker| worker.connected);
    let shown = Shown {
        repos: app.repos().await?.into_iter().map(|repo| Repo::new(app, repo)).collect(),
        worktrees: app.worktrees(worktrees).await?.into_iter().map(Worktree::from).collect(),
        workers: connected.map(|worker| worker.row.entry.name).collect(),
        roles: app.shelf().await?.roles().map(|role| role.name.to_string()).collect(),
        only,
        typed,
        refused,
    };
    frame.page_as(status, "repos.html", "Repositories", shown)
}
