//! The workers: whether they are there, how busy, what they run.

use factory_proto::v1;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Row, Table, Widget};

use super::theme::{Theme, gauge};
use super::{first_shown, prompted, titled};
use crate::render::{plain, units, worker};
use crate::top::model::{Focus, Model};

/// Columns from which on all of them fit.
const WIDE: u16 = 100;

pub fn draw(model: &Model, theme: Theme, area: Rect, buf: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let workers = &model.fleet.workers;
    let focused = model.focus == Focus::Workers;
    let away = workers.iter().filter(|worker| !worker.connected).count();
    let away = if away == 0 { String::new() } else { format!(", {away} away") };
    let title = Line::raw(format!(" Workers: {}{away} ", workers.len()));
    let body = titled(title, focused, theme, area, buf);
    if workers.is_empty() {
        let how = "none has registered; start one on any host with: factory-worker --url URL";
        return Text::styled(how, theme.dim()).render(body, buf);
    }
    let height = body.height.saturating_sub(1);
    let first = first_shown(model.worker_place(), workers.len(), height);
    let wide = area.width >= WIDE;
    let rows = workers.iter().enumerate().skip(first).take(height.into()).map(|(place, worker)| {
        let chosen = focused && place == model.worker_place() && !prompted(model);
        row(model, worker, theme, wide).style(if chosen { theme.chosen() } else { theme_of(worker, theme) })
    });
    let mut names = vec!["WORKER", "STATE", "SLOTS", "LOAD"];
    let mut widths =
        vec![Constraint::Max(24), Constraint::Length(16), Constraint::Length(14), Constraint::Length(11)];
    if wide {
        names.extend(["MEMORY", "DISK FREE", "VERSION", "SEEN", "HANDS OVER"]);
        widths.extend([11, 11, 9, 6].map(Constraint::Length));
        widths.push(Constraint::Fill(1));
    }
    let header = Row::new(names).style(theme.dim().add_modifier(Modifier::BOLD));
    Widget::render(Table::new(rows, widths).header(header), body, buf);
}

fn theme_of(worker: &v1::Worker, theme: Theme) -> ratatui::style::Style {
    if worker.connected { ratatui::style::Style::new() } else { theme.dim() }
}

fn row(model: &Model, worker: &v1::Worker, theme: Theme, wide: bool) -> Row<'static> {
    let (state, color) = worker::state(worker);
    let mut cells = vec![
        Span::raw(plain::line(&worker.name)),
        Span::styled(state, theme.color(color)),
        Span::raw(format!(
            "{} {}/{}",
            gauge(worker.busy.into(), worker.slots.into(), 8),
            worker.busy,
            worker.slots
        )),
        load(worker, theme),
    ];
    if wide {
        cells.push(Span::raw(memory(worker)));
        let disk = worker.free_disk_bytes;
        cells.push(Span::raw(if disk == 0 { String::new() } else { units::bytes(disk) }));
        cells.push(Span::raw(plain::line(&worker.version)));
        let seen = if worker.connected { 0 } else { worker.last_seen_at_ms };
        cells.push(Span::raw(units::age(seen, model.now_ms)));
        cells.push(Span::raw(worker::hand_over(worker, model.now_ms)));
    }
    Row::new(cells)
}

/// Of one minute, beside the processors it is spread over.
fn load(worker: &v1::Worker, theme: Theme) -> Span<'static> {
    let Some(load) = worker.load else { return Span::raw("") };
    let text = worker::load(&load);
    if load.load_1m_hundredths > load.cpus.saturating_mul(150) {
        Span::styled(text, theme.warning())
    } else {
        Span::raw(text)
    }
}

/// How much of it is taken.
fn memory(worker: &v1::Worker) -> String {
    let load = worker.load.unwrap_or_default();
    let taken = load.memory_total_bytes.saturating_sub(load.memory_available_bytes);
    match load.memory_total_bytes {
        0 => String::new(),
        total => format!("{}% taken", u128::from(taken) * 100 / u128::from(total)),
    }
}
