//! The terminal, taken for a full screen and given back however the program ends.

use std::io::{self, stdout};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use ratatui::crossterm::style::force_color_output;

/// Gives the terminal back when dropped. A panic gives it back before it is told of.
///
/// The mouse is left alone, so that text can still be marked and copied with it.
pub struct FullScreen {
    pub terminal: DefaultTerminal,
}

impl FullScreen {
    pub fn take(colored: bool) -> io::Result<Self> {
        // Whether there are colours was decided before, from the same variables and the option.
        force_color_output(colored);
        let terminal = ratatui::try_init()?;
        // From here on the drop sees to it.
        let screen = Self { terminal };
        execute!(stdout(), EnableBracketedPaste)?;
        Ok(screen)
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        // What cannot be given back is gone: nobody looks at it any more.
        let _ = execute!(stdout(), DisableBracketedPaste);
        ratatui::restore();
    }
}
