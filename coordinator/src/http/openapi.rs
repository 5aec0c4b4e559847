//! The document of all routes. Each handler says what it takes and answers; this is the rest of it.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;

use crate::app::App;

#[derive(OpenApi)]
#[openapi(info(title = "The factory", description = "Many Claude Code agents in parallel, on a fleet."))]
struct Factory;

/// The document without its routes.
pub fn document() -> Document {
    Factory::openapi()
}

/// Serves it at `/api/openapi.json`.
pub fn routes(document: &Document) -> Router<Arc<App>> {
    let json: Arc<str> = document.to_json().expect("a document of plain data").into();
    let serve = move || {
        let json = Arc::clone(&json);
        async move { ([(CONTENT_TYPE, "application/json")], json.to_string()) }
    };
    Router::new().route("/api/openapi.json", get(serve))
}
