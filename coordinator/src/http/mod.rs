//! REST, for programs that speak JSON. Handlers translate, as those of gRPC do: the same use cases,
//! views of its own, and every error a problem of RFC 9457.

mod problem;
mod questions;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::post;

use crate::app::App;

/// Bytes of one request.
const MAX_BODY: usize = 256 * 1024;

pub fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/tasks/{task}/answer", post(questions::answer))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(app)
}
