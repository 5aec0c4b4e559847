//! A patch, coloured as git does it.

use anstyle::AnsiColor;

use crate::render::console::{BOLD, style};
use crate::render::plain;

/// Tells file headers from the lines of a hunk: inside one, `--- x` is a line taken out.
#[derive(Debug, Default)]
pub struct Painter {
    in_hunk: bool,
}

impl Painter {
    /// One line of a patch, made harmless and coloured.
    pub fn line(&mut self, line: &str) -> String {
        let style = if line.starts_with("diff --git") {
            self.in_hunk = false;
            BOLD
        } else if line.starts_with("@@") {
            self.in_hunk = true;
            style(AnsiColor::Cyan)
        } else if !self.in_hunk {
            BOLD
        } else if line.starts_with('+') {
            style(AnsiColor::Green)
        } else if line.starts_with('-') {
            style(AnsiColor::Red)
        } else {
            return plain::line(line);
        };
        format!("{style}{}{style:#}", plain::line(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_line_that_looks_like_a_header_is_still_red() {
        let mut painter = Painter::default();
        let shown: Vec<_> = ["diff --git a/x b/x", "--- a/x", "@@ -1 +1 @@", "--- x", "+\x1b[2Jy", " same"]
            .into_iter()
            .map(|line| painter.line(line))
            .collect();
        assert_eq!(shown[1], format!("{BOLD}--- a/x{BOLD:#}"));
        assert!(shown[3].starts_with("\x1b[31m"), "{:?}", shown[3]);
        assert!(!shown[4].contains("2J"));
        assert_eq!(shown[5], " same");
    }
}
