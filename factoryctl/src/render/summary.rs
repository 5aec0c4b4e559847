//! What became of a task, at the end of a watch.

use factory_proto::v1;
use factory_proto::v1::TaskState;

use crate::render::console::DIM;
use crate::render::task::{delivery, state_style};
use crate::render::{advice, plain, units};

/// Commits that are listed; the rest are counted.
const COMMITS: usize = 5;

/// The lines about a task that has ended.
pub fn lines(task: &v1::Task) -> Vec<String> {
    let style = state_style(task.state());
    let time = units::clock(task.ended_at_ms);
    let mut head = vec![format!("{DIM}{time}{DIM:#} {style}{}{style:#}", task.state().name())];
    head.push(format!("in {}", units::span(task.ended_at_ms - task.submitted_at_ms)));
    let report = task.report.clone().unwrap_or_default();
    let usage = report.usage.clone().unwrap_or_default();
    if usage.turns != 0 {
        head.push(units::count(usage.turns.into(), "turn"));
    }
    if usage.cost_micro_usd != 0 {
        head.push(units::money(usage.cost_micro_usd));
    }
    if task.attempts > 1 {
        head.push(units::count(task.attempts.into(), "attempt"));
    }
    let mut lines = vec![head.join(" · ")];
    if task.state() == TaskState::Failed
        && let Some(failure) = &task.failure
    {
        let mut message =
            format!("{style}{}{style:#}: {}", plain::line(&failure.reason), plain::text(&failure.message));
        message.truncate(message.trim_end().len());
        lines.extend(message.lines().map(|line| format!("  {line}")));
        lines.extend(
            advice::after(&failure.reason, task.number).map(|step| format!("  {DIM}next:{DIM:#} {step}")),
        );
    }
    work(task, &report, &mut lines);
    lines
}

fn work(task: &v1::Task, report: &v1::Report, lines: &mut Vec<String>) {
    for commit in report.commits.iter().take(COMMITS) {
        let id: String = commit.id.chars().take(9).collect();
        lines.push(format!("  {DIM}{id}{DIM:#} {}", plain::line(&commit.subject)));
    }
    if report.commits.len() > COMMITS {
        let more = units::count((report.commits.len() - COMMITS) as u64, "more commit");
        lines.push(format!("  {DIM}… +{more}{DIM:#}"));
    }
    let change = units::diff_stat(&report.diff_stat.unwrap_or_default());
    if !change.is_empty() {
        lines.push(format!("  {change} on {}", plain::line(&report.branch)));
    }
    let delivery = delivery(report, task.number);
    if !delivery.is_empty() {
        lines.push(format!("  {delivery}"));
    }
}
