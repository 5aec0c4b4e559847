//! REST, live streams and the dashboard, for programs that speak JSON and for browsers. Handlers translate,
//! as those of gRPC do: the same use cases, views of their own, and every error a problem of RFC 9457.
//!
//! | room | what |
//! |---|---|
//! | `tasks`, `questions`, … | the routes of one thing, with what is sent to them |
//! | `view` | what is answered: REST sends it as JSON, pages are rendered from it |
//! | `extract`, `problem` | what was sent, read or refused |
//! | `sse` | what all live streams have in common |
//! | `openapi` | the document of all routes, made from the handlers |
//! | `dashboard` | pages, and the files they load |

pub mod dashboard;
mod events;
mod extract;
mod fleet;
mod handoffs;
mod library;
mod logs_sse;
mod made;
mod memory;
mod messages;
mod name;
mod openapi;
pub mod problem;
mod questions;
mod repos;
mod sessions;
mod sse;
mod tasks;
mod view;
mod workflows;
mod worktrees;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::any;
use http::HeaderMap;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::auth::Auth;
use crate::grpc::traceparent;
use problem::Problem;

/// Bytes of one request: a prompt of the largest size there is, and what stands around it.
const MAX_BODY: usize = 2 * 1024 * 1024;

pub fn routes(app: Arc<App>, auth: Arc<Auth>) -> Router {
    let (rest, mut document) = OpenApiRouter::with_openapi(openapi::document())
        .merge(tasks::routes())
        .merge(fleet::routes())
        .merge(questions::routes())
        .merge(repos::routes())
        .merge(worktrees::routes())
        .merge(sessions::routes())
        .merge(events::routes())
        .merge(logs_sse::routes())
        .merge(messages::routes())
        .merge(handoffs::routes())
        .merge(workflows::routes())
        .merge(memory::routes())
        .merge(library::routes())
        .split_for_parts();
    openapi::complete(&mut document);
    rest.merge(openapi::routes(&document))
        .route("/api", any(Problem::no_such_route))
        .route("/api/", any(Problem::no_such_route))
        .route("/api/{*path}", any(Problem::no_such_route))
        .method_not_allowed_fallback(Problem::no_such_method)
        .merge(dashboard::routes(&app, auth))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}

/// The caller's trace, or a new one.
fn traceparent(headers: &HeaderMap) -> String {
    traceparent::from_header(headers.get("traceparent").and_then(|value| value.to_str().ok()))
}
