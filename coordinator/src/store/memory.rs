//! What tasks have learned: kept, found by words and by vectors, given to those that come later.

use async_trait::async_trait;
use factory_domain::{Memory, MemoryId, MemoryKind, Scope, Timestamp};

use super::{StoreError, TaskEntry};

#[async_trait]
pub trait MemoryStore: Send + Sync {
    /// Keeps a memory, or finds the one that is kept already: under the same key, with the same
    /// words for the same repository and project, or nearly the same of the same task.
    async fn save_memory(&self, memory: NewMemory, now: Timestamp) -> Result<SavedMemory, StoreError>;

    /// Newest first.
    async fn memories(&self, filter: MemoryFilter) -> Result<Vec<MemoryEntry>, StoreError>;

    /// Those that hold any of `terms`, ranked by BM25, best first, each with its score. The terms
    /// are as [`query_terms`](factory_domain::memory::words::query_terms) gives them.
    async fn search_memories(
        &self,
        terms: Vec<String>,
        filter: MemoryFilter,
    ) -> Result<Vec<(MemoryEntry, f64)>, StoreError>;

    /// Those nearest to `query` by cosine, of the same model, nearest first. All vectors that pass
    /// the filter are looked at, up to [`MOST_COMPARED`], the newest.
    async fn nearest_memories(
        &self,
        query: Embedding,
        filter: MemoryFilter,
    ) -> Result<Vec<(MemoryEntry, f64)>, StoreError>;

    /// Memories after number `after` that have no vector of `model`, oldest first: number and content.
    async fn memories_to_embed(
        &self,
        model: String,
        after: u64,
        limit: u32,
    ) -> Result<Vec<(u64, String)>, StoreError>;

    /// Keeps the vectors of these memories, in the place of those of any other model.
    async fn keep_vectors(&self, vectors: Vec<(u64, Embedding)>) -> Result<(), StoreError>;

    /// The cursor of the feed up to which ended tasks have their summaries.
    async fn summarised_up_to(&self) -> Result<u64, StoreError>;

    /// The tasks of a repository or a project that ended, not cancelled, with events after `after`, up
    /// to `up_to`.
    async fn ended_between(&self, after: u64, up_to: u64) -> Result<Vec<TaskEntry>, StoreError>;

    /// Keeps summaries, at most one a task whatever is brought, and that all up to `up_to` have theirs.
    async fn save_summaries(
        &self,
        summaries: Vec<NewMemory>,
        up_to: u64,
        now: Timestamp,
    ) -> Result<(), StoreError>;
}

/// Vectors compared for one query. At 1,536 dimensions they are 300 MB to read: a second or so.
pub const MOST_COMPARED: u32 = 50_000;

#[derive(Debug, Clone)]
pub struct NewMemory {
    /// Minted by the caller.
    pub id: MemoryId,
    pub memory: Memory,
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Clone)]
pub struct SavedMemory {
    pub entry: MemoryEntry,
    /// It was kept before.
    pub existed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryEntry {
    pub id: MemoryId,
    pub number: u64,
    pub at: Timestamp,
    pub memory: Memory,
    pub task_number: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub struct MemoryFilter {
    pub within: Within,
    /// Empty: all.
    pub kinds: Vec<MemoryKind>,
    /// Each of them.
    pub tags: Vec<String>,
    /// For lists: only those of a task.
    pub of_tasks: bool,
    /// For lists: only smaller numbers, which is where the page before ended.
    pub before: Option<u64>,
    pub limit: u32,
}

/// Which memories are looked at.
#[derive(Debug, Clone)]
pub enum Within {
    /// Of this repository and this project; where one is not given, of all.
    Named(Scope),
    /// What a task of this scope may be told: of its repository or its project and of no other, and
    /// what belongs to neither, which is for all.
    For(Scope),
}

impl Default for Within {
    fn default() -> Self {
        Self::Named(Scope::default())
    }
}

/// A text as a point, by one model. Of unit length, so that a cosine is a product.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    pub model: String,
    pub vector: Vec<f32>,
}
