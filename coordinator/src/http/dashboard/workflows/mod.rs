//! `/workflows`: several agents' steps towards one end; starting one, looking at it, ending it.

mod rounds;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use factory_domain::workflow::WorkflowState;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::back::Back;
use super::form::Form;
use super::page::Frame;
use crate::app::{App, Error, WantedWorkflow, WorkflowsRequest};
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;
use crate::http::view::{Handoff, Workflow};
use rounds::Round;

/// Workflows on a page.
const PAGE: u32 = 50;

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/workflows", get(list).post(start))
        .route("/workflows/{workflow}", get(show))
        .route("/workflows/{workflow}/cancel", post(cancel))
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Filter {
    state: String,
    page_token: String,
}

/// A workflow as it was typed, and what is wrong with it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Draft {
    name: String,
    title: String,
    description: String,
    repo: String,
    base: String,
    agent: String,
    model: String,
    max_iterations: String,
    /// So that a form sent twice is one workflow.
    key: String,
    #[serde(skip_deserializing)]
    errors: Vec<String>,
}

#[derive(Serialize)]
struct List {
    query: String,
    filter: Filter,
    states: [&'static str; WorkflowState::NAMES.len()],
    workflows: Vec<Workflow>,
    next_page_token: String,
    /// Those that can be started.
    known: Vec<Known>,
    draft: Draft,
}

#[derive(Serialize)]
struct Known {
    name: String,
    description: String,
}

#[derive(Serialize)]
struct Page {
    workflow: Workflow,
    over: bool,
    rounds: Vec<Round>,
    handoffs: Vec<Handoff>,
}

async fn list(
    frame: Frame,
    State(app): State<Arc<App>>,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    show_list(&frame, &app, filter, Draft::empty(), StatusCode::OK).await
}

async fn show_list(
    frame: &Frame,
    app: &App,
    filter: Filter,
    draft: Draft,
    status: StatusCode,
) -> Result<Response, Problem> {
    let states = match filter.state.as_str() {
        "" => Vec::new(),
        state => vec![read_state(state)?],
    };
    let query = match filter.state.as_str() {
        "" => String::new(),
        state => format!("state={state}"),
    };
    let request = WorkflowsRequest { states, page_size: PAGE, page_token: filter.page_token.clone() };
    let page = app.workflows(request).await?;
    let known = app.shelf().await?;
    let known = known.workflows().map(|found| Known {
        name: found.definition.name.to_string(),
        description: found.definition.description.clone(),
    });
    let list = List {
        query,
        filter,
        states: WorkflowState::NAMES,
        workflows: page.workflows.into_iter().map(Workflow::from).collect(),
        next_page_token: page.next_page_token,
        known: known.collect(),
        draft,
    };
    frame.page_as(status, "workflows.html", "Workflows", list)
}

fn read_state(name: &str) -> Result<&'static str, Error> {
    let known = WorkflowState::NAMES.into_iter().find(|state| *state == name);
    known.ok_or_else(|| {
        Error::invalid("state", format!("`{name}` is none; there are {}", WorkflowState::NAMES.join(", ")))
    })
}

/// What cannot be started is shown again as it was typed, with what is wrong with it.
async fn start(
    frame: Frame,
    State(app): State<Arc<App>>,
    Form(mut draft): Form<Draft>,
) -> Result<Response, Problem> {
    let started = match draft.wanted() {
        Ok(wanted) => app.start_workflow(wanted).await,
        Err(error) => Err(error),
    };
    match started {
        Ok(workflow) => Ok(Redirect::to(&format!("/workflows/{}", workflow.thing.number)).into_response()),
        Err(Error::Invalid(violations)) => {
            draft.errors = violations.iter().map(|it| format!("{} {}", it.field, it.why)).collect();
            show_list(&frame, &app, Filter::default(), draft, StatusCode::BAD_REQUEST).await
        }
        Err(error) => Err(error.into()),
    }
}

async fn show(
    frame: Frame,
    State(app): State<Arc<App>>,
    Path(workflow): Path<String>,
) -> Result<Response, Problem> {
    let detail = app.workflow(&workflow).await?;
    let title = format!("Workflow {}", detail.workflow.number);
    let page = Page {
        over: detail.workflow.state.has_ended(),
        rounds: rounds::of(&detail),
        handoffs: detail.handoffs.into_iter().map(Handoff::from).collect(),
        workflow: detail.workflow.into(),
    };
    frame.page("workflow.html", &title, page)
}

async fn cancel(
    back: Back,
    State(app): State<Arc<App>>,
    Path(workflow): Path<String>,
) -> Result<Redirect, Problem> {
    let cancelled = app.cancel_workflow(&workflow).await?;
    Ok(back.or(&format!("/workflows/{}", cancelled.number)))
}

impl Draft {
    fn empty() -> Self {
        Self { key: Uuid::now_v7().to_string(), agent: "claude".to_owned(), ..Self::default() }
    }

    fn wanted(&self) -> Result<WantedWorkflow, Error> {
        let max_iterations = match self.max_iterations.trim() {
            "" => 0,
            number => number.parse().map_err(|_| Error::invalid("max_iterations", "must be a number"))?,
        };
        let line = |text: &str| text.trim().to_owned();
        Ok(WantedWorkflow {
            name: line(&self.name),
            title: line(&self.title),
            description: self.description.replace("\r\n", "\n"),
            repo: line(&self.repo),
            base: line(&self.base),
            agent: line(&self.agent),
            model: line(&self.model),
            max_iterations,
            idempotency_key: self.key.clone(),
            ..WantedWorkflow::default()
        })
    }
}
