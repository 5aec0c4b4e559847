//! Workflows as JSON.

use factory_proto::v1;
use serde::Serialize;

use super::some;
use crate::render::{units, workflow};

#[derive(Debug, Serialize)]
pub struct WorkflowView<'w> {
    id: &'w str,
    number: u64,
    name: &'w str,
    title: &'w str,
    description: &'w str,
    repo: Option<&'w str>,
    state: &'static str,
    failure: Option<&'w str>,
    iteration: u32,
    max_iterations: u32,
    started_at: Option<String>,
    ended_at: Option<String>,
    branch: &'w str,
}

impl<'w> From<&'w v1::Workflow> for WorkflowView<'w> {
    fn from(found: &'w v1::Workflow) -> Self {
        let time = |ms: i64| if ms == 0 { None } else { units::rfc3339(ms) };
        Self {
            id: &found.id,
            number: found.number,
            name: &found.name,
            title: &found.title,
            description: &found.description,
            repo: some(&found.repo),
            state: workflow::state_name(found.state()),
            failure: some(&found.failure),
            iteration: found.iteration,
            max_iterations: found.max_iterations,
            started_at: time(found.started_at_ms),
            ended_at: time(found.ended_at_ms),
            branch: &found.branch,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct WorkflowInFull<'w> {
    #[serde(flatten)]
    workflow: Option<WorkflowView<'w>>,
    steps: Vec<StepView<'w>>,
    handoffs: Vec<StepHandoffView<'w>>,
    /// As TOML.
    definition: &'w str,
}

#[derive(Debug, Serialize)]
struct StepView<'w> {
    /// Counted from 0, in the order of the definition.
    step: u32,
    iteration: u32,
    role: &'w str,
    output: &'w str,
    task: Option<&'w str>,
    task_number: Option<u64>,
    state: &'static str,
    detail: Option<&'w str>,
}

#[derive(Debug, Serialize)]
struct StepHandoffView<'w> {
    number: u64,
    iteration: u32,
    from_task: &'w str,
    to_task: &'w str,
    context: &'w str,
    branch: Option<&'w str>,
}

impl<'w> From<&'w v1::GetWorkflowResponse> for WorkflowInFull<'w> {
    fn from(found: &'w v1::GetWorkflowResponse) -> Self {
        Self {
            workflow: found.workflow.as_ref().map(WorkflowView::from),
            steps: found.steps.iter().map(StepView::from).collect(),
            handoffs: found.handoffs.iter().map(StepHandoffView::from).collect(),
            definition: &found.definition,
        }
    }
}

impl<'w> From<&'w v1::StepRun> for StepView<'w> {
    fn from(run: &'w v1::StepRun) -> Self {
        Self {
            step: run.step,
            iteration: run.iteration,
            role: &run.role,
            output: &run.output,
            task: run.task.as_ref().map(|task| task.id.as_str()),
            task_number: run.task.as_ref().map(|task| task.number),
            state: run.task.as_ref().map_or("passed_over", |task| task.state().name()),
            detail: some(&run.detail),
        }
    }
}

impl<'w> From<&'w v1::Handoff> for StepHandoffView<'w> {
    fn from(handoff: &'w v1::Handoff) -> Self {
        Self {
            number: handoff.number,
            iteration: handoff.iteration,
            from_task: &handoff.from_task_id,
            to_task: &handoff.to_task_id,
            context: &handoff.context,
            branch: some(&handoff.branch),
        }
    }
}

#[derive(Debug, Serialize)]
pub struct DefinitionView<'d> {
    name: &'d str,
    description: &'d str,
    /// As TOML.
    text: &'d str,
    source: &'d str,
}

impl<'d> From<&'d v1::WorkflowDefinition> for DefinitionView<'d> {
    fn from(found: &'d v1::WorkflowDefinition) -> Self {
        Self { name: &found.name, description: &found.description, text: &found.text, source: &found.source }
    }
}
