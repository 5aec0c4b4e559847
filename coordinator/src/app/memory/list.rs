//! Memories in pages, newest first.

use factory_domain::MemoryKind;

use super::search::named;
use crate::app::{App, Error};
use crate::store::{MemoryEntry, MemoryFilter, Within};

const DEFAULT_PAGE: u32 = 50;
const MAX_PAGE: u32 = 500;
/// Bytes of the texts on one page, about: it fits into one message.
const MAX_BYTES: usize = 2 * 1024 * 1024;

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
        let size = match request.page_size {
            0 => DEFAULT_PAGE,
            size if size <= MAX_PAGE => size,
            size => return Err(Error::invalid("page_size", format!("is {size}; at most {MAX_PAGE}"))),
        };
        // The number the page before ended with: right whatever the filters are.
        let before = match request.page_token.as_str() {
            "" => None,
            token => {
                Some(token.parse().map_err(|_| Error::invalid("page_token", "is not from an earlier page"))?)
            }
        };
        let filter = MemoryFilter {
            within: Within::Named(named(&request.repo, request.project)?),
            kinds: request.kinds,
            tags: request.tags,
            of_tasks: request.of_tasks,
            before,
            limit: size + 1,
        };
        let mut memories = self.store.memories(filter).await?;
        let fitting = how_many_fit(&memories).min(size as usize);
        let more = memories.len() > fitting;
        memories.truncate(fitting);
        let next_page_token = match memories.last() {
            Some(last) if more => last.number.to_string(),
            _ => String::new(),
        };
        Ok(MemoryPage { memories, next_page_token })
    }
}

/// One at least, so that a list comes to its end.
fn how_many_fit(memories: &[MemoryEntry]) -> usize {
    let mut bytes = 0;
    let fitting = memories.iter().take_while(|entry| {
        bytes += entry.memory.content.len();
        bytes <= MAX_BYTES
    });
    fitting.count().max(1)
}
