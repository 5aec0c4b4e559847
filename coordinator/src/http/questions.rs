//! Answering what agents ask.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Path};
use super::problem::{BadJson, BadRequest, Conflict, DiskFull, NotFound, Problem};
use super::view::Question;
use crate::app::App;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(answer))
}

/// What is sent to answer.
#[derive(Debug, Deserialize, ToSchema)]
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

/// Answer what a task's agent asked.
#[utoipa::path(
    post,
    path = "/api/tasks/{task}/answer",
    tag = "questions",
    params(("task" = String, Path, description = "Id, a prefix of it, or number")),
    request_body = Answer,
    responses((status = OK, body = Question), BadRequest, NotFound, Conflict, BadJson, DiskFull)
)]
async fn answer(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    Body(Answer { text, question, by }): Body<Answer>,
) -> Result<Json<Question>, Problem> {
    let answered = app.answer(&task, &question, text, &by).await?;
    Ok(Json(answered.into()))
}
