//! Where it looks, whether news comes, and how many of everything there are.

use factory_proto::v1::TaskState;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::theme::{Theme, gauge, glyph};
use crate::render::{plain, units};
use crate::top::fleet::Link;
use crate::top::list::STATES;
use crate::top::model::Model;

pub fn draw(model: &Model, theme: Theme, area: Rect, buf: &mut Buffer) {
    let mut rows = area.rows();
    let (Some(first), Some(second)) = (rows.next(), rows.next()) else { return };
    let sums = sums(model, theme);
    let taken = u16::try_from(sums.width()).unwrap_or(u16::MAX);
    place(model, theme).render(first, buf);
    sums.render(Rect { x: first.right().saturating_sub(taken), ..first }.intersection(first), buf);
    states(model, theme).render(second, buf);
}

fn place(model: &Model, theme: Theme) -> Line<'static> {
    let name = Span::styled("factory ", Modifier::BOLD);
    let url = Span::raw(format!(" {}", plain::line(&model.fleet.url)));
    let link = match &model.fleet.link {
        Link::Connected => Span::styled("● connected", theme.good()),
        // Why is told at the foot, where there is room for it.
        Link::Lost(_) => Span::styled("◌ reconnecting", theme.warning().add_modifier(Modifier::BOLD)),
    };
    // Where it is narrow, the end of the URL is missed least.
    Line::from(vec![name, link, url])
}

fn sums(model: &Model, theme: Theme) -> Line<'static> {
    let fleet = &model.fleet;
    let (busy, slots) = fleet.slots();
    let gauge = gauge(busy.into(), slots.into(), 10);
    let mut spans = vec![Span::raw(format!("  {gauge} {busy}/{slots} slots"))];
    spans.push(Span::raw(format!("  {}", units::money(fleet.cost_micro_usd()))));
    match fleet.open_questions() {
        0 => {}
        open => {
            let style = theme.warning().add_modifier(Modifier::BOLD);
            spans.push(Span::raw("  "));
            spans.push(Span::styled(units::count(open, "question"), style));
        }
    }
    Line::from(spans)
}

fn states(model: &Model, theme: Theme) -> Line<'static> {
    let mut spans = Vec::new();
    if !model.fleet.disk_warning.is_empty() {
        let warning = format!("! {}  ", plain::line(&model.fleet.disk_warning));
        spans.push(Span::styled(warning, theme.bad()));
    }
    for state in STATES {
        let count = model.fleet.count(state);
        // Those that one looks for stay where they are; the rest come and go.
        let always = matches!(
            state,
            TaskState::Running | TaskState::Queued | TaskState::Failed | TaskState::Succeeded
        );
        if count > 0 || always {
            let style = if count == 0 { theme.dim() } else { theme.state(state) };
            spans.push(Span::styled(format!("{} {count} {}", glyph(state), state.name()), style));
            spans.push(Span::raw("  "));
        }
    }
    Line::from(spans)
}
