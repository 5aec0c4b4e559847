//! The last lines of a stream, bounded, for messages to people.

use std::collections::VecDeque;

const LINES: usize = 20;
const LINE: usize = 500;

/// Keeps the last lines that say anything.
#[derive(Debug, Default)]
pub struct Tail {
    lines: VecDeque<String>,
}

impl Tail {
    pub fn push(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(&line[..line.len().min(LINE)]);
        if line.trim().is_empty() {
            return;
        }
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.trim_end().to_owned());
    }

    /// All that is kept, a line each.
    pub fn text(&self) -> String {
        self.lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// The last few, as one line.
    pub fn brief(&self) -> Option<String> {
        let from = self.lines.len().saturating_sub(3);
        let lines: Vec<&str> = self.lines.range(from..).map(|line| line.trim()).collect();
        (!lines.is_empty()).then(|| lines.join(" · "))
    }
}
