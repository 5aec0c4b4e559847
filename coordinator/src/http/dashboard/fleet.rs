//! `/`: the workers, and what they do.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::page::Frame;
use crate::app::App;
use crate::http::problem::Problem;
use crate::http::view::Worker;

#[derive(Serialize)]
struct Fleet {
    workers: Vec<Worker>,
    /// Of the coordinator's own disk.
    disk_warning: Option<String>,
}

pub async fn show(frame: Frame, State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let workers = app.workers().await?.into_iter().map(Worker::from).collect();
    frame.page("fleet.html", "Fleet", Fleet { workers, disk_warning: app.disk_warning() })
}
