//! `WorkflowService`.

use std::sync::Arc;

use factory_domain::Timestamp;
use factory_domain::workflow::WorkflowState;
use factory_proto::v1;
use factory_proto::v1::workflow_service_server::WorkflowService;
use tonic::{Request, Response, Status};

use super::board::handoff_view;
use super::view;
use crate::app::{App, Error, StepDetail, WantedWorkflow, WorkflowsRequest};
use crate::library::{Found, to_toml};
use crate::store::workflow::WorkflowEntry;

pub struct Workflows(pub Arc<App>);

#[tonic::async_trait]
impl WorkflowService for Workflows {
    async fn start(
        &self,
        request: Request<v1::StartWorkflowRequest>,
    ) -> Result<Response<v1::StartWorkflowResponse>, Status> {
        let started = self.0.start_workflow(wanted(request.into_inner())).await?;
        Ok(Response::new(v1::StartWorkflowResponse { workflow: Some(workflow_view(started.thing)) }))
    }

    async fn get(
        &self,
        request: Request<v1::GetWorkflowRequest>,
    ) -> Result<Response<v1::GetWorkflowResponse>, Status> {
        let detail = self.0.workflow(&request.into_inner().workflow).await?;
        let definition = detail.workflow.definition.clone();
        let step = |step: StepDetail| step_view(step, &definition);
        Ok(Response::new(v1::GetWorkflowResponse {
            steps: detail.steps.into_iter().map(step).collect(),
            handoffs: detail.handoffs.into_iter().map(handoff_view).collect(),
            definition: to_toml(&definition),
            workflow: Some(workflow_view(detail.workflow)),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListWorkflowsRequest>,
    ) -> Result<Response<v1::ListWorkflowsResponse>, Status> {
        let v1::ListWorkflowsRequest { states, page_size, page_token } = request.into_inner();
        let states = states.into_iter().map(state_name).collect::<Result<_, Error>>()?;
        let page = self.0.workflows(WorkflowsRequest { states, page_size, page_token }).await?;
        Ok(Response::new(v1::ListWorkflowsResponse {
            workflows: page.workflows.into_iter().map(workflow_view).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelWorkflowRequest>,
    ) -> Result<Response<v1::CancelWorkflowResponse>, Status> {
        let cancelled = self.0.cancel_workflow(&request.into_inner().workflow).await?;
        Ok(Response::new(v1::CancelWorkflowResponse { workflow: Some(workflow_view(cancelled)) }))
    }

    async fn list_definitions(
        &self,
        _request: Request<v1::ListWorkflowDefinitionsRequest>,
    ) -> Result<Response<v1::ListWorkflowDefinitionsResponse>, Status> {
        let shelf = self.0.shelf().await?;
        let definitions = shelf.workflows().map(definition_view).collect();
        Ok(Response::new(v1::ListWorkflowDefinitionsResponse { definitions }))
    }
}

fn wanted(request: v1::StartWorkflowRequest) -> WantedWorkflow {
    let mut labels: Vec<_> = request.labels.into_iter().collect();
    labels.sort();
    WantedWorkflow {
        name: request.name,
        definition: request.definition,
        title: request.title,
        description: request.description,
        repo: request.repo,
        base: request.base,
        agent: request.agent,
        model: request.model,
        max_iterations: request.max_iterations,
        labels,
        submitter: request.submitter,
        project: request.project,
        idempotency_key: request.idempotency_key,
        priority: request.priority,
        trust_repo: request.trust_repo,
    }
}

fn state_name(number: i32) -> Result<&'static str, Error> {
    Ok(match v1::WorkflowState::try_from(number) {
        Ok(v1::WorkflowState::Pending) => "pending",
        Ok(v1::WorkflowState::Running) => "running",
        Ok(v1::WorkflowState::Completed) => "completed",
        Ok(v1::WorkflowState::Failed) => "failed",
        Ok(v1::WorkflowState::Cancelled) => "cancelled",
        Ok(v1::WorkflowState::Unspecified) | Err(_) => {
            return Err(Error::invalid("states", format!("{number} is not a state")));
        }
    })
}

fn workflow_view(entry: WorkflowEntry) -> v1::Workflow {
    let millis = |time: Option<Timestamp>| time.map_or(0, Timestamp::as_millis);
    let state = match &entry.state {
        WorkflowState::Pending => v1::WorkflowState::Pending,
        WorkflowState::Running => v1::WorkflowState::Running,
        WorkflowState::Completed => v1::WorkflowState::Completed,
        WorkflowState::Failed { .. } => v1::WorkflowState::Failed,
        WorkflowState::Cancelled => v1::WorkflowState::Cancelled,
    };
    v1::Workflow {
        id: entry.id.to_string(),
        number: entry.number,
        name: entry.definition.name.to_string(),
        title: entry.request.title,
        description: entry.request.description,
        repo: entry.request.repo.map(String::from).unwrap_or_default(),
        state: state.into(),
        failure: entry.state.failure().unwrap_or_default().to_owned(),
        iteration: entry.iteration,
        max_iterations: entry.definition.max_iterations,
        started_at_ms: entry.started_at.as_millis(),
        updated_at_ms: entry.updated_at.as_millis(),
        ended_at_ms: millis(entry.ended_at),
        branch: entry.branch.to_string(),
    }
}

fn step_view(detail: StepDetail, definition: &factory_domain::workflow::Definition) -> v1::StepRun {
    let step = definition.steps.get(detail.entry.step);
    v1::StepRun {
        step: u32::try_from(detail.entry.step).unwrap_or(u32::MAX),
        role: step.map(|step| step.agent.to_string()).unwrap_or_default(),
        output: step.map(|step| step.output.to_string()).unwrap_or_default(),
        iteration: detail.entry.iteration,
        task: detail.task.map(|(task, waiting_for)| view::task(task, waiting_for)),
        detail: detail.detail,
    }
}

fn definition_view(found: &Found) -> v1::WorkflowDefinition {
    v1::WorkflowDefinition {
        name: found.definition.name.to_string(),
        description: found.definition.description.clone(),
        text: to_toml(&found.definition),
        source: found.source.clone(),
    }
}
