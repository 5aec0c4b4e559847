//! Styles and scripts: part of the program, so that pages need nothing from elsewhere.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use crate::app::App;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Name, type and content.
const ASSETS: &[(&str, &str, &str)] = &[
    ("board.css", CSS, include_str!("../../../dashboard/assets/board.css")),
    ("factory.css", CSS, include_str!("../../../dashboard/assets/factory.css")),
    ("forms.js", SCRIPT, include_str!("../../../dashboard/assets/forms.js")),
    ("frame.js", SCRIPT, include_str!("../../../dashboard/assets/frame.js")),
    ("graph.css", CSS, include_str!("../../../dashboard/assets/graph.css")),
    ("graph.js", SCRIPT, include_str!("../../../dashboard/assets/graph.js")),
    ("icon.svg", SVG, include_str!("../../../dashboard/assets/icon.svg")),
    ("keys.js", SCRIPT, include_str!("../../../dashboard/assets/keys.js")),
    ("live.js", SCRIPT, include_str!("../../../dashboard/assets/live.js")),
    ("log.js", SCRIPT, include_str!("../../../dashboard/assets/log.js")),
    ("log_agent.js", SCRIPT, include_str!("../../../dashboard/assets/log_agent.js")),
    ("log_find.js", SCRIPT, include_str!("../../../dashboard/assets/log_find.js")),
    ("log_rows.js", SCRIPT, include_str!("../../../dashboard/assets/log_rows.js")),
    ("log_source.js", SCRIPT, include_str!("../../../dashboard/assets/log_source.js")),
    ("log_text.js", SCRIPT, include_str!("../../../dashboard/assets/log_text.js")),
    ("log_view.js", SCRIPT, include_str!("../../../dashboard/assets/log_view.js")),
    ("log_window.js", SCRIPT, include_str!("../../../dashboard/assets/log_window.js")),
    ("messages.js", SCRIPT, include_str!("../../../dashboard/assets/messages.js")),
    ("morph.js", SCRIPT, include_str!("../../../dashboard/assets/morph.js")),
    ("refresh.js", SCRIPT, include_str!("../../../dashboard/assets/refresh.js")),
    ("task.css", CSS, include_str!("../../../dashboard/assets/task.css")),
    ("theme.js", SCRIPT, include_str!("../../../dashboard/assets/theme.js")),
    ("time.js", SCRIPT, include_str!("../../../dashboard/assets/time.js")),
];

/// Of all of them together: a new release's assets have a new one.
static TAG: LazyLock<String> = LazyLock::new(|| {
    let all = ASSETS.iter().fold(Sha256::new(), |hash, (_, _, content)| hash.chain_update(content));
    format!("\"{}\"", hex::encode(&all.finalize()[..8]))
});

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let Some((_, kind, content)) = ASSETS.iter().find(|(known, ..)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // Asked again each time, and then answered without its content.
    let caching = [(CACHE_CONTROL, "no-cache"), (ETAG, TAG.as_str())];
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == TAG.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, *kind)], *content).into_response()
}
