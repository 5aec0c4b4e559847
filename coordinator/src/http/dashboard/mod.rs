//! The dashboard: pages rendered here, which small scripts keep up to date.
//!
//! A page is whole without its scripts. They follow the event feed from the cursor that the page was read at, and
//! fetch the same page again when something on it may have changed.

mod assets;
mod fleet;
mod page;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::app::App;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/", get(fleet::show)).merge(assets::routes())
}
