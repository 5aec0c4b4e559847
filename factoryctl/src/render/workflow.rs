//! Workflows, for people.

use std::fmt::Write as _;

use anstyle::AnsiColor;
use comfy_table::{Cell, Table};
use factory_proto::v1;
use factory_proto::v1::WorkflowState;

use crate::render::console::{BOLD, DIM, style};
use crate::render::page::field;
use crate::render::{Console, plain, table, units};

pub fn state_name(state: WorkflowState) -> &'static str {
    match state {
        WorkflowState::Unspecified => "unknown",
        WorkflowState::Pending => "pending",
        WorkflowState::Running => "running",
        WorkflowState::Completed => "completed",
        WorkflowState::Failed => "failed",
        WorkflowState::Cancelled => "cancelled",
    }
}

pub fn state_of(name: &str) -> Option<WorkflowState> {
    let states = [
        WorkflowState::Pending,
        WorkflowState::Running,
        WorkflowState::Completed,
        WorkflowState::Failed,
        WorkflowState::Cancelled,
    ];
    states.into_iter().find(|state| state_name(*state) == name)
}

pub fn has_ended(state: WorkflowState) -> bool {
    matches!(state, WorkflowState::Completed | WorkflowState::Failed | WorkflowState::Cancelled)
}

fn color(state: WorkflowState) -> anstyle::Style {
    match state {
        WorkflowState::Unspecified | WorkflowState::Pending => DIM,
        WorkflowState::Running => style(AnsiColor::Cyan),
        WorkflowState::Completed => style(AnsiColor::Green),
        WorkflowState::Failed => style(AnsiColor::Red),
        WorkflowState::Cancelled => style(AnsiColor::Magenta),
    }
}

pub fn table(console: Console, workflows: &[v1::Workflow], now_ms: i64) -> Table {
    let mut table = table::new(console, &["WORKFLOW", "STATE", "TITLE", "DEFINITION", "ROUND", "AGE"]);
    for workflow in workflows {
        table.add_row([
            Cell::new(workflow.number),
            Cell::new(state_name(workflow.state())),
            Cell::new(plain::shorten(&plain::line(&workflow.title), 60)),
            Cell::new(plain::line(&workflow.name)),
            Cell::new(workflow.iteration),
            Cell::new(units::age(workflow.started_at_ms, now_ms)),
        ]);
    }
    table
}

pub fn definitions(console: Console, definitions: &[v1::WorkflowDefinition]) -> Table {
    let mut table = table::new(console, &["DEFINITION", "WHAT IT DOES", "FROM"]);
    for definition in definitions {
        let columns = [&definition.name, &definition.description, &definition.source];
        table.add_row(columns.map(|text| plain::line(text)));
    }
    table
}

/// Everything but the tables of steps and handoffs.
pub fn page(found: &v1::GetWorkflowResponse, now_ms: i64) -> String {
    let workflow = found.workflow.clone().unwrap_or_default();
    let mut page = String::new();
    let (state, color) = (state_name(workflow.state()), color(workflow.state()));
    let title = plain::line(&workflow.title);
    // Writing to a String cannot fail.
    let _ = writeln!(page, "{BOLD}Workflow {}{BOLD:#}  {color}{state}{color:#}  {title}", workflow.number);
    field(&mut page, "id", &workflow.id);
    field(&mut page, "definition", &workflow.name);
    field(&mut page, "repository", &workflow.repo);
    field(&mut page, "branch", &workflow.branch);
    let rounds = units::count(u64::from(workflow.max_iterations), "more round");
    field(&mut page, "round", &format!("{} (at most {rounds})", workflow.iteration));
    field(&mut page, "started", &format!("{} ago", units::age(workflow.started_at_ms, now_ms)));
    if workflow.ended_at_ms != 0 {
        field(&mut page, "took", &units::span(workflow.ended_at_ms - workflow.started_at_ms));
    }
    field(&mut page, "failed", &workflow.failure);
    page
}

pub fn steps(console: Console, steps: &[v1::StepRun]) -> Table {
    let mut table = table::new(console, &["STEP", "ROUND", "OUTPUT", "ROLE", "TASK", "STATE", "NOTE"]);
    for step in steps {
        let (task, state) = match &step.task {
            Some(task) => (task.number.to_string(), table::state(task.state())),
            None => (String::new(), Cell::new("passed over")),
        };
        table.add_row([
            Cell::new(step.step + 1),
            Cell::new(step.iteration),
            Cell::new(plain::line(&step.output)),
            Cell::new(plain::line(&step.role)),
            Cell::new(task),
            state,
            Cell::new(plain::shorten(&plain::line(&step.detail), 80)),
        ]);
    }
    table
}

pub fn handoffs(console: Console, handoffs: &[v1::Handoff]) -> Table {
    let mut table = table::new(console, &["HANDOFF", "ROUND", "FROM TASK", "TO TASK", "WHAT WAS SAID"]);
    for handoff in handoffs {
        table.add_row([
            Cell::new(handoff.number),
            Cell::new(handoff.iteration),
            Cell::new(handoff.from_task_number),
            Cell::new(handoff.to_task_number),
            Cell::new(plain::shorten(&plain::line(&handoff.context), 80)),
        ]);
    }
    table
}

/// How far it has come, a line for each step and for its end.
pub fn story(found: &v1::GetWorkflowResponse) -> Vec<String> {
    let mut lines: Vec<_> = found.steps.iter().map(step_line).collect();
    if let Some(workflow) = found.workflow.as_ref().filter(|workflow| has_ended(workflow.state())) {
        let why = if workflow.failure.is_empty() { String::new() } else { format!(": {}", workflow.failure) };
        lines.push(format!(
            "workflow {} {}{}",
            workflow.number,
            state_name(workflow.state()),
            plain::line(&why)
        ));
    }
    lines
}

fn step_line(step: &v1::StepRun) -> String {
    let detail = if step.detail.is_empty() { String::new() } else { format!(": {}", step.detail) };
    let what = match &step.task {
        Some(task) => format!("task {} {}", task.number, task.state().name()),
        None => "passed over".to_owned(),
    };
    plain::line(&format!(
        "round {}, step {} ({} by {}): {what}{detail}",
        step.iteration,
        step.step + 1,
        step.output,
        step.role
    ))
}
