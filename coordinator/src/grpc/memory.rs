//! `MemoryService`.

use std::sync::Arc;

use factory_domain::MemoryDraft;
use factory_proto::convert::memory_kinds;
use factory_proto::v1;
use factory_proto::v1::memory_service_server::MemoryService;
use tonic::{Request, Response, Status};

use crate::app::{App, Error, Learned, MemoryListRequest, MemoryQuery};
use crate::store::MemoryEntry;

pub struct Memories(pub Arc<App>);

#[tonic::async_trait]
impl MemoryService for Memories {
    async fn save(
        &self,
        request: Request<v1::SaveMemoryRequest>,
    ) -> Result<Response<v1::SaveMemoryResponse>, Status> {
        let v1::SaveMemoryRequest { memory, idempotency_key } = request.into_inner();
        let (learned, task) = learned(memory, idempotency_key)?;
        let entry = self.0.save_memory(learned, &task).await?.thing;
        Ok(Response::new(v1::SaveMemoryResponse { memory: Some(view(entry)) }))
    }

    async fn search(
        &self,
        request: Request<v1::SearchMemoryRequest>,
    ) -> Result<Response<v1::SearchMemoryResponse>, Status> {
        let v1::SearchMemoryRequest { query, repo, project, kinds, tags, limit } = request.into_inner();
        let kinds = memory_kinds(&kinds).map_err(Error::from)?;
        let query = MemoryQuery { query, repo, project, kinds, tags, limit };
        let ranked = self.0.search_memories(query).await?;
        let hits = ranked.hits.into_iter().map(hit).collect();
        Ok(Response::new(v1::SearchMemoryResponse { hits, ranking: ranked.ranking.to_owned() }))
    }

    async fn list(
        &self,
        request: Request<v1::ListMemoryRequest>,
    ) -> Result<Response<v1::ListMemoryResponse>, Status> {
        let v1::ListMemoryRequest { kinds, repo, project, tags, page_size, page_token, of_tasks } =
            request.into_inner();
        let kinds = memory_kinds(&kinds).map_err(Error::from)?;
        let request = MemoryListRequest { kinds, repo, project, tags, of_tasks, page_size, page_token };
        let page = self.0.list_memories(request).await?;
        Ok(Response::new(v1::ListMemoryResponse {
            memories: page.memories.into_iter().map(view).collect(),
            next_page_token: page.next_page_token,
        }))
    }
}

/// A memory that someone gives, and the name of its task.
pub(super) fn learned(memory: Option<v1::NewMemory>, key: String) -> Result<(Learned, String), Error> {
    let memory = memory.ok_or_else(|| Error::invalid("memory", "is missing"))?;
    let kind = memory.kind().into();
    let v1::NewMemory { content, tags, repo, project, role, task, .. } = memory;
    Ok((Learned { draft: MemoryDraft { kind, content, tags, repo, project, role }, key }, task))
}

pub(super) fn hit((entry, score): (MemoryEntry, f64)) -> v1::MemoryHit {
    v1::MemoryHit { memory: Some(view(entry)), score }
}

pub(super) fn view(entry: MemoryEntry) -> v1::Memory {
    let memory = entry.memory;
    v1::Memory {
        id: entry.id.to_string(),
        number: entry.number,
        at_ms: entry.at.as_millis(),
        kind: v1::MemoryKind::from(memory.kind).into(),
        content: memory.content,
        tags: memory.tags.into_iter().collect(),
        repo: memory.scope.repo.map(String::from).unwrap_or_default(),
        project: memory.scope.project.unwrap_or_default(),
        role: memory.role.map(String::from).unwrap_or_default(),
        task_id: memory.task.map(|task| task.to_string()).unwrap_or_default(),
        task_number: entry.task_number.unwrap_or_default(),
        is_summary: memory.is_summary,
    }
}
