//! The task that a step runs as.

use factory_domain::workflow::{Step, StepEnd, VERDICT_SCHEMA, WorkflowState};
use factory_domain::{
    AgentKind, Brief, Deliver, Delivery, HandoffId, Leftovers, Links, SpecDraft, TaskId, TaskSpec,
};
use uuid::Uuid;

use super::advance::{Ran, review};
use super::{App, Error};
use crate::app::brief::Batch;
use crate::store::workflow::{NewStep, StepPlace, WorkflowEntry};
use crate::store::{HandoffTo, NewHandoff, NewTask, TaskEntry};

/// Commits listed of a step's output.
const MOST_COMMITS: usize = 50;

impl App {
    /// Submits the step's task. A step that cannot be put together any more, since its role or
    /// template was changed meanwhile, fails its workflow.
    pub(super) async fn begin_step(
        &self,
        workflow: &WorkflowEntry,
        ran: &[Ran],
        place: StepPlace,
    ) -> Result<(), Error> {
        let Some(step) = workflow.definition.steps.get(place.step) else { return Ok(()) };
        let input = step.input.and_then(|input| latest(ran, input));
        match self.step_task(workflow, step, ran, input, &place).await {
            Ok(task) => {
                let handoff = input.map(|from| handoff(workflow, from, &task, &place, is_delivered(ran)));
                let begun = self.store.begin_step(NewStep { place, task, handoff }, self.clock.now()).await?;
                if let Some(task) = begun {
                    let StepPlace { workflow, step, iteration, .. } = place;
                    tracing::info!(%workflow, step, iteration, task = task.number, "step begun");
                    self.schedule.notify_one();
                }
                Ok(())
            }
            Err(error @ (Error::Invalid(_) | Error::Library(_))) => {
                let why = format!("step {} ({}) cannot begin: {error}", place.step + 1, step.name);
                self.end(workflow, WorkflowState::Failed { why }).await
            }
            Err(error) => Err(error),
        }
    }

    async fn step_task(
        &self,
        workflow: &WorkflowEntry,
        step: &Step,
        ran: &[Ran],
        input: Option<&TaskEntry>,
        place: &StepPlace,
    ) -> Result<NewTask, Error> {
        let goes_on_from = step.input.and_then(|_| gone_on_from(workflow, step, ran));
        let mut task = NewTask {
            id: TaskId::from_uuid(Uuid::now_v7()),
            spec: spec(workflow, step, place, is_delivered(ran))?,
            idempotency_key: Some(format!("workflow/{}/{}/{}", workflow.id, place.step, place.iteration)),
            retry_of: None,
            links: Links { goes_on_from, ..Links::default() },
            brief: Brief::default(),
            traceparent: String::new(),
        };
        // A script is followed to the letter.
        if task.spec.agent != AgentKind::Scripted {
            let input = input.map(|from| output(from, workflow)).unwrap_or_default();
            task.spec.prompt = self.step_prompt(workflow, step, &task, input, place).await?;
        }
        let mut task = [task];
        self.brief(&mut task).await?;
        let [task] = task;
        Ok(task)
    }

    async fn step_prompt(
        &self,
        workflow: &WorkflowEntry,
        step: &Step,
        task: &NewTask,
        input: String,
        place: &StepPlace,
    ) -> Result<String, Error> {
        let shelf = self.shelf().await?;
        let fallback = if step.judges { "review" } else { "step" };
        let template =
            shelf.template(step.prompt_template.as_ref().map_or(fallback, |template| template.as_str()))?;
        let mut values = Batch::of(std::slice::from_ref(task)).placeholders(task, self.clock.now());
        values.task_name.clone_from(&workflow.request.title);
        values.input = input;
        values.iteration = place.iteration.to_string();
        values.max_iterations = workflow.definition.max_iterations.to_string();
        Ok(shelf.fill(template, values)?)
    }
}

fn spec(
    workflow: &WorkflowEntry,
    step: &Step,
    place: &StepPlace,
    delivered: bool,
) -> Result<TaskSpec, Error> {
    let request = &workflow.request;
    let round = if place.iteration > 1 { format!(" {}", place.iteration) } else { String::new() };
    let has_repo = request.repo.is_some();
    let base =
        if delivered { Some(workflow.branch.to_string()) } else { request.base.clone().map(String::from) };
    let draft = SpecDraft {
        title: format!("{}: {}{round}", shortened(&request.title), step.name),
        prompt: match &step.prompt {
            Some(prompt) => format!("{prompt}\n\n{}", request.description),
            None => request.description.clone(),
        },
        role: step.agent.to_string(),
        output_schema: if step.judges { VERDICT_SCHEMA.to_owned() } else { String::new() },
        // Who judges leaves nothing behind.
        branch: if has_repo && !step.judges { workflow.branch.to_string() } else { String::new() },
        deliver: if step.judges { Deliver::None } else { Deliver::Branch },
        leftovers: if step.judges { Leftovers::Discard } else { Leftovers::Commit },
        keep_session: workflow.definition.is_gone_on_with(place.step),
        base: base.filter(|_| has_repo).unwrap_or_default(),
        agent: request.agent.to_string(),
        repo: request.repo.clone().map(String::from).unwrap_or_default(),
        model: request.model.clone().unwrap_or_default(),
        labels: request.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        submitter: request.submitter.clone().unwrap_or_default(),
        project: request.project.clone().unwrap_or_default(),
        priority: request.priority,
        trust_repo: request.trust_repo,
        ..SpecDraft::default()
    };
    draft.validate().map_err(|found| {
        Error::Invalid(found.into_iter().map(|v| crate::app::FieldViolation::new(v.field, v.why)).collect())
    })
}

/// Leaves room for the step's name in a title.
fn shortened(title: &str) -> &str {
    title.get(..title.floor_char_boundary(100)).unwrap_or(title)
}

/// Whether the workflow's branch is in the origin.
fn is_delivered(ran: &[Ran]) -> bool {
    let reports = ran.iter().filter_map(|ran| ran.task.as_ref()?.report.as_ref());
    reports.into_iter().any(|report| report.branch.is_some() && report.delivery == Delivery::Pushed)
}

/// The task of this step's latest run that succeeded.
fn latest(ran: &[Ran], step: usize) -> Option<&TaskEntry> {
    let run = ran.iter().rev().find(|ran| ran.run.step == step && succeeded(ran))?;
    run.task.as_ref()
}

fn succeeded(ran: &Ran) -> bool {
    matches!(ran.run.end, Some(StepEnd::Succeeded { .. }))
}

/// The same role's latest task: its conversation goes on. Who judges begins afresh each time.
fn gone_on_from(workflow: &WorkflowEntry, step: &Step, ran: &[Ran]) -> Option<TaskId> {
    let steps = &workflow.definition.steps;
    let same = |ran: &&Ran| {
        let other = steps.get(ran.run.step);
        succeeded(ran) && other.is_some_and(|other| !other.judges && other.agent == step.agent)
    };
    let latest = ran.iter().rev().filter(|_| !step.judges).find(same)?;
    latest.task.as_ref().map(|task| task.id)
}

/// What a step leaves for another, in Markdown.
fn output(task: &TaskEntry, workflow: &WorkflowEntry) -> String {
    let Some(report) = &task.report else { return String::new() };
    if task.spec.output_schema.is_some()
        && let Some(review) = review(report)
    {
        return review.to_markdown();
    }
    let mut text = report.result_text.trim().to_owned();
    if !report.commits.is_empty() {
        text.push_str(&format!("\n\nCommits on `{}`:\n", workflow.branch));
        for commit in report.commits.iter().take(MOST_COMMITS) {
            let id = commit.id.get(..12).unwrap_or(&commit.id);
            text.push_str(&format!("\n- {id} {}", commit.subject));
        }
    }
    text
}

fn handoff(
    workflow: &WorkflowEntry,
    from: &TaskEntry,
    to: &NewTask,
    place: &StepPlace,
    delivered: bool,
) -> NewHandoff {
    let mut context = output(from, workflow);
    context.truncate(context.floor_char_boundary(factory_domain::board::MAX_CONTEXT));
    NewHandoff {
        id: HandoffId::from_uuid(Uuid::now_v7()),
        from_task: from.id,
        from_attempt: None,
        to: HandoffTo::Task(to.id),
        workflow: Some((workflow.id, place.iteration)),
        context,
        artifacts: Vec::new(),
        branch: delivered.then(|| workflow.branch.to_string()),
        key: None,
    }
}
