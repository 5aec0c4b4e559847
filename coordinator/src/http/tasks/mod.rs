//! Tasks.

mod body;
mod files;
mod log;
mod moves;
mod submit;
mod tag;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use factory_domain::Labels;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, Query, page_size};
use super::problem::{BadRequest, NotFound, Problem};
use super::view::{State as StateName, Status, Task, TaskDetail};
use crate::app::{App, Error, ListRequest};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, submit::submit))
        .routes(routes!(get))
        .merge(moves::routes())
        .merge(log::routes())
        .merge(files::routes())
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// In one of these, by five names: separated by commas, or given several times.
    #[serde(default)]
    #[param(value_type = Vec<Status>)]
    status: Vec<String>,
    /// In one of these states: likewise.
    #[serde(default)]
    #[param(value_type = Vec<StateName>)]
    state: Vec<String>,
    /// Of this repository, by its name or however it is written.
    repo: Option<String>,
    /// Of this role.
    agent_type: Option<String>,
    /// With this label, `KEY=VALUE`; with every one, where there are several.
    #[serde(default)]
    label: Vec<String>,
    /// Submitted for this task: id, a prefix of it, or number.
    parent: Option<String>,
    /// Steps of this workflow: id, a prefix of it, or number.
    workflow: Option<String>,
    /// Words, "phrases" and beginnings* that title, prompt, branch or issue must have, all of them.
    search: Option<String>,
    /// 50 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// From an earlier page with the same filters.
    #[serde(default)]
    page_token: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskPage)]
struct Page {
    /// Without their descriptions.
    tasks: Vec<Task>,
    /// `null` on the last page.
    next_page_token: Option<String>,
}

/// Tasks, newest first, in pages.
#[utoipa::path(
    get,
    path = "/api/tasks",
    tag = "tasks",
    params(Wanted),
    responses((status = OK, body = Page), BadRequest, NotFound)
)]
async fn list(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    let Some(request) = wanted.read()? else {
        return Ok(Json(Page { tasks: Vec::new(), next_page_token: None }));
    };
    let page = app.list(request).await?;
    Ok(Json(Page {
        tasks: page.tasks.into_iter().map(|(task, waiting_for)| Task::new(task, waiting_for)).collect(),
        next_page_token: Some(page.next_page_token).filter(|token| !token.is_empty()),
    }))
}

impl Wanted {
    /// `None`: what is asked for contradicts itself, and nothing is both.
    fn read(self) -> Result<Option<ListRequest>, Problem> {
        let by_status = read_all(&self.status, "status", Status::ALL, |status| status.as_str())?;
        let by_state = read_all(&self.state, "state", StateName::ALL, |state| state.as_str())?;
        let mut states: Vec<&'static str> = by_state.iter().map(|state| state.as_str()).collect();
        if !by_status.is_empty() {
            let of_status = by_status.iter().flat_map(|status| status.states()).map(|state| state.as_str());
            states = of_status.filter(|name| states.is_empty() || states.contains(name)).collect();
            if states.is_empty() {
                return Ok(None);
            }
        }
        let mut labels = Labels::default();
        for label in self.label {
            let (key, value) = label
                .split_once('=')
                .ok_or_else(|| Error::invalid("label", format!("`{label}` is not of the form KEY=VALUE")))?;
            labels
                .insert(key.to_owned(), value.to_owned())
                .map_err(|error| Error::invalid("label", error))?;
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Some(ListRequest {
            states,
            repo: given(self.repo),
            labels,
            role: given(self.agent_type),
            session: None,
            parent: given(self.parent),
            workflow: given(self.workflow),
            search: given(self.search),
            page_size: page_size(self.limit)?,
            page_token: self.page_token,
        }))
    }
}

/// Those of `all` that are named; each once.
fn read_all<T: Copy + PartialEq, const N: usize>(
    sent: &[String],
    field: &str,
    all: [T; N],
    name_of: impl Fn(T) -> &'static str,
) -> Result<Vec<T>, Problem> {
    let mut found = Vec::new();
    for name in sent.iter().flat_map(|list| list.split(',')).filter(|name| !name.is_empty()) {
        let one = all.into_iter().find(|one| name_of(*one) == name).ok_or_else(|| {
            let names: Vec<_> = all.into_iter().map(&name_of).collect();
            Error::invalid(field, format!("`{name}` is none of {}", names.join(", ")))
        })?;
        if !found.contains(&one) {
            found.push(one);
        }
    }
    Ok(found)
}

/// One task in full, with its attempts.
///
/// The answer's `ETag` changes with what is said of the task, though not with `cursor`: sent back as
/// `If-None-Match`, it spares the answer while that is the same.
#[utoipa::path(
    get,
    path = "/api/tasks/{task}",
    tag = "tasks",
    params(
        ("task" = String, Path, description = "Id, a prefix of it, or number"),
        ("If-None-Match" = Option<String>, Header, description = "`ETag` of an earlier answer"),
    ),
    responses(
        (status = OK, body = TaskDetail, headers(("ETag" = String))),
        (status = NOT_MODIFIED, description = "It is as it was."),
        BadRequest,
        NotFound,
    )
)]
async fn get(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let detail = TaskDetail::from(app.get(&task).await?);
    tag::answer(&headers, &detail)
}
