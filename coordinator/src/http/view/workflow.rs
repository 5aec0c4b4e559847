use factory_domain::workflow::{Definition, WorkflowState};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Handoff, Task, utc};
use crate::app;
use crate::library::to_toml;
use crate::store::workflow::WorkflowEntry;

/// Steps by agents, one after the other.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workflow {
    id: String,
    /// Counted from 1 over all of them.
    number: u64,
    /// Of its definition.
    name: String,
    title: String,
    description: String,
    repo: Option<String>,
    status: WorkflowStatus,
    /// Why it failed, if it did.
    failure: Option<String>,
    /// Its end was asked for; it has ended once its present step has.
    cancelling: bool,
    /// How often a loop has led back.
    iteration: u32,
    max_iterations: u32,
    /// That its steps commit to.
    branch: String,
    created_at: String,
    updated_at: String,
    ended_at: Option<String>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkflowStatus {
    Pending,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// A workflow in full.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkflowDetail {
    #[serde(flatten)]
    workflow: Workflow,
    /// What was begun or passed over so far, in order.
    steps: Vec<Step>,
    /// Oldest first.
    handoffs: Vec<Handoff>,
    /// As TOML.
    definition: String,
}

/// A step of a workflow that was begun or passed over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkflowStep)]
pub struct Step {
    /// Its place in the definition, from 0.
    step: u32,
    role: Option<String>,
    /// The name of what it makes.
    output: Option<String>,
    iteration: u32,
    /// `null`: it was passed over.
    task: Option<Task>,
    /// Why it was passed over, or what its review came to.
    detail: String,
}

impl WorkflowStatus {
    /// As the domain has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<&WorkflowState> for WorkflowStatus {
    fn from(state: &WorkflowState) -> Self {
        match state {
            WorkflowState::Pending => Self::Pending,
            WorkflowState::Running => Self::Running,
            WorkflowState::Completed => Self::Completed,
            WorkflowState::Failed { .. } => Self::Failed,
            WorkflowState::Cancelled => Self::Cancelled,
        }
    }
}

impl From<WorkflowEntry> for Workflow {
    fn from(entry: WorkflowEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            number: entry.number,
            name: entry.definition.name.to_string(),
            title: entry.request.title,
            description: entry.request.description,
            repo: entry.request.repo.map(String::from),
            status: (&entry.state).into(),
            failure: entry.state.failure().map(str::to_owned),
            cancelling: entry.cancel_wished && !entry.state.has_ended(),
            iteration: entry.iteration,
            max_iterations: entry.definition.max_iterations,
            branch: entry.branch.to_string(),
            created_at: utc(entry.started_at),
            updated_at: utc(entry.updated_at),
            ended_at: entry.ended_at.map(utc),
        }
    }
}

impl From<app::WorkflowDetail> for WorkflowDetail {
    fn from(detail: app::WorkflowDetail) -> Self {
        let definition = detail.workflow.definition.clone();
        Self {
            workflow: detail.workflow.into(),
            steps: detail.steps.into_iter().map(|step| Step::new(step, &definition)).collect(),
            handoffs: detail.handoffs.into_iter().map(Handoff::from).collect(),
            definition: to_toml(&definition),
        }
    }
}

impl Step {
    fn new(detail: app::StepDetail, definition: &Definition) -> Self {
        let step = definition.steps.get(detail.entry.step);
        Self {
            step: u32::try_from(detail.entry.step).unwrap_or(u32::MAX),
            role: step.map(|step| step.agent.to_string()),
            output: step.map(|step| step.output.to_string()),
            iteration: detail.entry.iteration,
            task: detail.task.map(|(task, waiting_for)| Task::new(task, waiting_for)),
            detail: detail.detail,
        }
    }
}
