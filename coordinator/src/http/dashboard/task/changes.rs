//! What a task changed: `/tasks/{task}/diff`, and a summary of it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use factory_domain::TaskId;
use serde::{Deserialize, Serialize};

use crate::app::{App, ArtifactName, AttemptDetail, Error};
use crate::http::dashboard::diff::{self, Diff};
use crate::http::dashboard::page::Frame;
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;
use crate::store::ArtifactKind;

#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// Number of the attempt; left out: the latest that has a patch.
    attempt: Option<u32>,
}

#[derive(Serialize)]
struct Page {
    number: u64,
    task_title: String,
    attempt: Option<u32>,
    diff: Diff,
}

/// The files that an attempt changed.
#[derive(Serialize)]
pub struct Changed {
    attempt: u32,
    diff: Diff,
}

pub async fn show(
    frame: Frame,
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let detail = app.get(&task).await?;
    let diff = read(&app, detail.task.id, wanted.attempt.unwrap_or_default()).await?;
    let page = Page {
        number: detail.task.number,
        task_title: detail.task.spec.title,
        attempt: wanted.attempt,
        diff,
    };
    frame.page("task_diff.html", &format!("Changes of #{}", detail.task.number), page)
}

/// Of the latest attempt that has a patch; without its lines, which have a page of their own.
pub async fn summary(
    app: &App,
    task: TaskId,
    attempts: &[AttemptDetail],
) -> Result<Option<Changed>, Problem> {
    let has_patch = |attempt: &&AttemptDetail| {
        attempt.artifacts.iter().any(|artifact| artifact.kind == ArtifactKind::Patch && artifact.bytes > 0)
    };
    let Some(attempt) = attempts.iter().rev().find(has_patch) else { return Ok(None) };
    let attempt = attempt.entry.number;
    let mut diff = read(app, task, attempt).await?;
    diff.files.iter_mut().for_each(|file| file.hunks = Vec::new());
    Ok(Some(Changed { attempt, diff }))
}

async fn read(app: &App, task: TaskId, attempt: u32) -> Result<Diff, Error> {
    let name = ArtifactName { kind: ArtifactKind::Patch, name: String::new() };
    let mut content = app.read_artifact(&task.to_string(), attempt, name).await?;
    let mut patch = Vec::new();
    while patch.len() <= diff::MAX_BYTES
        && let Some(piece) = content.next().await?
    {
        patch.extend_from_slice(&piece);
    }
    let cut = patch.len() > diff::MAX_BYTES;
    patch.truncate(diff::MAX_BYTES);
    Ok(diff::read(&patch, cut))
}
