//! Memories as JSON.

use factory_domain::MemoryKind;
use factory_proto::v1;
use serde::Serialize;

use super::some;
use crate::render::units::rfc3339;

#[derive(Debug, Serialize)]
pub struct MemoryView<'m> {
    id: &'m str,
    number: u64,
    at: Option<String>,
    kind: MemoryKind,
    content: &'m str,
    tags: &'m [String],
    repo: Option<&'m str>,
    project: Option<&'m str>,
    role: Option<&'m str>,
    task_id: Option<&'m str>,
    task_number: Option<u64>,
    is_summary: bool,
}

impl<'m> From<&'m v1::Memory> for MemoryView<'m> {
    fn from(memory: &'m v1::Memory) -> Self {
        Self {
            id: &memory.id,
            number: memory.number,
            at: rfc3339(memory.at_ms),
            kind: memory.kind().into(),
            content: &memory.content,
            tags: &memory.tags,
            repo: some(&memory.repo),
            project: some(&memory.project),
            role: some(&memory.role),
            task_id: some(&memory.task_id),
            task_number: (memory.task_number > 0).then_some(memory.task_number),
            is_summary: memory.is_summary,
        }
    }
}

/// A memory that was found.
#[derive(Debug, Serialize)]
pub struct MemoryHitView<'m> {
    #[serde(flatten)]
    memory: MemoryView<'m>,
    /// Greater is better; comparable within one answer only.
    score: f64,
    /// `bm25` or `hybrid`.
    ranking: &'m str,
}

impl<'m> MemoryHitView<'m> {
    pub fn of(hit: &'m v1::MemoryHit, ranking: &'m str) -> Option<Self> {
        Some(Self { memory: hit.memory.as_ref()?.into(), score: hit.score, ranking })
    }
}
