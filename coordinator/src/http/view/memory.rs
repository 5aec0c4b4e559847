use factory_domain as domain;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::utc;
use crate::store::MemoryEntry;

/// What one task has learned, for others.
#[derive(Debug, Serialize, ToSchema)]
pub struct Memory {
    id: String,
    /// Counted from 1 over all of them.
    number: u64,
    at: String,
    kind: MemoryKind,
    content: String,
    tags: Vec<String>,
    /// Whose it is: of a repository, a project or both; of neither, everyone's.
    repo: Option<String>,
    project: Option<String>,
    /// Of the agent that learned it.
    role: Option<String>,
    task_id: Option<String>,
    task_number: Option<u64>,
    /// Written by the coordinator at the task's end.
    is_summary: bool,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKind {
    Error,
    Code,
    Decision,
    Fact,
    Doc,
}

/// A memory that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemoryHit {
    memory: Memory,
    /// Greater is better; it says nothing beyond one answer.
    score: f64,
}

impl From<MemoryKind> for domain::MemoryKind {
    fn from(kind: MemoryKind) -> Self {
        match kind {
            MemoryKind::Error => Self::Error,
            MemoryKind::Code => Self::Code,
            MemoryKind::Decision => Self::Decision,
            MemoryKind::Fact => Self::Fact,
            MemoryKind::Doc => Self::Doc,
        }
    }
}

impl From<domain::MemoryKind> for MemoryKind {
    fn from(kind: domain::MemoryKind) -> Self {
        match kind {
            domain::MemoryKind::Error => Self::Error,
            domain::MemoryKind::Code => Self::Code,
            domain::MemoryKind::Decision => Self::Decision,
            domain::MemoryKind::Fact => Self::Fact,
            domain::MemoryKind::Doc => Self::Doc,
        }
    }
}

impl From<MemoryEntry> for Memory {
    fn from(entry: MemoryEntry) -> Self {
        let memory = entry.memory;
        Self {
            id: entry.id.to_string(),
            number: entry.number,
            at: utc(entry.at),
            kind: memory.kind.into(),
            content: memory.content,
            tags: memory.tags.into_iter().collect(),
            repo: memory.scope.repo.map(String::from),
            project: memory.scope.project,
            role: memory.role.map(String::from),
            task_id: memory.task.map(|task| task.to_string()),
            task_number: entry.task_number,
            is_summary: memory.is_summary,
        }
    }
}

impl From<(MemoryEntry, f64)> for MemoryHit {
    fn from((entry, score): (MemoryEntry, f64)) -> Self {
        Self { memory: entry.into(), score }
    }
}
