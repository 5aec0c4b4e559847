//! What is kept of a task's attempts: their changes, their commits, the files they left.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, ArtifactContent, ArtifactName};
use crate::http::extract::{Path, Query};
use crate::http::problem::{BadRequest, NotFound, Problem};
use crate::http::view::{Artifact, ArtifactKind};
use crate::store;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(diff)).routes(routes!(list)).routes(routes!(read))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Of {
    /// The attempt's number; left out: the latest that has it.
    #[param(minimum = 1)]
    attempt: Option<u32>,
}

/// A task's change as a unified diff with binary hunks, which `git apply` takes.
#[utoipa::path(
    get,
    path = "/api/tasks/{task}/diff",
    tag = "tasks",
    params(("task" = String, Path, description = "Id, a prefix of it, or number"), Of),
    responses((status = OK, body = String, content_type = "text/x-diff"), BadRequest, NotFound)
)]
async fn diff(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    Query(Of { attempt }): Query<Of>,
) -> Result<Response, Problem> {
    let name = ArtifactName::read(store::ArtifactKind::Patch, String::new())?;
    let content = app.read_artifact(&task, attempt.unwrap_or_default(), name).await?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/x-diff; charset=utf-8")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok(send(headers, content))
}

#[derive(Debug, Serialize, ToSchema)]
struct ArtifactOf {
    /// The number of the attempt it is of.
    attempt: u32,
    #[serde(flatten)]
    artifact: Artifact,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ArtifactPage)]
struct Page {
    artifacts: Vec<ArtifactOf>,
    /// Always `null`: all of them are on one page.
    next_page_token: Option<String>,
}

/// What is kept of a task's attempts, in their order.
#[utoipa::path(
    get,
    path = "/api/tasks/{task}/artifacts",
    tag = "tasks",
    params(("task" = String, Path, description = "Id, a prefix of it, or number")),
    responses((status = OK, body = Page), BadRequest, NotFound)
)]
async fn list(State(app): State<Arc<App>>, Path(task): Path<String>) -> Result<Json<Page>, Problem> {
    let attempts = app.get(&task).await?.attempts;
    let artifacts = attempts.into_iter().flat_map(|attempt| {
        let number = attempt.entry.number;
        attempt.artifacts.into_iter().map(move |entry| ArtifactOf { attempt: number, artifact: entry.into() })
    });
    Ok(Json(Page { artifacts: artifacts.collect(), next_page_token: None }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Of a file: its path in the workspace. Of what a checkpoint has: its number. The other kinds have one each.
    #[serde(default)]
    name: String,
    /// The attempt's number; left out: the latest that has it.
    #[param(minimum = 1)]
    attempt: Option<u32>,
}

/// One of the files kept, as it was sent.
#[utoipa::path(
    get,
    path = "/api/tasks/{task}/artifacts/{kind}",
    tag = "tasks",
    params(
        ("task" = String, Path, description = "Id, a prefix of it, or number"),
        ("kind" = ArtifactKind, Path),
        Which,
    ),
    responses(
        (status = OK, body = String, content_type = "application/octet-stream"),
        BadRequest,
        NotFound,
    )
)]
async fn read(
    State(app): State<Arc<App>>,
    Path((task, kind)): Path<(String, ArtifactKind)>,
    Query(Which { name, attempt }): Query<Which>,
) -> Result<Response, Problem> {
    let name = ArtifactName::read(kind.into(), name)?;
    let file_name = name.name.clone();
    let content = app.read_artifact(&task, attempt.unwrap_or_default(), name).await?;
    // An agent wrote it: it is saved, and never shown as a page of this site.
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CONTENT_DISPOSITION, attachment(&file_name)),
    ];
    Ok(send(headers, content))
}

/// By the last part of its path, where that can stand in a header as it is.
fn attachment(name: &str) -> HeaderValue {
    let last = name.rsplit('/').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b' ');
    let named = Some(last).filter(|last| !last.is_empty() && last.bytes().all(plain));
    let header = named.and_then(|last| format!("attachment; filename=\"{last}\"").try_into().ok());
    header.unwrap_or(HeaderValue::from_static("attachment"))
}

fn send<const N: usize>(headers: [(HeaderName, HeaderValue); N], content: ArtifactContent) -> Response {
    let pieces = stream::try_unfold(content, |mut content| async move {
        let piece = content.next().await?;
        Ok::<_, crate::app::Error>(piece.map(|piece| (piece, content)))
    });
    (headers, Body::from_stream(pieces)).into_response()
}
