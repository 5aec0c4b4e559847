//! Answering what agents ask.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use factory_domain::Timestamp;
use serde::{Deserialize, Serialize};

use super::problem::Problem;
use crate::app::App;
use crate::store::QuestionEntry;

/// What is sent to answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    text: String,
    /// Id or number; left out where the task has but one open question.
    #[serde(default)]
    question: String,
    /// For people.
    #[serde(default)]
    by: String,
}

#[derive(Debug, Serialize)]
pub struct Question {
    id: String,
    number: u64,
    task_id: String,
    task_number: u64,
    state: &'static str,
    text: String,
    options: Vec<String>,
    answer: Option<String>,
    answered_by: Option<String>,
    /// RFC 3339, in UTC, both.
    asked_at: String,
    answered_at: Option<String>,
}

/// `POST /api/tasks/{task}/answer`: the task by its id, a prefix of it, or its number.
pub async fn answer(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    body: Result<Json<Answer>, JsonRejection>,
) -> Result<Json<Question>, Problem> {
    let Json(Answer { text, question, by }) = body?;
    let answered = app.answer(&task, &question, text, &by).await?;
    Ok(Json(answered.into()))
}

impl From<QuestionEntry> for Question {
    fn from(entry: QuestionEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            number: entry.number,
            task_id: entry.task.to_string(),
            task_number: entry.task_number,
            state: entry.state.as_str(),
            text: entry.text,
            options: entry.options,
            answer: entry.answer,
            answered_by: entry.answered_by,
            asked_at: utc(entry.asked_at),
            answered_at: entry.settled_at.map(utc),
        }
    }
}

/// As RFC 3339 has it.
fn utc(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.as_millis()).map(|time| time.to_string()).unwrap_or_default()
}
