//! What is wrong with a file of the library.

use std::fmt;

/// Something that keeps a file from being used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `built-in`, or the file.
    pub source: String,
    /// Counted from 1; 0: the whole file.
    pub line: u32,
    pub message: String,
}

impl Problem {
    pub fn new(source: &str, line: usize, message: impl ToString) -> Self {
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        Self { source: source.to_owned(), line, message: message.to_string() }
    }

    /// Of a TOML text that begins `lines_before` lines down its file.
    pub(super) fn of_toml(source: &str, text: &str, lines_before: usize, error: &toml::de::Error) -> Self {
        let line = error.span().map_or(0, |span| line_at(text, span.start) + lines_before);
        Self::new(source, line, error.message())
    }
}

/// The line, counted from 1, in which the byte at `offset` lies.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|&byte| byte == b'\n').count() + 1
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.source, self.message),
            line => write!(f, "{}:{line}: {}", self.source, self.message),
        }
    }
}
