//! Workflows.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Path, Query, page_size};
use super::made::Made;
use super::problem::{BadJson, BadRequest, Conflict, DiskFull, NotFound, Problem};
use super::view::{Workflow, WorkflowDetail, WorkflowStatus};
use crate::app::{App, WantedWorkflow, WorkflowsRequest};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(code_review))
        .routes(routes!(get))
        .routes(routes!(cancel))
}

/// What is sent to start a workflow: the name of a definition in the library, or a definition.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWorkflow {
    /// With a definition of several workflows: which of them.
    name: Option<String>,
    definition: Option<Definition>,
    title: Option<String>,
    /// What is to be done.
    description: String,
    repo: Option<String>,
    /// The branch or commit that the first step starts from.
    base: Option<String>,
    /// claude when left out.
    agent: Option<String>,
    model: Option<String>,
    /// As the definition says when left out.
    #[schema(minimum = 1, maximum = 100)]
    max_iterations: Option<u32>,
    /// Of each step's task.
    labels: Option<BTreeMap<String, String>>,
    project: Option<String>,
    priority: Option<i32>,
    /// Lets the repository's own settings for agents count.
    trust_repo: Option<bool>,
}

/// What is sent to have something made, reviewed and revised until it is approved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CodeReview {
    title: Option<String>,
    /// What is to be done.
    description: String,
    repo: Option<String>,
    /// The branch or commit that the first step starts from.
    base: Option<String>,
    /// claude when left out.
    agent: Option<String>,
    model: Option<String>,
    /// As the definition says when left out.
    #[schema(minimum = 1, maximum = 100)]
    max_iterations: Option<u32>,
    /// Of each step's task.
    labels: Option<BTreeMap<String, String>>,
    project: Option<String>,
    priority: Option<i32>,
    /// Lets the repository's own settings for agents count.
    trust_repo: Option<bool>,
}

/// Steps, conditions and loops: as TOML or YAML, or as the object that such a text would stand for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a text, or an object with `steps`")]
#[schema(as = WorkflowDefinition)]
enum Definition {
    Text(String),
    Object(BTreeMap<String, Value>),
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// With this status. May be given several times.
    #[serde(default)]
    status: Vec<WorkflowStatus>,
    /// 50 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// From an earlier page with the same filters.
    #[serde(default)]
    page_token: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowPage)]
struct Page {
    workflows: Vec<Workflow>,
    /// `null` on the last page.
    next_page_token: Option<String>,
}

/// Start a workflow. Once this is answered it goes on by itself, through any restart.
#[utoipa::path(
    post,
    path = "/api/workflows",
    tag = "workflows",
    params(IdempotencyKey),
    request_body = NewWorkflow,
    responses(
        (status = CREATED, body = Workflow, description = "It is started", headers(("Location" = String))),
        (status = OK, body = Workflow, description = "It was, under this key", headers(("Location" = String))),
        BadRequest, NotFound, Conflict, BadJson, DiskFull
    )
)]
async fn create(
    State(app): State<Arc<App>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewWorkflow>,
) -> Result<Made<Workflow>, Problem> {
    start(&app, WantedWorkflow { idempotency_key: key, ..new.into() }).await
}

/// Start the built-in workflow that codes, reviews, and revises until the review approves.
#[utoipa::path(
    post,
    path = "/api/workflows/code_review",
    tag = "workflows",
    params(IdempotencyKey),
    request_body = CodeReview,
    responses(
        (status = CREATED, body = Workflow, description = "It is started", headers(("Location" = String))),
        (status = OK, body = Workflow, description = "It was, under this key", headers(("Location" = String))),
        BadRequest, NotFound, Conflict, BadJson, DiskFull
    )
)]
async fn code_review(
    State(app): State<Arc<App>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<CodeReview>,
) -> Result<Made<Workflow>, Problem> {
    start(&app, WantedWorkflow { idempotency_key: key, ..NewWorkflow::from(new).into() }).await
}

async fn start(app: &App, wanted: WantedWorkflow) -> Result<Made<Workflow>, Problem> {
    let started = app.start_workflow(wanted).await?;
    let at = format!("/api/workflows/{}", started.thing.number);
    Ok(Made { at, existed: started.existed, view: started.thing.into() })
}

/// Workflows, newest first, in pages.
#[utoipa::path(
    get,
    path = "/api/workflows",
    tag = "workflows",
    params(Wanted),
    responses((status = OK, body = Page), BadRequest)
)]
async fn list(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    let states = wanted.status.into_iter().map(WorkflowStatus::as_str).collect();
    let page_size = page_size(wanted.limit)?;
    let page = app.workflows(WorkflowsRequest { states, page_size, page_token: wanted.page_token }).await?;
    let workflows = page.workflows.into_iter().map(Workflow::from).collect();
    let next_page_token = Some(page.next_page_token).filter(|token| !token.is_empty());
    Ok(Json(Page { workflows, next_page_token }))
}

/// One workflow in full, with its steps and what they gave one another.
#[utoipa::path(
    get,
    path = "/api/workflows/{workflow}",
    tag = "workflows",
    params(("workflow" = String, Path, description = "Id, a prefix of it, or number")),
    responses((status = OK, body = WorkflowDetail), BadRequest, NotFound)
)]
async fn get(
    State(app): State<Arc<App>>,
    Path(workflow): Path<String>,
) -> Result<Json<WorkflowDetail>, Problem> {
    Ok(Json(app.workflow(&workflow).await?.into()))
}

/// Wish a workflow's end: no further step begins, and the present one's task is cancelled.
#[utoipa::path(
    post,
    path = "/api/workflows/{workflow}/cancel",
    tag = "workflows",
    params(("workflow" = String, Path, description = "Id, a prefix of it, or number")),
    responses((status = OK, body = Workflow), BadRequest, NotFound, Conflict, DiskFull)
)]
async fn cancel(
    State(app): State<Arc<App>>,
    Path(workflow): Path<String>,
) -> Result<Json<Workflow>, Problem> {
    Ok(Json(app.cancel_workflow(&workflow).await?.into()))
}

impl From<CodeReview> for NewWorkflow {
    fn from(review: CodeReview) -> Self {
        Self {
            name: Some("code_review".to_owned()),
            definition: None,
            title: review.title,
            description: review.description,
            repo: review.repo,
            base: review.base,
            agent: review.agent,
            model: review.model,
            max_iterations: review.max_iterations,
            labels: review.labels,
            project: review.project,
            priority: review.priority,
            trust_repo: review.trust_repo,
        }
    }
}

impl From<NewWorkflow> for WantedWorkflow {
    fn from(new: NewWorkflow) -> Self {
        Self {
            name: new.name.unwrap_or_default(),
            definition: new.definition.map(Definition::into_text).unwrap_or_default(),
            title: new.title.unwrap_or_default(),
            description: new.description,
            repo: new.repo.unwrap_or_default(),
            base: new.base.unwrap_or_default(),
            agent: new.agent.unwrap_or_default(),
            model: new.model.unwrap_or_default(),
            max_iterations: new.max_iterations.unwrap_or_default(),
            labels: new.labels.unwrap_or_default().into_iter().collect(),
            submitter: String::new(),
            project: new.project.unwrap_or_default(),
            idempotency_key: String::new(),
            priority: new.priority.unwrap_or_default(),
            trust_repo: new.trust_repo.unwrap_or_default(),
        }
    }
}

impl Definition {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            // JSON is YAML, too.
            Self::Object(object) => Value::Object(object.into_iter().collect()).to_string(),
        }
    }
}
