//! Worktrees made by hand, and removed: a page says what would be lost before it is.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::{HERE, Typed, refused};
use crate::app::{App, WantedWorktree, WhichWorktree};
use crate::http::dashboard::form::Form;
use crate::http::dashboard::page::Frame;
use crate::http::extract::Query;
use crate::http::problem::Problem;
use crate::http::view::Worktree;

const REMOVAL: &str = "/repos/worktrees/remove";

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/repos/worktrees", post(add)).route(REMOVAL, get(ask).post(remove))
}

async fn add(
    frame: Frame,
    State(app): State<Arc<App>>,
    Form(typed): Form<Typed>,
) -> Result<Response, Problem> {
    let wanted = WantedWorktree {
        repo: typed.repo.trim().to_owned(),
        branch: typed.branch.trim().to_owned(),
        base: typed.base.trim().to_owned(),
        worker: typed.worker.clone(),
    };
    match app.add_worktree(wanted).await {
        Ok(_) => Ok(Redirect::to(HERE).into_response()),
        Err(error) => refused(&frame, &app, typed, "worktree", error.into()).await,
    }
}

#[derive(Debug, Deserialize)]
struct Which {
    repo: String,
    branch: String,
    #[serde(default)]
    worker: String,
    /// A box that was ticked: also what is saved nowhere else.
    #[serde(default)]
    force: String,
}

#[derive(Serialize)]
struct Removal {
    worktree: Worktree,
    /// As it was asked for.
    repo: String,
}

async fn ask(
    frame: Frame,
    State(app): State<Arc<App>>,
    Query(Which { repo, branch, worker, .. }): Query<Which>,
) -> Result<Response, Problem> {
    let worktree = app.worktree(&WhichWorktree { repo: repo.clone(), branch, worker }).await?.into();
    frame.page("worktree_remove.html", "Remove a worktree", Removal { worktree, repo })
}

async fn remove(
    State(app): State<Arc<App>>,
    Form(Which { repo, branch, worker, force }): Form<Which>,
) -> Result<Redirect, Problem> {
    app.remove_worktree(&WhichWorktree { repo, branch, worker }, !force.is_empty()).await?;
    Ok(Redirect::to(HERE))
}
