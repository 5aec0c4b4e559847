//! Runs of workflows, and the steps each has come through.

use async_trait::async_trait;
use factory_domain::workflow::{Definition, WorkflowState};
use factory_domain::{
    AgentKind, BranchName, Labels, RepoSource, RevisionName, TaskId, Timestamp, WorkflowId,
};
use serde::{Deserialize, Serialize};

use super::{NewHandoff, NewTask, ResolveError, StoreError, SubmitError, Submitted};

#[async_trait]
pub trait WorkflowStore: Send + Sync {
    /// Keeps a workflow of which no step has begun. A key used before for the same wish finds that first one.
    async fn start_workflow(&self, new: NewWorkflow, now: Timestamp) -> Result<WorkflowEntry, StartError>;

    /// Finds a workflow by full id, unique id prefix or short number.
    async fn resolve_workflow(&self, name: &str) -> Result<WorkflowId, ResolveError>;

    async fn workflow(&self, id: WorkflowId) -> Result<Option<WorkflowEntry>, StoreError>;

    /// Newest first.
    async fn workflows(&self, filter: WorkflowFilter) -> Result<Vec<WorkflowEntry>, StoreError>;

    /// Those that have not ended, oldest first.
    async fn open_workflows(&self) -> Result<Vec<WorkflowId>, StoreError>;

    /// The steps so far, in their order.
    async fn workflow_steps(&self, id: WorkflowId) -> Result<Vec<StepEntry>, StoreError>;

    /// Submits a step's task, records the step and keeps its handoff, in one transaction. `None`:
    /// the workflow has gone on meanwhile, has ended, or is to end.
    async fn begin_step(&self, step: NewStep, now: Timestamp) -> Result<Option<Submitted>, SubmitError>;

    /// Records a step as passed over; `false` as with [`WorkflowStore::begin_step`].
    async fn pass_step(&self, step: PassedStep, now: Timestamp) -> Result<bool, StoreError>;

    /// Ends it in `state`, which is an ended one; `false`: it has ended already.
    async fn end_workflow(
        &self,
        id: WorkflowId,
        state: WorkflowState,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// From here on no step of it begins; `false`: it has ended.
    async fn wish_workflow_ended(&self, id: WorkflowId, now: Timestamp) -> Result<bool, StoreError>;
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("idempotency key `{key}` was used before for a different workflow, {existing}")]
    KeyReused { key: String, existing: WorkflowId },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was asked for, beside the definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowRequest {
    pub title: String,
    /// What is to be done, for the agents.
    pub description: String,
    pub repo: Option<RepoSource>,
    pub base: Option<RevisionName>,
    pub agent: AgentKind,
    pub model: Option<String>,
    pub labels: Labels,
    pub submitter: Option<String>,
    pub project: Option<String>,
    pub priority: i32,
    pub trust_repo: bool,
}

#[derive(Debug, Clone)]
pub struct NewWorkflow {
    /// Minted by the caller.
    pub id: WorkflowId,
    pub request: WorkflowRequest,
    pub definition: Definition,
    pub branch: BranchName,
    pub idempotency_key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowEntry {
    pub id: WorkflowId,
    pub number: u64,
    pub request: WorkflowRequest,
    pub definition: Definition,
    pub branch: BranchName,
    pub state: WorkflowState,
    /// Someone asked for its end.
    pub cancel_wished: bool,
    /// Of the step begun last.
    pub iteration: u32,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
pub struct WorkflowFilter {
    /// State names; empty: all.
    pub states: Vec<&'static str>,
    /// Only those with smaller numbers.
    pub before: Option<u64>,
    pub limit: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepEntry {
    pub step: usize,
    pub iteration: u32,
    pub what: StepWas,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepWas {
    Begun(TaskId),
    /// Why it was passed over.
    PassedOver(String),
}

/// The place of a step in its workflow's history; it counts only if so many came before it.
#[derive(Debug, Clone, Copy)]
pub struct StepPlace {
    pub workflow: WorkflowId,
    pub position: usize,
    pub step: usize,
    pub iteration: u32,
}

#[derive(Debug, Clone)]
pub struct NewStep {
    pub place: StepPlace,
    pub task: NewTask,
    /// From the task whose output it works on.
    pub handoff: Option<NewHandoff>,
}

#[derive(Debug, Clone)]
pub struct PassedStep {
    pub place: StepPlace,
    pub why: String,
}
