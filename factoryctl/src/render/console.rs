//! The two outputs of every command: data on stdout, and all that is said
//! about it on stderr.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstream::ColorChoice;
use anstyle::Style;
use clap::ValueEnum;
use serde::Serialize;

use crate::cli::Color;
use crate::exit::CommandError;
use crate::render::plain;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Table,
    /// One JSON value
    Json,
    /// One JSON object a line
    Jsonl,
}

/// Where output goes, and in which form.
#[derive(Debug, Clone, Copy)]
pub struct Console {
    pub format: Format,
}

impl Console {
    /// Sets the process-wide choice of colours, which both outputs follow.
    pub fn new(format: Format, color: Color) -> Self {
        match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
        .write_global();
        Self { format }
    }

    pub fn for_people(self) -> bool {
        self.format == Format::Table
    }

    /// Whether colours reach stdout.
    pub fn colored(self) -> bool {
        anstream::AutoStream::choice(&io::stdout()) != ColorChoice::Never
    }

    pub fn on_terminal(self) -> bool {
        io::stdout().is_terminal()
    }

    /// Columns of the terminal that stdout is.
    pub fn width(self) -> Option<u16> {
        self.on_terminal().then(crossterm::terminal::size)?.ok().map(|(width, _)| width)
    }

    /// One line of data; colours in it are taken out where stdout does not take them.
    pub fn line(self, text: impl Display) -> Result<(), CommandError> {
        Ok(writeln!(anstream::stdout().lock(), "{text}")?)
    }

    /// Bytes as they are.
    pub fn bytes(self, data: &[u8]) -> Result<(), CommandError> {
        let mut out = io::stdout().lock();
        out.write_all(data)?;
        Ok(out.flush()?)
    }

    /// Text an agent wrote, as it is for a program, and made harmless for a terminal.
    pub fn foreign_text(self, text: &str) -> Result<(), CommandError> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        if self.on_terminal() {
            self.bytes(format!("{}{end}", plain::text(text)).as_bytes())
        } else {
            self.bytes(format!("{text}{end}").as_bytes())
        }
    }

    /// One value, in one line for `jsonl` and indented for `json`.
    pub fn value<T: Serialize>(self, value: &T) -> Result<(), CommandError> {
        let text = match self.format {
            Format::Json => serde_json::to_string_pretty(value),
            Format::Table | Format::Jsonl => serde_json::to_string(value),
        };
        self.bytes(format!("{}\n", text.map_err(io::Error::from)?).as_bytes())
    }

    /// Several values: an array for `json`, a line each for `jsonl`.
    pub fn values<T: Serialize>(self, values: &[T]) -> Result<(), CommandError> {
        match self.format {
            Format::Json => self.value(&values),
            Format::Table | Format::Jsonl => values.iter().try_for_each(|value| self.value(value)),
        }
    }

    /// Something said beside the data. That nobody hears it stops nothing.
    pub fn note(self, text: impl Display) {
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    pub fn warn(self, text: impl Display) {
        let yellow = style(anstyle::AnsiColor::Yellow);
        self.note(format_args!("{yellow}warning:{yellow:#} {text}"));
    }
}

/// Foreground colour alone.
pub const fn style(color: anstyle::AnsiColor) -> Style {
    Style::new().fg_color(Some(anstyle::Color::Ansi(color)))
}

pub const DIM: Style = Style::new().dimmed();
pub const BOLD: Style = Style::new().bold();
