//! `/handoffs`: what tasks give one another.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::page::Frame;
use crate::app::{App, HandoffsRequest};
use crate::http::extract::Query;
use crate::http::problem::Problem;
use crate::http::view::Handoff;

/// Handoffs on a page: each may be long.
const PAGE: u32 = 25;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    task: String,
    page_token: String,
}

#[derive(Serialize)]
struct Page {
    query: String,
    filter: Filter,
    handoffs: Vec<Handoff>,
    next_page_token: String,
}

pub async fn show(
    frame: Frame,
    State(app): State<Arc<App>>,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    let request = HandoffsRequest {
        task: filter.task.trim().to_owned(),
        workflow: String::new(),
        page_size: PAGE,
        page_token: filter.page_token.clone(),
    };
    let page = app.handoffs(request).await?;
    let given = [("task", filter.task.trim())];
    let given: Vec<_> = given.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let page = Page {
        query: serde_urlencoded::to_string(given).unwrap_or_default(),
        handoffs: page.handoffs.into_iter().map(Handoff::from).collect(),
        next_page_token: page.next_page_token,
        filter,
    };
    frame.page("handoffs.html", "Handoffs", page)
}
