//! What programs read: the wire's messages as JSON, snake_case, times in
//! RFC 3339, and nothing where nothing is known.

mod batch;
mod board;
mod library;
mod memory;
mod question;
mod repo;
mod report;
mod stream;
mod task;
mod worker;
mod workflow;

use std::collections::{BTreeMap, HashMap};

pub use batch::{BatchTaskView, PlannedView};
pub use board::{HandoffView, MessageView};
pub use library::{ProblemView, RoleView, TemplateView};
pub use memory::{MemoryHitView, MemoryView};
pub use question::QuestionView;
pub use repo::{CopyView, RepoView, SyncFailureView, WorktreeView};
pub use report::{CommitView, DiffStatView, ReportView};
pub use stream::{EndedView, EventView, LogLineView, stream_name};
pub use task::{ArtifactView, AttemptView, SubmittedView, TaskInFull, TaskView};
pub use worker::{WorkerInFull, WorkerView};
pub use workflow::{DefinitionView, WorkflowInFull, WorkflowView};

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn pairs(map: &HashMap<String, String>) -> BTreeMap<&str, &str> {
    map.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}
