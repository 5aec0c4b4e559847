//! What is answered. One set of views: REST sends them as JSON, and pages are rendered from them.
//!
//! Times are RFC 3339 in UTC. What there is not is `null`.

mod agent;
mod artifact;
mod event;
mod handoff;
mod library;
mod log;
mod memory;
mod message;
mod question;
mod repo;
mod state;
mod stats;
mod task;
mod worker;
mod workflow;

use factory_domain::Timestamp;

pub use agent::RunningAgent;
pub use artifact::{Artifact, ArtifactKind};
pub use event::Event;
pub use handoff::Handoff;
pub use library::{Placeholder, Role, Template};
pub use log::{Line, LineReader, LogCursor};
pub use memory::{Memory, MemoryHit, MemoryKind};
pub use message::{Message, MessageType};
pub use question::Question;
pub use repo::{Repo, RepoCopy, Worktree};
pub use state::{State, Status};
pub use stats::Stats;
pub use task::{Task, TaskDetail};
pub use worker::{Worker, WorkerDetail};
pub use workflow::{Workflow, WorkflowDetail, WorkflowStatus};

/// As RFC 3339 has it.
pub fn utc(time: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(time.as_millis()).map(|time| time.to_string()).unwrap_or_default()
}
