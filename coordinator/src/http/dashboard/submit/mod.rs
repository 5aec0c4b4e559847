//! `/tasks/new`: the form by which people submit a task.
//!
//! What cannot be accepted is said at its field, and what was typed is kept. The form carries an idempotency key of
//! its own, so that sending it twice makes one task.

mod typed;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use factory_domain::AgentKind;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use uuid::Uuid;

use super::form::Form;
use super::page::Frame;
use crate::app::{App, Error, ListRequest};
use crate::http::extract::Query;
use crate::http::problem::Problem;
use crate::http::traceparent;
use typed::Typed;

/// Fields that have no error of their own show theirs above the form.
const ABOVE: &str = "";

/// What is wrong, by field.
type Errors = BTreeMap<String, Vec<String>>;

#[derive(Serialize)]
struct Shown {
    typed: Typed,
    errors: Errors,
    agents: [AgentKind; 3],
    roles: Vec<Choice>,
    types: Vec<Choice>,
    /// Of the newest tasks.
    repos: BTreeSet<String>,
}

/// A name from the library.
#[derive(Serialize)]
struct Choice {
    name: String,
    description: String,
}

/// The form, empty but for what the query says: a link can lead to one that is half filled in.
pub async fn show(
    frame: Frame,
    State(app): State<Arc<App>>,
    Query(mut typed): Query<Typed>,
) -> Result<Response, Problem> {
    typed.idempotency_key = fresh_key();
    form(&frame, &app, StatusCode::OK, typed, Errors::new()).await
}

pub async fn submit(
    frame: Frame,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Form(mut typed): Form<Typed>,
) -> Result<Response, Problem> {
    let wanted = match typed.wanted() {
        Ok(wanted) => wanted,
        Err(errors) => return form(&frame, &app, StatusCode::UNPROCESSABLE_ENTITY, typed, errors).await,
    };
    let refused = match app.submit(vec![wanted], &traceparent(&headers)).await {
        Ok(submitted) => return Ok(Redirect::to(&format!("/tasks/{}", submitted[0].number)).into_response()),
        Err(error) => error,
    };
    let mut errors = Errors::new();
    match refused {
        Error::Invalid(violations) => {
            for violation in violations {
                let field = violation.field.strip_prefix("tasks[0].").unwrap_or(&violation.field);
                // Of a list, the whole list.
                let field = field.split('[').next().unwrap_or_default();
                errors.entry(typed::shown_at(field)).or_default().push(violation.why);
            }
        }
        Error::Library(why) => errors.entry(ABOVE.to_owned()).or_default().push(why.to_string()),
        Error::KeyReused { existing, .. } => {
            typed.idempotency_key = fresh_key();
            let why = format!(
                "this form was sent before and became task {existing}; send it again to submit another one"
            );
            errors.entry(ABOVE.to_owned()).or_default().push(why);
        }
        error => return Err(error.into()),
    }
    form(&frame, &app, StatusCode::UNPROCESSABLE_ENTITY, typed, errors).await
}

async fn form(
    frame: &Frame,
    app: &App,
    status: StatusCode,
    typed: Typed,
    errors: Errors,
) -> Result<Response, Problem> {
    let shelf = app.shelf().await?;
    let role = |role: &crate::library::Role| Choice {
        name: role.name.to_string(),
        description: role.description.clone(),
    };
    let template = |template: &crate::library::Template| Choice {
        name: template.name.to_string(),
        description: template.description.clone(),
    };
    // The others are included by these, and take no task.
    let takes_a_task = |template: &&crate::library::Template| template.text.contains("task_instructions");
    let newest = app.list(ListRequest::default()).await?.tasks;
    let shown = Shown {
        typed,
        errors,
        agents: AgentKind::ALL,
        roles: shelf.roles().map(role).collect(),
        types: shelf.templates().filter(takes_a_task).map(template).collect(),
        repos: newest
            .into_iter()
            .filter_map(|(task, _)| task.spec.repo)
            .map(|repo| repo.to_string())
            .collect(),
    };
    frame.page_as(status, "submit.html", "New task", shown)
}

fn fresh_key() -> String {
    Uuid::now_v7().to_string()
}
