//! A workflow as it is drawn: its steps in a row, a row for each time that it led back.

use factory_domain::workflow::Definition;
use serde::Serialize;

use crate::app::{StepDetail, WorkflowDetail};

#[derive(Debug, Serialize)]
pub struct Round {
    iteration: u32,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    /// Counted from 1.
    number: usize,
    name: String,
    role: String,
    /// Of its task; skipped, or ahead.
    state: String,
    task: Option<u64>,
    waiting_for: Option<String>,
    /// What its review came to, or why it was passed over.
    detail: String,
    /// When it runs, where that is not always.
    condition: Option<String>,
    /// The step that comes after it, where that is an earlier one.
    leads_back_to: Option<String>,
}

/// The rounds so far, with what is ahead in the present one.
pub fn of(detail: &WorkflowDetail) -> Vec<Round> {
    let definition = &detail.workflow.definition;
    let mut rounds: Vec<Round> = Vec::new();
    for step in &detail.steps {
        let iteration = step.entry.iteration;
        if rounds.last().is_none_or(|round| round.iteration != iteration) {
            rounds.push(Round { iteration, steps: Vec::new() });
        }
        if let Some(round) = rounds.last_mut() {
            round.steps.push(Step::come_through(definition, step));
        }
    }
    if detail.workflow.state.has_ended() {
        return rounds;
    }
    if rounds.is_empty() {
        rounds.push(Round { iteration: 1, steps: Vec::new() });
    }
    let next = detail.steps.last().map_or(0, |last| last.entry.step + 1);
    if let Some(round) = rounds.last_mut() {
        round.steps.extend((next..definition.steps.len()).map(|step| Step::ahead(definition, step)));
    }
    rounds
}

impl Step {
    fn ahead(definition: &Definition, index: usize) -> Self {
        let name = |index: usize| definition.steps.get(index).map(|step| step.name.to_string());
        let step = definition.steps.get(index);
        let condition = step.and_then(|step| step.condition).map(|(condition, of)| {
            format!("if {} of {}", condition.as_str().replace('_', " "), name(of).unwrap_or_default())
        });
        Self {
            number: index + 1,
            name: name(index).unwrap_or_default(),
            role: step.map(|step| step.agent.to_string()).unwrap_or_default(),
            state: "ahead".to_owned(),
            task: None,
            waiting_for: None,
            detail: String::new(),
            condition,
            leads_back_to: step.and_then(|step| step.loop_to).and_then(name),
        }
    }

    fn come_through(definition: &Definition, step: &StepDetail) -> Self {
        let ahead = Self::ahead(definition, step.entry.step);
        let task = step.task.as_ref();
        Self {
            state: task.map_or("skipped", |(task, _)| task.state.name()).to_owned(),
            task: task.map(|(task, _)| task.number),
            waiting_for: task.and_then(|(_, waiting_for)| waiting_for.clone()),
            detail: step.detail.clone(),
            ..ahead
        }
    }
}
