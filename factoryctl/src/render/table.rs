//! Tables: columns without borders, so that they read well and cut well.

use anstyle::AnsiColor;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, TableStyle};
use factory_domain::Conversation;
use factory_proto::v1;
use factory_proto::v1::TaskState;

use crate::render::{Console, family, plain, units, worker};

/// An empty table with `header`, as wide as the terminal allows.
pub fn new(console: Console, header: &[&str]) -> Table {
    let mut table = Table::new();
    let width = table.width();
    table.load_style(TableStyle::new()).set_content_arrangement(ContentArrangement::Dynamic);
    if console.colored() {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    if console.on_terminal()
        && let Some(width) = width
    {
        table.set_width(width);
    }
    table.set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// A state in its colour.
pub fn state(state: TaskState) -> Cell {
    Cell::new(state.name()).fg(state_color(state))
}

fn state_color(state: TaskState) -> Color {
    match state {
        TaskState::Unspecified | TaskState::Blocked | TaskState::Queued => Color::Grey,
        TaskState::Leased | TaskState::Running => Color::Cyan,
        TaskState::Cancelling | TaskState::Parked | TaskState::Waiting => Color::Yellow,
        TaskState::Succeeded => Color::Green,
        TaskState::Failed => Color::Red,
        TaskState::Cancelled => Color::Magenta,
    }
}

pub fn tasks(console: Console, tasks: &[v1::Task], now_ms: i64) -> Table {
    let mut table =
        new(console, &["TASK", "STATE", "TITLE", "AGENT", "WORKER", "AGE", "TIME", "CHANGE", "COST"]);
    for (depth, task) in family::in_families(tasks) {
        let spec = task.spec.clone().unwrap_or_default();
        let report = task.report.clone().unwrap_or_default();
        let title = family::indent(depth) + &plain::line(&spec.title);
        table.add_row([
            Cell::new(task.number),
            state(task.state()),
            Cell::new(plain::shorten(&title, 60)),
            Cell::new(spec.agent),
            Cell::new(plain::line(&worker(task))),
            Cell::new(units::age(task.submitted_at_ms, now_ms)),
            Cell::new(duration(task, now_ms)),
            Cell::new(units::diff_stat(&report.diff_stat.unwrap_or_default())),
            Cell::new(cost(&report.usage.unwrap_or_default())),
        ]);
    }
    table
}

fn worker(task: &v1::Task) -> String {
    if task.unreachable { format!("{} (unreachable)", task.worker_name) } else { task.worker_name.clone() }
}

/// From submit to end, or to now; nothing before a worker has it.
fn duration(task: &v1::Task, now_ms: i64) -> String {
    match task.ended_at_ms {
        0 if task.attempts == 0 => String::new(),
        0 => units::span(now_ms - task.submitted_at_ms),
        ended => units::span(ended - task.submitted_at_ms),
    }
}

fn cost(usage: &v1::Usage) -> String {
    if usage.cost_micro_usd == 0 { String::new() } else { units::money(usage.cost_micro_usd) }
}

/// What an attempt goes on from, if from anything.
fn continues(attempt: &v1::Attempt, attempts: &[v1::Attempt]) -> String {
    let Some(continues) = &attempt.continues else { return String::new() };
    let from = attempts.iter().find(|from| from.id == continues.attempt_id);
    let conversation: Conversation = continues.conversation().into();
    from.map_or_else(|| "goes on from another task".to_owned(), |from| conversation.with_attempt(from.number))
}

pub fn attempts(console: Console, attempts: &[v1::Attempt], now_ms: i64) -> Table {
    let mut table = new(console, &["ATTEMPT", "STATE", "WORKER", "STARTED", "TIME", "TURNS", "COST", "NOTE"]);
    for attempt in attempts {
        let report = attempt.report.clone().unwrap_or_default();
        let usage = report.usage.clone().unwrap_or_default();
        let end = match &report.failure {
            Some(failure) => format!("{}: {}", failure.reason, failure.message),
            None if report.outcome() == v1::OutcomeKind::HandedOver => "handed over".to_owned(),
            None => attempt.returned_because.clone(),
        };
        let notes: Vec<_> =
            [continues(attempt, attempts), end].into_iter().filter(|note| !note.is_empty()).collect();
        table.add_row([
            Cell::new(attempt.number),
            Cell::new(&attempt.state).fg(attempt_color(&attempt.state)),
            Cell::new(plain::line(&attempt.worker_name)),
            Cell::new(if attempt.started_at_ms == 0 {
                String::new()
            } else {
                units::clock(attempt.started_at_ms)
            }),
            Cell::new(attempt_time(attempt, now_ms)),
            Cell::new(if usage.turns == 0 { String::new() } else { usage.turns.to_string() }),
            Cell::new(cost(&usage)),
            Cell::new(plain::shorten(&plain::line(&notes.join("; ")), 100)),
        ]);
    }
    table
}

fn attempt_time(attempt: &v1::Attempt, now_ms: i64) -> String {
    let from = if attempt.started_at_ms == 0 { attempt.offered_at_ms } else { attempt.started_at_ms };
    let to = if attempt.ended_at_ms == 0 { now_ms } else { attempt.ended_at_ms };
    units::span(to - from)
}

fn attempt_color(state: &str) -> Color {
    match state {
        "succeeded" => Color::Green,
        "failed" | "lost" => Color::Red,
        "cancelled" => Color::Magenta,
        "unreachable" | "returned" => Color::Yellow,
        _ => Color::Cyan,
    }
}

/// What each task of the demo did.
pub fn demo(console: Console, tasks: &[(v1::Task, Vec<v1::Attempt>)]) -> Table {
    let header = ["TASK", "TITLE", "STATE", "WORKER", "ATTEMPTS", "TIME", "COMMITS", "CHANGE", "COST"];
    let mut table = new(console, &header);
    for (task, attempts) in tasks {
        let report = task.report.clone().unwrap_or_default();
        // An offer that came back was no try.
        let tries = attempts.iter().filter(|attempt| attempt.state != "returned").count();
        table.add_row([
            Cell::new(task.number),
            Cell::new(task.spec.as_ref().map(|spec| plain::line(&spec.title)).unwrap_or_default()),
            state(task.state()),
            Cell::new(plain::line(&task.worker_name)),
            Cell::new(tries),
            Cell::new(units::span(task.ended_at_ms - task.submitted_at_ms)),
            Cell::new(report.commits.len()),
            Cell::new(units::diff_stat(&report.diff_stat.unwrap_or_default())),
            Cell::new(units::money(report.usage.unwrap_or_default().cost_micro_usd)),
        ]);
    }
    table
}

pub fn workers(console: Console, workers: &[v1::Worker], now_ms: i64) -> Table {
    let mut table = new(
        console,
        &[
            "WORKER",
            "STATE",
            "BUSY",
            "AGENTS",
            "LABELS",
            "LOAD",
            "FREE DISK",
            "VERSION",
            "SEEN",
            "LAST DECLINE",
        ],
    );
    for worker in workers {
        let (mut state, color) = worker::state(worker);
        let hand_over = worker::hand_over(worker, now_ms);
        if !hand_over.is_empty() {
            state = format!("{state}, hands over {hand_over}");
        }
        let color = if color == AnsiColor::Green { Color::Green } else { Color::Yellow };
        let offered = worker.agents.iter().filter(|agent| agent.unusable_because.is_empty());
        let agents: Vec<_> =
            offered.map(|agent| format!("{} {}", agent.name, agent.version).trim_end().to_owned()).collect();
        let mut labels: Vec<_> = worker.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        labels.sort();
        table.add_row([
            Cell::new(plain::line(&worker.name)),
            Cell::new(state).fg(color),
            Cell::new(format!("{}/{}", worker.busy, worker.slots)),
            Cell::new(plain::line(&agents.join(", "))),
            Cell::new(plain::line(&labels.join(" "))),
            Cell::new(worker.load.as_ref().map(worker::load).unwrap_or_default()),
            Cell::new(units::bytes(worker.free_disk_bytes)),
            Cell::new(plain::line(&worker.version)),
            Cell::new(units::age(worker.last_seen_at_ms, now_ms)),
            Cell::new(plain::shorten(&plain::line(&worker.last_decline), 80)),
        ]);
    }
    table
}

/// What a worker holds now.
pub fn held(console: Console, attempts: &[v1::WorkerAttempt], now_ms: i64) -> Table {
    let mut table = new(console, &["TASK", "ATTEMPT", "STATE", "AGE", "TITLE"]);
    for attempt in attempts {
        table.add_row([
            Cell::new(attempt.task_number),
            Cell::new(attempt.number),
            Cell::new(&attempt.state).fg(attempt_color(&attempt.state)),
            Cell::new(units::age(attempt.offered_at_ms, now_ms)),
            Cell::new(plain::shorten(&plain::line(&attempt.title), 60)),
        ]);
    }
    table
}
