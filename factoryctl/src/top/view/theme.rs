//! Colours and marks. Where colours are not wanted, the marks and words say it all.

use anstyle::AnsiColor;
use factory_proto::v1::TaskState;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use crate::render::task::state_style;

#[derive(Debug, Clone, Copy)]
pub struct Theme {
    pub colored: bool,
}

impl Theme {
    pub fn state(self, state: TaskState) -> Style {
        self.ansi(state_style(state))
    }

    pub fn color(self, color: AnsiColor) -> Style {
        self.ansi(crate::render::console::style(color))
    }

    pub fn good(self) -> Style {
        self.color(AnsiColor::Green)
    }

    pub fn warning(self) -> Style {
        self.color(AnsiColor::Yellow)
    }

    pub fn bad(self) -> Style {
        self.color(AnsiColor::Red)
    }

    pub fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// What keys go to.
    pub fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// A line that brings colours of its own.
    pub fn toned(self, mut line: Line<'static>) -> Line<'static> {
        if !self.colored {
            for span in &mut line.spans {
                (span.style.fg, span.style.bg) = (None, None);
            }
        }
        line
    }

    /// As the other commands colour it.
    fn ansi(self, style: anstyle::Style) -> Style {
        let mut modifier = Modifier::empty();
        for (effect, same) in
            [(anstyle::Effects::DIMMED, Modifier::DIM), (anstyle::Effects::BOLD, Modifier::BOLD)]
        {
            if style.get_effects().contains(effect) {
                modifier |= same;
            }
        }
        let shown = Style::new().add_modifier(modifier);
        match style.get_fg_color() {
            Some(anstyle::Color::Ansi(color)) if self.colored => shown.fg(of_ansi(color)),
            _ => shown,
        }
    }
}

const fn of_ansi(color: AnsiColor) -> Color {
    match color {
        AnsiColor::Black => Color::Black,
        AnsiColor::Red => Color::Red,
        AnsiColor::Green => Color::Green,
        AnsiColor::Yellow => Color::Yellow,
        AnsiColor::Blue => Color::Blue,
        AnsiColor::Magenta => Color::Magenta,
        AnsiColor::Cyan => Color::Cyan,
        AnsiColor::White => Color::Gray,
        AnsiColor::BrightBlack => Color::DarkGray,
        AnsiColor::BrightRed => Color::LightRed,
        AnsiColor::BrightGreen => Color::LightGreen,
        AnsiColor::BrightYellow => Color::LightYellow,
        AnsiColor::BrightBlue => Color::LightBlue,
        AnsiColor::BrightMagenta => Color::LightMagenta,
        AnsiColor::BrightCyan => Color::LightCyan,
        AnsiColor::BrightWhite => Color::White,
    }
}

/// One column wide in every font.
pub const fn glyph(state: TaskState) -> &'static str {
    match state {
        TaskState::Unspecified => "·",
        TaskState::Blocked => "◌",
        TaskState::Queued => "○",
        TaskState::Leased => "◐",
        TaskState::Running => "●",
        TaskState::Cancelling => "◑",
        TaskState::Parked => "◷",
        TaskState::Waiting => "?",
        TaskState::Succeeded => "✓",
        TaskState::Failed => "✗",
        TaskState::Cancelled => "⊘",
    }
}

/// How much of `of` is taken, in at most `width` squares.
pub fn gauge(taken: u64, of: u64, width: u64) -> String {
    let width = width.min(of);
    let full = if of == 0 { 0 } else { (taken.min(of) * width).div_ceil(of) };
    let square = |place| if place < full { '■' } else { '□' };
    (0..width).map(square).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_has_a_square_a_slot_until_there_are_too_many() {
        assert_eq!(gauge(1, 3, 8), "■□□");
        assert_eq!(gauge(0, 0, 8), "");
        assert_eq!(gauge(1, 64, 8), "■□□□□□□□");
        assert_eq!(gauge(64, 64, 8), "■■■■■■■■");
        assert_eq!(gauge(9, 3, 8), "■■■");
    }

    #[test]
    fn without_colours_what_matters_still_stands_out() {
        let plain = Theme { colored: false };
        assert_eq!(plain.state(TaskState::Failed).fg, None);
        assert_eq!(plain.toned(Line::styled("x", Style::new().fg(Color::Red))).spans[0].style.fg, None);
        assert_eq!(Theme { colored: true }.state(TaskState::Failed).fg, Some(Color::Red));
    }
}
