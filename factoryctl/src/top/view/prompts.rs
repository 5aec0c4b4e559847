//! The foot of the screen: what is asked, what was done, or the keys.

use factory_proto::v1;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Widget, Wrap};
use tui_input::Input;

use super::theme::Theme;
use super::titled;
use crate::render::{plain, units};
use crate::top::fleet::Link;
use crate::top::model::{Focus, Model, Subject};
use crate::top::prompt::{Answering, Confirm, Prompt};

/// Draws it; gives where one writes.
pub fn draw(model: &Model, theme: Theme, body: Rect, foot: Rect, buf: &mut Buffer) -> Option<Position> {
    match &model.prompt {
        Some(Prompt::Filter(input)) => write_line("/", input, foot, buf),
        Some(Prompt::Confirm(confirm)) => {
            ask(confirm, theme).render(foot, buf);
            None
        }
        Some(Prompt::Answer(answering)) => {
            said(model, answering, theme).render(foot, buf);
            answer(model, answering, theme, body, buf)
        }
        None => {
            let line = match (model.notice(), &model.fleet.link) {
                (Some((text, true)), _) => Line::styled(text.to_owned(), theme.bad()),
                (Some((text, false)), _) => Line::styled(text.to_owned(), theme.good()),
                (None, Link::Lost(why)) => Line::styled(plain::line(why), theme.warning()),
                (None, Link::Connected) => Line::styled(keys(model), theme.dim()),
            };
            line.render(foot, buf);
            None
        }
    }
}

/// The keys that are of use here; those that matter most first, for narrow screens.
fn keys(model: &Model) -> &'static str {
    match (model.page.as_ref().map(|page| page.subject), model.focus) {
        (Some(Subject::Log(_)), _) => "q back  f follow  i details  a answer  c cancel  r retry",
        (Some(Subject::Details(_)), _) => "q back  l log  a answer  c cancel  r retry",
        (Some(Subject::Messages), _) => "q back  f follow",
        (Some(Subject::Help), _) => "q back",
        (None, Focus::Tasks) => {
            "q quit  ? keys  l log  i details  a answer  c cancel  r retry  / filter  Tab states  w workers  m messages"
        }
        (None, Focus::Workers) => "q quit  ? keys  d drain or resume  w tasks",
    }
}

fn ask(confirm: &Confirm, theme: Theme) -> Line<'static> {
    let mut spans = vec![
        Span::styled(confirm.question.clone(), theme.warning().add_modifier(Modifier::BOLD)),
        Span::raw(" "),
    ];
    for (key, name, _) in &confirm.choices {
        spans.push(Span::styled(key.to_string(), Modifier::BOLD));
        spans.push(Span::raw(format!(" {name}, ")));
    }
    spans.push(Span::styled("n", Modifier::BOLD));
    spans.push(Span::raw(" no"));
    Line::from(spans)
}

fn said(model: &Model, answering: &Answering, theme: Theme) -> Line<'static> {
    if !answering.refused.is_empty() {
        return Line::styled(plain::line(&answering.refused), theme.bad());
    }
    if let Some((text, true)) = model.notice() {
        return Line::styled(text.to_owned(), theme.bad());
    }
    let options = if answering.question().options.is_empty() { "" } else { "up down choose  " };
    let others = if answering.place().1 > 1 { "Tab next question  " } else { "" };
    Line::styled(format!("Enter send  {options}{others}Esc leave it open"), theme.dim())
}

/// The question over the lower part of the screen, and a line to write on.
fn answer(
    model: &Model,
    answering: &Answering,
    theme: Theme,
    body: Rect,
    buf: &mut Buffer,
) -> Option<Position> {
    let question = answering.question();
    let (place, of) = answering.place();
    let text = question_lines(question, answering.input.value(), theme, model.now_ms);
    // As much as it needs, and no more than leaves something of the lists.
    let paragraph = Paragraph::new(text).wrap(Wrap { trim: false });
    let width = usize::from(body.width.max(1));
    let rows: usize = question.text.lines().map(|line| line.chars().count() / width + 1).sum();
    let wanted = u16::try_from(rows + question.options.len() + 4).unwrap_or(u16::MAX);
    let height = wanted.clamp(5, body.height.max(6) - 1).min(body.height);
    let area = Rect { y: body.bottom() - height, height, ..body };
    Clear.render(area, buf);
    let which = if of > 1 { format!(" ({place} of {of})") } else { String::new() };
    let about = plain::shorten(&plain::line(&question.task_title), 60);
    let title = format!(" Question {} of task {}{which}: {about} ", question.number, question.task_number);
    let inside = titled(Line::raw(title), true, theme, area, buf);
    let [words, line] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(inside);
    paragraph.render(words, buf);
    write_line("> ", &answering.input, line, buf)
}

fn question_lines(question: &v1::Question, written: &str, theme: Theme, now_ms: i64) -> Vec<Line<'static>> {
    let text = plain::text(&question.text);
    let mut lines: Vec<_> = text.trim_end().lines().map(|line| Line::raw(line.to_owned())).collect();
    for (number, option) in (1..).zip(&question.options) {
        let chosen = option == written;
        let mark = if chosen { '▸' } else { ' ' };
        let line = Line::raw(format!(" {mark} {number}) {}", plain::line(option)));
        lines.push(if chosen { line.style(Modifier::BOLD) } else { line });
    }
    if question.deadline_at_ms != 0 {
        let until = units::until(question.deadline_at_ms, now_ms);
        let otherwise = match question.default_answer.as_str() {
            "" => "the agent decides by itself then".to_owned(),
            answer => format!("`{}` counts then", plain::line(answer)),
        };
        lines.push(Line::styled(format!("deadline {until}: {otherwise}"), theme.dim()));
    }
    lines
}

fn write_line(mark: &str, input: &Input, area: Rect, buf: &mut Buffer) -> Option<Position> {
    if area.is_empty() {
        return None;
    }
    let taken = u16::try_from(mark.len()).unwrap_or_default();
    let room = area.width.saturating_sub(taken + 1).max(1);
    let scroll = input.visual_scroll(room.into());
    buf.set_string(area.x, area.y, mark, Modifier::BOLD);
    let line = Rect { x: area.x + taken.min(area.width), width: area.width.saturating_sub(taken), ..area };
    let scrolled = u16::try_from(scroll).unwrap_or(u16::MAX);
    Paragraph::new(plain::line(input.value())).scroll((0, scrolled)).render(line, buf);
    let cursor = u16::try_from(input.visual_cursor().saturating_sub(scroll)).unwrap_or_default();
    Some(Position::new((line.x + cursor).min(area.right().saturating_sub(1)), area.y))
}
