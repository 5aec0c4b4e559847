//! The dashboard: pages rendered here, which small scripts keep up to date.
//!
//! A page is whole without its scripts. They follow the event feed from the cursor that the page was read at, and
//! fetch the same page again when something on it may have changed: its elements marked `data-live`, which need an
//! `id`, become like their newer selves. What is done on a page is a form, answered by a redirect.
//!
//! | room | what |
//! |---|---|
//! | `page` | the frame around every page; rendering |
//! | `filters` | how templates write times, sizes and sums |
//! | `errors`, `back`, `theme` | problems as pages; where a form came from; light or dark |
//! | `login` | signing in, and out |
//! | `assets` | styles and scripts; `factory.css` says at its head what there is for pages to use |
//! | the others | a page each, with the forms on it |

mod assets;
pub mod back;
mod diff;
pub mod errors;
mod filters;
mod fleet;
mod form;
mod graph;
mod handoffs;
mod login;
mod messages;
mod page;
mod questions;
mod repos;
mod submit;
mod task;
mod tasks_list;
mod theme;
mod workflows;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use crate::app::App;
use crate::auth::Auth;
use crate::http::problem::Problem;

pub fn routes(app: &Arc<App>, auth: Arc<Auth>) -> Router<Arc<App>> {
    Router::new()
        .route("/", get(fleet::show))
        .route("/workers/{worker}/drain", post(fleet::drain))
        .route("/workers/{worker}/resume", post(fleet::resume))
        .route("/tasks", get(tasks_list::show))
        .route("/tasks/new", get(submit::show).post(submit::submit))
        .route("/graph", get(graph::show))
        .route("/handoffs", get(handoffs::show))
        .merge(messages::routes())
        .merge(questions::routes())
        .merge(task::routes())
        .merge(workflows::routes())
        .route("/theme", post(theme::switch))
        .merge(repos::routes())
        .merge(login::routes(auth))
        .fallback(errors::nothing_here)
        .method_not_allowed_fallback(Problem::no_such_method)
        .layer(from_fn_with_state(Arc::clone(app), errors::as_pages))
        .merge(assets::routes())
}
