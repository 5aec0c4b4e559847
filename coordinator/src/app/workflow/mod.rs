//! Workflows: starting one, looking at it, ending it. What moves it on is in [`advance`].

mod advance;
mod going;
mod step;

use factory_domain::workflow::Definition;
use factory_domain::{BranchName, Deliver, SpecDraft, TaskSpec, WorkflowId};
use uuid::Uuid;

use super::page::Page;
use super::{App, Error, FieldViolation, Once};
use crate::library::{Problem, Shelf};
use crate::store::workflow::{
    NewWorkflow, StartError, StepEntry, WorkflowEntry, WorkflowFilter, WorkflowRequest,
};
use crate::store::{HandoffEntry, HandoffFilter, ResolveError, TaskEntry};
pub(super) use going::Going;

/// Bytes of an idempotency key.
const MAX_KEY: usize = 200;
const MAX_ITERATIONS: u32 = 100;
/// Handoffs shown of one workflow; it has at most one a step.
const MOST_HANDOFFS: u32 = 1000;

/// A workflow as it was asked for.
#[derive(Debug, Default)]
pub struct WantedWorkflow {
    /// Of a definition in the library, or, with `definition`, of one of several in it.
    pub name: String,
    /// TOML or YAML; empty: the library's.
    pub definition: String,
    pub title: String,
    pub description: String,
    pub repo: String,
    pub base: String,
    pub agent: String,
    pub model: String,
    /// 0: as the definition says.
    pub max_iterations: u32,
    pub labels: Vec<(String, String)>,
    pub submitter: String,
    pub project: String,
    pub idempotency_key: String,
    pub priority: i32,
    pub trust_repo: bool,
}

#[derive(Debug)]
pub struct WorkflowDetail {
    pub workflow: WorkflowEntry,
    pub steps: Vec<StepDetail>,
    /// Oldest first.
    pub handoffs: Vec<HandoffEntry>,
}

#[derive(Debug)]
pub struct StepDetail {
    pub entry: StepEntry,
    /// The task that it runs as, and what that waits for.
    pub task: Option<(TaskEntry, Option<String>)>,
    /// Why it was passed over, or what its review came to.
    pub detail: String,
}

#[derive(Debug, Default)]
pub struct WorkflowsRequest {
    /// State names; empty: all.
    pub states: Vec<&'static str>,
    pub page_size: u32,
    pub page_token: String,
}

#[derive(Debug)]
pub struct WorkflowsPage {
    pub workflows: Vec<WorkflowEntry>,
    pub next_page_token: String,
}

impl App {
    /// When this returns, the workflow survives a crash, and goes on by itself.
    pub async fn start_workflow(&self, wanted: WantedWorkflow) -> Result<Once<WorkflowEntry>, Error> {
        let key = wanted.idempotency_key.clone();
        if key.len() > MAX_KEY || key.chars().any(char::is_control) {
            let why = format!("is longer than {MAX_KEY} bytes, or holds a control character");
            return Err(Error::invalid("idempotency_key", why));
        }
        let definition = define(&*self.shelf().await?, &wanted)?;
        let mut spec = read_wishes(&wanted)?;
        spec.repo = spec.repo.map(|repo| self.repo_meant(repo)).transpose()?;
        let id = WorkflowId::from_uuid(Uuid::now_v7());
        let new = NewWorkflow {
            id,
            branch: BranchName::for_attempt(&id.short(), &spec.title),
            request: request_of(spec, wanted.description),
            definition,
            idempotency_key: Some(key).filter(|key| !key.is_empty()),
        };
        let started = self.store.start_workflow(new, self.clock.now()).await?;
        let existed = started.id != id;
        if !existed {
            tracing::info!(workflow = %started.id, number = started.number, "workflow started");
            self.workflows.begun();
        }
        Ok(Once { thing: started, existed })
    }

    /// Finds a workflow by id, unique prefix or short number.
    pub async fn workflow(&self, name: &str) -> Result<WorkflowDetail, Error> {
        let id = self.resolve_workflow(name).await?;
        let workflow = self.workflow_of(id).await?;
        let mut steps = Vec::new();
        for entry in self.store.workflow_steps(id).await? {
            steps.push(self.step_detail(&workflow, entry).await?);
        }
        let filter = HandoffFilter { workflow: Some(id), limit: MOST_HANDOFFS, ..HandoffFilter::default() };
        let mut handoffs = self.store.handoffs(filter).await?;
        handoffs.reverse();
        Ok(WorkflowDetail { workflow, steps, handoffs })
    }

    /// Newest first.
    pub async fn workflows(&self, request: WorkflowsRequest) -> Result<WorkflowsPage, Error> {
        let page = Page::read(request.page_size, &request.page_token, &request.states)?;
        let filter = WorkflowFilter { states: request.states, before: page.before, limit: page.limit() };
        let mut workflows = self.store.workflows(filter).await?;
        let text = |workflow: &WorkflowEntry| workflow.request.description.len();
        let next_page_token = page.cut(&mut workflows, text, |workflow| workflow.number);
        Ok(WorkflowsPage { workflows, next_page_token })
    }

    /// From here on no step of it begins; the task of the present one is cancelled, and the workflow
    /// has ended once that has.
    pub async fn cancel_workflow(&self, name: &str) -> Result<WorkflowEntry, Error> {
        let id = self.resolve_workflow(name).await?;
        if !self.store.wish_workflow_ended(id, self.clock.now()).await? {
            let workflow = self.workflow_of(id).await?;
            let (number, state) = (workflow.number, workflow.state.name());
            return Err(Error::WorkflowHasEnded { number, state });
        }
        self.advance_workflow(id).await?;
        self.workflow_of(id).await
    }

    /// By id, unique prefix or short number.
    pub async fn resolve_workflow(&self, name: &str) -> Result<WorkflowId, Error> {
        self.store.resolve_workflow(name).await.map_err(|error| match error {
            ResolveError::NotFound(name) => Error::NoSuchWorkflow(name),
            ResolveError::Ambiguous { name } => Error::invalid(
                "workflow",
                format!("`{name}` is the beginning of several ids; give more of it"),
            ),
            ResolveError::Store(error) => Error::Store(error),
        })
    }

    async fn workflow_of(&self, id: WorkflowId) -> Result<WorkflowEntry, Error> {
        self.store.workflow(id).await?.ok_or_else(|| Error::NoSuchWorkflow(id.to_string()))
    }
}

fn define(shelf: &Shelf, wanted: &WantedWorkflow) -> Result<Definition, Error> {
    let mut definition = if !wanted.definition.is_empty() {
        shelf.read_definition(&wanted.definition, &wanted.name).map_err(|problems| {
            let violation = |problem: &Problem| FieldViolation::new("definition", problem);
            Error::Invalid(problems.iter().map(violation).collect())
        })?
    } else if wanted.name.is_empty() {
        return Err(Error::invalid("name", "is empty: name a workflow, or bring a definition"));
    } else {
        shelf.workflow(&wanted.name)?.definition.clone()
    };
    if wanted.max_iterations > MAX_ITERATIONS {
        return Err(Error::invalid("max_iterations", format!("must be at most {MAX_ITERATIONS}")));
    }
    if wanted.max_iterations > 0 {
        definition.max_iterations = wanted.max_iterations;
    }
    Ok(definition)
}

/// What each step's task asks for, checked before the first begins.
fn read_wishes(wanted: &WantedWorkflow) -> Result<TaskSpec, Error> {
    let draft = SpecDraft {
        title: wanted.title.clone(),
        prompt: wanted.description.clone(),
        agent: wanted.agent.clone(),
        repo: wanted.repo.clone(),
        base: wanted.base.clone(),
        model: wanted.model.clone(),
        labels: wanted.labels.clone(),
        submitter: wanted.submitter.clone(),
        project: wanted.project.clone(),
        priority: wanted.priority,
        trust_repo: wanted.trust_repo,
        deliver: Deliver::Branch,
        ..SpecDraft::default()
    };
    draft.validate().map_err(|violations| {
        let name = |field| if field == "prompt" { "description" } else { field };
        Error::Invalid(violations.into_iter().map(|v| FieldViolation::new(name(v.field), v.why)).collect())
    })
}

fn request_of(spec: TaskSpec, description: String) -> WorkflowRequest {
    WorkflowRequest {
        title: spec.title,
        description,
        repo: spec.repo,
        base: spec.base,
        agent: spec.agent,
        model: spec.model,
        labels: spec.labels,
        submitter: spec.submitter,
        project: spec.project,
        priority: spec.priority,
        trust_repo: spec.trust_repo,
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Self {
        match error {
            StartError::KeyReused { key, existing } => Self::WorkflowKeyReused { key, existing },
            StartError::Store(error) => Self::Store(error),
        }
    }
}
