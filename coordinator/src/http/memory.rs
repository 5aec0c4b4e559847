//! What tasks have learned, for others.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use factory_domain::MemoryDraft;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Query, page_size};
use super::made::Made;
use super::name::Name;
use super::problem::{BadJson, BadRequest, DiskFull, NotFound, Problem};
use super::view::{Memory, MemoryHit, MemoryKind};
use crate::app::{App, Learned, MemoryListRequest, MemoryQuery};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(save, list)).routes(routes!(search))
}

/// What is sent to remember something. What it does not say of itself is its task's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMemory {
    kind: MemoryKind,
    content: String,
    tags: Option<Vec<String>>,
    repo: Option<String>,
    project: Option<String>,
    role: Option<String>,
    /// The task that it was learned in.
    task_id: Option<Name>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Of this kind only. May be given several times.
    #[serde(default)]
    kind: Vec<MemoryKind>,
    /// Of this repository only.
    #[serde(default)]
    repo: String,
    #[serde(default)]
    project: String,
    /// With this tag; with every one, where there are several.
    #[serde(default)]
    tag: Vec<String>,
    /// Those alone that come from tasks.
    #[serde(default)]
    of_tasks: bool,
    /// 50 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// From an earlier page with the same filters.
    #[serde(default)]
    page_token: String,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Searched {
    /// What to look for.
    q: String,
    /// Of this kind only. May be given several times.
    #[serde(default)]
    kind: Vec<MemoryKind>,
    /// Of this repository only.
    #[serde(default)]
    repo: String,
    #[serde(default)]
    project: String,
    /// With this tag; with every one, where there are several.
    #[serde(default)]
    tag: Vec<String>,
    /// 10 when left out.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemoryPage)]
struct Page {
    memories: Vec<Memory>,
    /// `null` on the last page.
    next_page_token: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MemoriesFound)]
struct Found {
    /// Best first.
    hits: Vec<MemoryHit>,
    /// bm25: by words; hybrid: by meaning too.
    ranking: &'static str,
}

/// Remember something. The same is not kept twice.
#[utoipa::path(
    post,
    path = "/api/memory",
    tag = "memory",
    params(IdempotencyKey),
    request_body = NewMemory,
    responses(
        (status = CREATED, body = Memory, description = "It is kept", headers(("Location" = String))),
        (status = OK, body = Memory, description = "It was kept before", headers(("Location" = String))),
        BadRequest, NotFound, BadJson, DiskFull
    )
)]
async fn save(
    State(app): State<Arc<App>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewMemory>,
) -> Result<Made<Memory>, Problem> {
    let draft = MemoryDraft {
        kind: new.kind.into(),
        content: new.content,
        tags: new.tags.unwrap_or_default(),
        repo: new.repo.unwrap_or_default(),
        project: new.project.unwrap_or_default(),
        role: new.role.unwrap_or_default(),
    };
    let saved = app.save_memory(Learned { draft, key }, &Name::or_empty(new.task_id)).await;
    let saved = saved.map_err(|error| Problem::of_body(error, "memory."))?;
    Ok(Made { at: "/api/memory".to_owned(), existed: saved.existed, view: saved.thing.into() })
}

/// Memories, newest first, in pages.
#[utoipa::path(
    get,
    path = "/api/memory",
    tag = "memory",
    params(Wanted),
    responses((status = OK, body = Page), BadRequest)
)]
async fn list(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    let request = MemoryListRequest {
        kinds: wanted.kind.into_iter().map(Into::into).collect(),
        repo: wanted.repo,
        project: wanted.project,
        tags: wanted.tag,
        of_tasks: wanted.of_tasks,
        page_size: page_size(wanted.limit)?,
        page_token: wanted.page_token,
    };
    let page = app.list_memories(request).await?;
    let memories = page.memories.into_iter().map(Memory::from).collect();
    let next_page_token = Some(page.next_page_token).filter(|token| !token.is_empty());
    Ok(Json(Page { memories, next_page_token }))
}

/// Memories by what they say, best first.
#[utoipa::path(
    get,
    path = "/api/memory/search",
    tag = "memory",
    params(Searched),
    responses((status = OK, body = Found), BadRequest)
)]
async fn search(State(app): State<Arc<App>>, Query(wanted): Query<Searched>) -> Result<Json<Found>, Problem> {
    let query = MemoryQuery {
        query: wanted.q,
        repo: wanted.repo,
        project: wanted.project,
        kinds: wanted.kind.into_iter().map(Into::into).collect(),
        tags: wanted.tag,
        limit: page_size(wanted.limit)?,
    };
    let found = app.search_memories(query).await.map_err(|error| Problem::renamed(error, "query", "q"))?;
    Ok(Json(Found { hits: found.hits.into_iter().map(MemoryHit::from).collect(), ranking: found.ranking }))
}
