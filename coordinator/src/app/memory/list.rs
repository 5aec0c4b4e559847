//! Memories in pages, newest first.

use factory_domain::MemoryKind;

use crate::app::page::Page;
use crate::app::{App, Error};
use crate::store::{MemoryEntry, MemoryFilter, Within};

#[derive(Debug, Default)]
pub struct MemoryListRequest {
    /// Empty: all.
    pub kinds: Vec<MemoryKind>,
    pub repo: String,
    pub project: String,
    pub tags: Vec<String>,
    pub of_tasks: bool,
    /// 0: the default.
    pub page_size: u32,
    /// Empty: the first page.
    pub page_token: String,
}

#[derive(Debug)]
pub struct MemoryPage {
    pub memories: Vec<MemoryEntry>,
    /// Empty on the last page.
    pub next_page_token: String,
}

impl App {
    pub async fn list_memories(&self, request: MemoryListRequest) -> Result<MemoryPage, Error> {
        let within = Within::Named(self.named_scope(&request.repo, request.project)?);
        let filters = (&within, &request.kinds, &request.tags, request.of_tasks);
        let page = Page::read(request.page_size, &request.page_token, &filters)?;
        let filter = MemoryFilter {
            within,
            kinds: request.kinds,
            tags: request.tags,
            of_tasks: request.of_tasks,
            before: page.before,
            limit: page.limit(),
        };
        let mut memories = self.store.memories(filter).await?;
        let next_page_token =
            page.cut(&mut memories, |entry| entry.memory.content.len(), |entry| entry.number);
        Ok(MemoryPage { memories, next_page_token })
    }
}
