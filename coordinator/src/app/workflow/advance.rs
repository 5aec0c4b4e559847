//! Moving workflows on: what comes next is decided by the domain from what the store has, so that
//! it does not matter who does it, how often, or after which restart.

use factory_domain::workflow::{Next, Review, StepEnd, StepRun, WorkflowState, next};
use factory_domain::{Delivery, Report, TaskState, WorkflowId};

use super::{App, Error, StepDetail};
use crate::store::TaskEntry;
use crate::store::workflow::{PassedStep, StepEntry, StepPlace, StepWas, WorkflowEntry};

/// A step so far, and its task as it is.
pub(super) struct Ran {
    pub run: StepRun,
    pub task: Option<TaskEntry>,
}

impl App {
    /// Moves on every workflow that can go on. One that cannot for now keeps no other from it.
    pub(crate) async fn advance_workflows(&self) -> Result<(), Error> {
        self.workflows.looking();
        let open = self.store.open_workflows().await?;
        if !open.is_empty() {
            self.workflows.some();
        }
        let mut failed = None;
        for workflow in open {
            if let Err(error) = self.advance_workflow(workflow).await {
                tracing::warn!(%workflow, %error, "the workflow cannot go on for now; it is tried again");
                failed = Some(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    pub(super) async fn advance_workflow(&self, id: WorkflowId) -> Result<(), Error> {
        while self.go_on(id).await? {}
        Ok(())
    }

    /// Makes one move; `false`: there is none to make now.
    async fn go_on(&self, id: WorkflowId) -> Result<bool, Error> {
        let workflow = self.workflow_of(id).await?;
        if workflow.state.has_ended() {
            return Ok(false);
        }
        let ran = self.ran(&workflow).await?;
        if workflow.cancel_wished {
            return self.end_wished(&workflow, ran).await;
        }
        let history: Vec<_> = ran.iter().map(|ran| ran.run.clone()).collect();
        let place = |step, iteration| StepPlace { workflow: id, position: history.len(), step, iteration };
        match next(&workflow.definition, &history) {
            Next::Wait => return Ok(false),
            Next::Start { step, iteration } => {
                self.begin_step(&workflow, &ran, place(step, iteration)).await?;
            }
            Next::Skip { step, iteration, why } => {
                tracing::info!(workflow = %id, step, iteration, why, "step passed over");
                let passed = PassedStep { place: place(step, iteration), why };
                self.store.pass_step(passed, self.clock.now()).await?;
            }
            Next::Done(ending) => self.end(&workflow, ending.into()).await?,
        }
        Ok(true)
    }

    pub(super) async fn end(&self, workflow: &WorkflowEntry, state: WorkflowState) -> Result<(), Error> {
        let (id, name, failure) = (workflow.id, state.name(), state.failure().map(str::to_owned));
        if self.store.end_workflow(id, state, self.clock.now()).await? {
            tracing::info!(workflow = %id, number = workflow.number, state = name, failure, "workflow ended");
        }
        Ok(())
    }

    /// Someone asked for its end: it has ended once its last task has.
    async fn end_wished(&self, workflow: &WorkflowEntry, ran: Vec<Ran>) -> Result<bool, Error> {
        let live = ran.into_iter().filter_map(|ran| ran.task).find(|task| !task.state.is_terminal());
        if let Some(task) = live {
            let asked = !matches!(task.state, TaskState::Cancelling { .. });
            if asked && !self.cancel_step(&task).await? {
                return Ok(false);
            }
            if !asked {
                return Ok(false);
            }
        }
        self.end(workflow, WorkflowState::Cancelled).await?;
        Ok(true)
    }

    /// Whether the task has ended by it.
    async fn cancel_step(&self, task: &TaskEntry) -> Result<bool, Error> {
        match self.cancel(&task.id.to_string(), true).await {
            Ok(cancelled) => Ok(cancelled.task.state.is_terminal()),
            Err(Error::HasEnded { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn ran(&self, workflow: &WorkflowEntry) -> Result<Vec<Ran>, Error> {
        let mut ran = Vec::new();
        for entry in self.store.workflow_steps(workflow.id).await? {
            let StepEntry { step, iteration, what } = entry;
            let (end, task) = match what {
                StepWas::PassedOver(_) => (Some(StepEnd::Skipped), None),
                StepWas::Begun(id) => {
                    let (task, _) = self.task(id).await?;
                    (end_of(&task, judges(workflow, step)), Some(task))
                }
            };
            ran.push(Ran { run: StepRun { step, iteration, end }, task });
        }
        Ok(ran)
    }

    pub(super) async fn step_detail(
        &self,
        workflow: &WorkflowEntry,
        entry: StepEntry,
    ) -> Result<StepDetail, Error> {
        match &entry.what {
            StepWas::PassedOver(why) => {
                let detail = why.clone();
                Ok(StepDetail { entry, task: None, detail })
            }
            StepWas::Begun(id) => {
                let task = self.task(*id).await?;
                let review = task.0.report.as_ref().filter(|_| judges(workflow, entry.step)).and_then(review);
                let detail = review.map(|review| review.in_short()).unwrap_or_default();
                Ok(StepDetail { entry, task: Some(task), detail })
            }
        }
    }
}

fn judges(workflow: &WorkflowEntry, step: usize) -> bool {
    workflow.definition.steps.get(step).is_some_and(|step| step.judges)
}

/// What its task's end means for the step; `None`: the task has not ended.
fn end_of(task: &TaskEntry, judges: bool) -> Option<StepEnd> {
    match &task.state {
        TaskState::Succeeded { .. } => Some(match task.report.as_ref().map(|report| &report.delivery) {
            // The next step could not begin from what is not in the origin.
            Some(Delivery::Bundled { why }) => {
                StepEnd::Failed { why: format!("its commits are not in the origin: {why}") }
            }
            _ => StepEnd::Succeeded { review: task.report.as_ref().filter(|_| judges).and_then(review) },
        }),
        TaskState::Failed { failure, .. } => Some(StepEnd::Failed { why: failure.to_string() }),
        TaskState::Cancelled { .. } => Some(StepEnd::Cancelled),
        _ => None,
    }
}

/// The structured answer; for agents that have none, closing words that are one and nothing else.
pub(super) fn review(report: &Report) -> Option<Review> {
    Review::read(report.structured_output.as_deref().unwrap_or(&report.result_text))
}
