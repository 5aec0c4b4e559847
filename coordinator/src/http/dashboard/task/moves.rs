//! What one has become of a task by the buttons on its page, and on others that list it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use serde::Deserialize;

use crate::app::App;
use crate::http::dashboard::back::Back;
use crate::http::dashboard::form::Form;
use crate::http::extract::Path;
use crate::http::problem::Problem;

#[derive(Debug, Deserialize)]
pub struct Reach {
    /// With its children that have not ended, and theirs: `on`, as a checked box is sent.
    #[serde(default)]
    children: String,
}

pub async fn cancel(
    back: Back,
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    Form(Reach { children }): Form<Reach>,
) -> Result<Redirect, Problem> {
    let cancelled = app.cancel(&task, !children.is_empty()).await?;
    Ok(back.or(&format!("/tasks/{}", cancelled.task.number)))
}

/// One that was submitted with a hold.
pub async fn release(
    back: Back,
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
) -> Result<Redirect, Problem> {
    let (released, _) = app.release(&task).await?;
    Ok(back.or(&format!("/tasks/{}", released.number)))
}

/// Leads to the new task.
pub async fn retry(State(app): State<Arc<App>>, Path(task): Path<String>) -> Result<Redirect, Problem> {
    let again = app.retry(&task, "").await?;
    Ok(Redirect::to(&format!("/tasks/{}", again.number)))
}
