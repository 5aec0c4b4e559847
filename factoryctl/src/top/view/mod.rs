//! The model as one frame, on any screen from 40 columns and 8 rows up.

mod header;
mod prompts;
mod tasks;
mod theme;
mod workers;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Widget};

use super::model::{Focus, Model, Page, Subject};
use super::prompt::Prompt;
pub use theme::Theme;

/// Screens with fewer rows show workers only on demand.
const ROOM_FOR_WORKERS: u16 = 20;
/// Workers shown beside the tasks; all of them when one goes to them.
const FEW_WORKERS: u16 = 5;

/// Draws everything; gives where one writes, if anywhere.
pub fn draw(model: &Model, theme: Theme, area: Rect, buf: &mut Buffer) -> Option<Position> {
    let [head, body, foot] = parts(area);
    header::draw(model, theme, head, buf);
    match &model.page {
        Some(page) => draw_page(page, theme, body, buf),
        None => {
            let [of_workers, of_tasks] = lists(model, body);
            workers::draw(model, theme, of_workers, buf);
            tasks::draw(model, theme, of_tasks, buf);
        }
    }
    prompts::draw(model, theme, body, foot, buf)
}

fn parts(area: Rect) -> [Rect; 3] {
    Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)]).areas(area)
}

fn lists(model: &Model, body: Rect) -> [Rect; 2] {
    // The title and the names of the columns.
    const OVER: u16 = 2;
    let all = u16::try_from(model.fleet.workers.len().max(1)).unwrap_or(u16::MAX).saturating_add(OVER);
    let workers = match model.focus {
        Focus::Workers => all.min(body.height / 2),
        Focus::Tasks if body.height < ROOM_FOR_WORKERS => 0,
        Focus::Tasks => all.min(FEW_WORKERS + OVER),
    };
    Layout::vertical([Constraint::Length(workers), Constraint::Fill(1)]).areas(body)
}

/// Where the rows of a page are, on a screen of this size.
pub fn page_body(area: Rect) -> Rect {
    let [_, body, _] = parts(area);
    inside(body)
}

/// Rows of the list that has the focus.
pub fn list_height(model: &Model) -> u16 {
    let [_, body, _] = parts(model.area);
    let [of_workers, of_tasks] = lists(model, body);
    let list = match model.focus {
        Focus::Tasks => of_tasks,
        Focus::Workers => of_workers,
    };
    list.height.saturating_sub(2)
}

/// Below the line with the title.
fn inside(area: Rect) -> Rect {
    Block::new().borders(Borders::TOP).inner(area)
}

/// A line with a title on it, over what it names.
fn titled(title: Line<'_>, focused: bool, theme: Theme, area: Rect, buf: &mut Buffer) -> Rect {
    let bright = Style::new().remove_modifier(Modifier::DIM).add_modifier(Modifier::BOLD);
    let title = if focused { title.style(bright) } else { title };
    Block::new().borders(Borders::TOP).border_style(theme.dim()).title(title).render(area, buf);
    inside(area)
}

fn draw_page(page: &Page, theme: Theme, area: Rect, buf: &mut Buffer) {
    let pager = &page.pager;
    let body = inside(area);
    let place = match pager.place(body.height) {
        _ if pager.follows() && !matches!(page.subject, Subject::Help | Subject::Details(_)) => {
            " follows ".to_owned()
        }
        Some(percent) => format!(" {percent}% "),
        None => String::new(),
    };
    let older = if pager.is_cut() { " (older lines are not shown)" } else { "" };
    let title = Line::from(vec![
        Span::raw(format!(" {}", pager.title)),
        Span::styled(format!("{older} "), theme.dim()),
    ]);
    titled(title, true, theme, area, buf);
    let width = u16::try_from(place.len()).unwrap_or_default();
    if area.width > width + 20 {
        buf.set_string(area.right() - width, area.y, place, theme.dim());
    }
    for (row, line) in body.rows().zip(pager.window(body.height)) {
        theme.toned(line.clone()).render(row, buf);
    }
}

/// The first of the rows shown, so that `place` is among them and things move little.
fn first_shown(place: usize, rows: usize, height: u16) -> usize {
    let height = usize::from(height.max(1));
    place.saturating_sub(height / 2).min(rows.saturating_sub(height))
}

/// Whether one writes or answers now, so that the lists do not look as if keys went to them.
fn prompted(model: &Model) -> bool {
    matches!(model.prompt, Some(Prompt::Answer(_) | Prompt::Confirm(_)))
}

#[cfg(test)]
mod tests;
