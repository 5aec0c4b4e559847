//! `/questions`: what agents ask, and answering it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::back::Back;
use super::form::Form;
use super::page::Frame;
use crate::app::{App, QuestionsRequest};
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;
use crate::http::view::Question;

/// Open questions on the page, the oldest.
const OPEN: u32 = 100;
/// Of a page of all of them.
const ALL: u32 = 50;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/questions", get(show)).route("/questions/{question}/answer", post(answer))
}

#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(default)]
    page_token: String,
}

#[derive(Serialize)]
struct Page {
    /// Oldest first: that agent has waited longest.
    open: Vec<Question>,
    more_open: bool,
    /// Newest first.
    settled: Vec<Question>,
    paged: bool,
    next_page_token: String,
}

async fn show(
    frame: Frame,
    State(app): State<Arc<App>>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let open = app.questions(QuestionsRequest { page_size: OPEN, ..QuestionsRequest::default() }).await?;
    let all = QuestionsRequest {
        all: true,
        page_size: ALL,
        page_token: wanted.page_token.clone(),
        ..QuestionsRequest::default()
    };
    let all = app.questions(all).await?;
    let settled = all.questions.into_iter().filter(|question| question.settled_at.is_some());
    let page = Page {
        more_open: !open.next_page_token.is_empty(),
        open: open.questions.into_iter().map(Question::from).collect(),
        settled: settled.map(Question::from).collect(),
        paged: !wanted.page_token.is_empty(),
        next_page_token: all.next_page_token,
    };
    frame.page("questions.html", "Questions", page)
}

#[derive(Debug, Deserialize)]
struct Answer {
    task: String,
    /// What was written, or the option whose button was used.
    #[serde(default)]
    text: String,
    #[serde(default)]
    option: String,
}

async fn answer(
    back: Back,
    State(app): State<Arc<App>>,
    Path(question): Path<String>,
    Form(Answer { task, text, option }): Form<Answer>,
) -> Result<Redirect, Problem> {
    let text = if option.is_empty() { text } else { option };
    app.answer(&task, &question, text, "").await?;
    Ok(back.or("/questions"))
}
