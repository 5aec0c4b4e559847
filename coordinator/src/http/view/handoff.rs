use serde::Serialize;
use utoipa::ToSchema;

use super::utc;
use crate::store::{HandoffEntry, HandoffTo};

/// What one task gives another.
#[derive(Debug, Serialize, ToSchema)]
pub struct Handoff {
    id: String,
    /// Counted from 1 over all of them.
    number: u64,
    at: String,
    from_task_id: String,
    from_task_number: u64,
    from_task_title: String,
    /// Where an agent gave it.
    from_attempt_id: Option<String>,
    from_role: Option<String>,
    /// Neither a task nor a role: it is for whatever depends on the task it comes from.
    to_task_id: Option<String>,
    to_task_number: Option<u64>,
    to_role: Option<String>,
    workflow_id: Option<String>,
    /// Of the workflow.
    iteration: Option<u32>,
    /// In Markdown.
    context: String,
    /// Paths and names.
    artifacts: Vec<String>,
    branch: Option<String>,
}

impl From<HandoffEntry> for Handoff {
    fn from(entry: HandoffEntry) -> Self {
        let (to_task_id, to_role) = match entry.to {
            HandoffTo::Task(task) => (Some(task.to_string()), None),
            HandoffTo::Role(role) => (None, Some(role.into())),
            HandoffTo::Dependents => (None, None),
        };
        let (workflow, iteration) = entry.workflow.unzip();
        Self {
            id: entry.id.to_string(),
            number: entry.number,
            at: utc(entry.at),
            from_task_id: entry.from.id.to_string(),
            from_task_number: entry.from.number,
            from_task_title: entry.from_title,
            from_attempt_id: entry.from_attempt.map(|attempt| attempt.to_string()),
            from_role: entry.from_role,
            to_task_id,
            to_task_number: entry.to_number,
            to_role,
            workflow_id: workflow.map(|workflow| workflow.to_string()),
            iteration,
            context: entry.context,
            artifacts: entry.artifacts,
            branch: entry.branch,
        }
    }
}
