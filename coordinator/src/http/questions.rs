//! What agents ask, and its answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Path, Query, page_size};
use super::name::Name;
use super::problem::{BadJson, BadRequest, Conflict, DiskFull, NotFound, Problem};
use super::view::Question;
use crate::app::{App, QuestionsRequest};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(answer))
        .routes(routes!(answer_of_task))
}

/// What is sent to answer one question.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// Where there are options, one of them or its number.
    text: String,
    /// For people.
    by: Option<String>,
}

/// What is sent to answer what a task's agent asked.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AnswerOfTask {
    /// Where there are options, one of them or its number.
    text: String,
    /// Id or number; left out where the task has but one open question.
    question: Option<Name>,
    /// For people.
    by: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// open: those that wait for an answer, oldest first; all: settled ones as well, newest first.
    #[serde(default)]
    #[param(inline, default = "open")]
    state: Which,
    /// Of this task only: id, a prefix of it, or number.
    task: Option<String>,
    /// 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// From an earlier page with the same filters.
    #[serde(default)]
    page_token: String,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Which {
    #[default]
    Open,
    All,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuestionPage)]
struct Page {
    questions: Vec<Question>,
    /// `null` on the last page.
    next_page_token: Option<String>,
}

/// What agents ask, in pages: what waits for an answer, or all there was.
#[utoipa::path(
    get,
    path = "/api/questions",
    tag = "questions",
    params(Wanted),
    responses((status = OK, body = Page), BadRequest, NotFound)
)]
async fn list(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    let Wanted { state, task, limit, page_token } = wanted;
    let all = matches!(state, Which::All);
    let task = task.filter(|task| !task.is_empty());
    let page_size = page_size(limit)?;
    let page = app.questions(QuestionsRequest { task, all, page_size, page_token }).await?;
    let questions = page.questions.into_iter().map(Question::from).collect();
    let next_page_token = Some(page.next_page_token).filter(|token| !token.is_empty());
    Ok(Json(Page { questions, next_page_token }))
}

/// One question.
#[utoipa::path(
    get,
    path = "/api/questions/{question}",
    tag = "questions",
    params(("question" = String, Path, description = "Id or number")),
    responses((status = OK, body = Question), BadRequest, NotFound)
)]
async fn get(State(app): State<Arc<App>>, Path(question): Path<String>) -> Result<Json<Question>, Problem> {
    Ok(Json(app.question(&question).await?.into()))
}

/// Answer a question. A question is answered once.
#[utoipa::path(
    post,
    path = "/api/questions/{question}/answer",
    tag = "questions",
    params(("question" = String, Path, description = "Id or number")),
    request_body = Answer,
    responses((status = OK, body = Question), BadRequest, NotFound, Conflict, BadJson, DiskFull)
)]
async fn answer(
    State(app): State<Arc<App>>,
    Path(question): Path<String>,
    Body(Answer { text, by }): Body<Answer>,
) -> Result<Json<Question>, Problem> {
    let answered = app.answer_question(&question, text, &by.unwrap_or_default()).await?;
    Ok(Json(answered.into()))
}

/// Answer what a task's agent asked.
#[utoipa::path(
    post,
    path = "/api/tasks/{task}/answer",
    tag = "questions",
    params(("task" = String, Path, description = "Id, a prefix of it, or number")),
    request_body = AnswerOfTask,
    responses((status = OK, body = Question), BadRequest, NotFound, Conflict, BadJson, DiskFull)
)]
async fn answer_of_task(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    Body(AnswerOfTask { text, question, by }): Body<AnswerOfTask>,
) -> Result<Json<Question>, Problem> {
    let answered = app.answer(&task, &Name::or_empty(question), text, &by.unwrap_or_default()).await?;
    Ok(Json(answered.into()))
}
