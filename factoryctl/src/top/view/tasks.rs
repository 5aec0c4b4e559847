//! The tasks: one a line, with as many columns as fit.

use factory_proto::v1;
use factory_proto::v1::TaskState;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Row, Table, Widget};

use super::theme::{Theme, glyph};
use super::{first_shown, prompted, titled};
use crate::render::task::is_limited;
use crate::render::{plain, units};
use crate::top::fleet;
use crate::top::list::Tab;
use crate::top::model::{Focus, Model};

/// A column, and the width of the screen from which on it is there.
struct Column {
    name: &'static str,
    width: Constraint,
    from: u16,
    cell: fn(&v1::Task, i64) -> String,
}

const COLUMNS: [Column; 10] = [
    Column { name: "TITLE", width: Constraint::Fill(3), from: 0, cell: |task, _| title(task) },
    Column { name: "REPO", width: Constraint::Length(16), from: 140, cell: |task, _| repo(task) },
    Column { name: "ROLE", width: Constraint::Length(10), from: 120, cell: |task, _| role(task) },
    Column { name: "WORKER", width: Constraint::Length(12), from: 80, cell: |task, _| worker(task) },
    Column { name: "AGE", width: Constraint::Length(4), from: 100, cell: age },
    Column { name: "TIME", width: Constraint::Length(7), from: 0, cell: time },
    Column { name: "TRY", width: Constraint::Length(3), from: 100, cell: |task, _| attempts(task) },
    Column { name: "", width: Constraint::Length(4), from: 110, cell: |task, _| percent(task) },
    Column { name: "NOTE", width: Constraint::Fill(2), from: 80, cell: note },
    Column { name: "COST", width: Constraint::Length(8), from: 100, cell: |task, _| cost(task) },
];

pub fn draw(model: &Model, theme: Theme, area: Rect, buf: &mut Buffer) {
    let focused = model.focus == Focus::Tasks;
    let body = titled(tabs(model, theme), focused, theme, area, buf);
    let listed = model.listed();
    if listed.is_empty() {
        return Text::styled(nothing(model), theme.dim()).render(body, buf);
    }
    let chosen = model.place_among(&listed);
    let height = body.height.saturating_sub(1);
    let first = first_shown(chosen, listed.len(), height);
    // Columns that many never fill are left to the others where nobody does.
    let filled = |column: &Column| {
        !matches!(column.name, "REPO" | "ROLE")
            || listed.iter().any(|task| !(column.cell)(task, model.now_ms).is_empty())
    };
    let columns: Vec<&Column> =
        COLUMNS.iter().filter(|column| column.from <= area.width && filled(column)).collect();
    // The name of a state says more than its mark, where there is room for it.
    let state_width = if area.width < 70 { 1 } else { 12 };
    let rows = listed.iter().enumerate().skip(first).take(height.into()).map(|(place, task)| {
        let state = task.state();
        let mark = if state_width > 1 {
            format!("{} {}", glyph(state), state.name())
        } else {
            glyph(state).to_owned()
        };
        let fixed = [Span::raw(format!("{:>5}", task.number)), Span::styled(mark, theme.state(state))];
        let rest = columns.iter().map(|column| Span::raw((column.cell)(task, model.now_ms)));
        let style =
            if focused && place == chosen && !prompted(model) { theme.chosen() } else { tone(state, theme) };
        Row::new(fixed.into_iter().chain(rest)).style(style)
    });
    let widths = [Constraint::Length(5), Constraint::Length(state_width)];
    let widths = widths.into_iter().chain(columns.iter().map(|column| column.width));
    let state_name = if state_width > 1 { "STATE" } else { "" };
    let names = [" TASK", state_name].into_iter().chain(columns.iter().map(|column| column.name));
    let header = Row::new(names).style(theme.dim().add_modifier(Modifier::BOLD));
    Widget::render(Table::new(rows, widths).header(header), body, buf);
}

/// What has ended stands back.
fn tone(state: TaskState, theme: Theme) -> Style {
    if state.is_terminal() { theme.dim() } else { Style::new() }
}

fn tabs(model: &Model, theme: Theme) -> Line<'static> {
    let mut spans = vec![Span::raw(" ")];
    for tab in Tab::ALL {
        let text = format!("{} {}", tab.name(), tab.count(&model.fleet));
        let style =
            if tab == model.tab { Style::new().add_modifier(Modifier::UNDERLINED) } else { theme.dim() };
        spans.push(Span::styled(text, style));
        spans.push(Span::raw(" "));
    }
    if !model.filter.is_empty() {
        let filter = format!("/{} ", plain::line(&model.filter));
        spans.push(Span::styled(filter, theme.warning()));
    }
    Line::from(spans)
}

fn nothing(model: &Model) -> String {
    match (model.filter.is_empty(), model.tab) {
        (false, _) => format!("no task here has the words `{}`; Esc shows all", plain::line(&model.filter)),
        (true, Tab::All) => "no task yet; in another terminal: factoryctl submit \"…\"".to_owned(),
        (true, tab) => format!("no task under {}; Tab goes to the next", tab.name()),
    }
}

fn title(task: &v1::Task) -> String {
    match &task.spec {
        Some(spec) => plain::line(&spec.title),
        None => "…".to_owned(),
    }
}

/// Its last part, which tells it from others.
fn repo(task: &v1::Task) -> String {
    let repo = task.spec.as_ref().map_or("", |spec| &spec.repo);
    let name = repo.trim_end_matches('/').trim_end_matches(".git");
    plain::line(name.rsplit(['/', ':']).next().unwrap_or(name))
}

fn role(task: &v1::Task) -> String {
    plain::line(task.spec.as_ref().map_or("", |spec| &spec.role))
}

fn worker(task: &v1::Task) -> String {
    let lost = if task.unreachable { "! " } else { "" };
    format!("{lost}{}", plain::line(&task.worker_name))
}

fn age(task: &v1::Task, now_ms: i64) -> String {
    units::age(task.submitted_at_ms, now_ms)
}

/// In this state so far, or to the next try; once ended, in all.
fn time(task: &v1::Task, now_ms: i64) -> String {
    match task.state() {
        TaskState::Parked => units::until(task.wake_at_ms, now_ms).replace("in ", "-"),
        state if state.is_terminal() => units::span(task.ended_at_ms - task.submitted_at_ms),
        TaskState::Queued | TaskState::Blocked | TaskState::Unspecified => String::new(),
        _ => units::span(now_ms - task.updated_at_ms),
    }
}

fn attempts(task: &v1::Task) -> String {
    if task.attempts == 0 { String::new() } else { task.attempts.to_string() }
}

fn percent(task: &v1::Task) -> String {
    let live = task.progress_percent.filter(|_| !task.state().is_terminal());
    live.map(|percent| format!("{percent}%")).unwrap_or_default()
}

fn cost(task: &v1::Task) -> String {
    match fleet::cost_micro_usd(task) {
        0 => String::new(),
        cost => units::money(cost),
    }
}

/// What one would ask next about a task in this state.
fn note(task: &v1::Task, now_ms: i64) -> String {
    let failure = || {
        let failure = task.failure.clone().unwrap_or_default();
        plain::line(&format!("{}: {}", failure.reason, failure.message))
    };
    match task.state() {
        _ if task.open_questions > 0 => {
            format!("asks {}", units::count(task.open_questions.into(), "question"))
        }
        TaskState::Running | TaskState::Leased if task.unreachable => "not heard of".to_owned(),
        TaskState::Running | TaskState::Leased => plain::line(&task.progress),
        TaskState::Queued | TaskState::Blocked => plain::line(&task.waiting_for),
        TaskState::Parked if is_limited(&task.failure) => {
            format!("usage limit, until {}", units::until_moment(task.wake_at_ms, now_ms))
        }
        TaskState::Parked | TaskState::Failed => failure(),
        TaskState::Cancelled => plain::line(&task.cancelled_because),
        TaskState::Succeeded => {
            let stat = task.report.as_ref().and_then(|report| report.diff_stat);
            units::diff_stat(&stat.unwrap_or_default())
        }
        TaskState::Waiting | TaskState::Cancelling | TaskState::Unspecified => String::new(),
    }
}
