//! What earlier tasks learned, for this one, and what this one learns, for later ones.

use std::time::Duration;

use factory_proto::v1;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::model::{CallToolResult, RequestMetaObject};
use rmcp::{schemars, tool, tool_router};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tools;
use crate::mcp::link::Trouble;
use crate::mcp::words;

#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// What went wrong, why, and how it was mended.
    Error,
    /// A pattern or a place in the code.
    Code,
    /// What was decided, and for what reason.
    Decision,
    /// Anything else that holds here.
    Fact,
    /// What a document says, and where it is.
    Doc,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Code => "code",
            Self::Decision => "decision",
            Self::Fact => "fact",
            Self::Doc => "doc",
        }
    }
}

impl From<Kind> for v1::MemoryKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Error => Self::Error,
            Kind::Code => Self::Code,
            Kind::Decision => Self::Decision,
            Kind::Fact => Self::Fact,
            Kind::Doc => Self::Doc,
        }
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct MemorySearch {
    /// A few telling words: names, error messages, what you are about to do.
    query: String,
    /// Only these kinds; left out: all.
    #[serde(default)]
    kinds: Vec<Kind>,
    /// Also what was learned in other repositories and projects.
    #[serde(default)]
    everywhere: bool,
    /// At most so many, 1 to 50; 10 where left out.
    #[serde(default)]
    limit: Option<u32>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct MemorySave {
    kind: Kind,
    /// One thing, in a few sentences that can be understood without your conversation: what holds, where (paths,
    /// names, versions), and how you know. The words somebody would search for should be in it.
    content: String,
    /// Words to find it by, such as `["ci", "flaky"]`.
    #[serde(default)]
    tags: Vec<String>,
}

#[tool_router(router = memory, vis = "pub(super)")]
impl Tools {
    /// Search what agents and people learned in earlier tasks of this repository and project.
    ///
    /// Use it before you search for long, when something fails in a way that others may have met, and before you
    /// decide what may have been decided already. The most relevant memories are in your prompt already where there
    /// were any.
    ///
    /// Returns the memories, the most relevant first, with their age and task. They may be out of date: check what
    /// you build on.
    ///
    /// Example: {"query": "sqlite database is locked in tests", "kinds": ["error"]}
    #[tool(annotations(title = "Search memory", read_only_hint = true))]
    async fn memory_search(&self, Parameters(wanted): Parameters<MemorySearch>) -> CallToolResult {
        let request = v1::AgentMemorySearchRequest {
            attempt: self.seat.attempt(),
            query: wanted.query,
            everywhere: wanted.everywhere,
            kinds: wanted.kinds.into_iter().map(|kind| kind.name().to_owned()).collect(),
            limit: wanted.limit.unwrap_or_default(),
        };
        let found = self.seat.link().call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.memory_search(request).await }
        });
        let found = found.await;
        self.answer(found.map(|response| words::memories(&response.hits))).await
    }

    /// Save something for the agents of later tasks in this repository and project.
    ///
    /// Use it when you learned what would have spared you time: the cause of an error and its cure, where something is,
    /// how something is built or tested here, what was decided and why. Save one thing at a time, once you are sure of
    /// it. Not for what the code or its history says plainly, and not for a summary of your task: that is kept anyway.
    /// Never save secrets.
    ///
    /// Example: {"kind": "error", "content": "`cargo test -p store` hangs when TMPDIR is on NFS: SQLite cannot lock there.
    /// Set TMPDIR to a local disk.", "tags": ["tests", "sqlite"]}
    #[tool(annotations(title = "Save to memory", destructive_hint = false))]
    async fn memory_save(
        &self,
        Parameters(learned): Parameters<MemorySave>,
        meta: RequestMetaObject,
    ) -> CallToolResult {
        let save = async |key| self.save(&learned, key).await;
        let saved = self.once("memory_save", &learned, &meta, save).await;
        self.answer(saved.map(|memory| format!("Saved as memory {}.", memory.number))).await
    }
}

impl Tools {
    async fn save(&self, learned: &MemorySave, key: String) -> Result<v1::Memory, Trouble> {
        let request = v1::AgentMemorySaveRequest {
            attempt: self.seat.attempt(),
            key,
            memory: Some(v1::NewMemory {
                kind: v1::MemoryKind::from(learned.kind).into(),
                content: learned.content.clone(),
                tags: learned.tags.clone(),
                ..v1::NewMemory::default()
            }),
        };
        let saved = self.seat.link().call(Duration::ZERO, |mut agents| {
            let request = request.clone();
            async move { agents.memory_save(request).await }
        });
        saved.await?.memory.ok_or_else(|| Trouble::Refused("the answer names no memory".to_owned()))
    }
}
