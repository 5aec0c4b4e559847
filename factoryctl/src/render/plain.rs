//! Foreign text made harmless. What agents and repositories print may hold
//! escape sequences that move the cursor, retitle the window or reverse the
//! direction of writing; none of them may reach a terminal through us.

use anstream::adapter::strip_str;

/// Several lines: line breaks and tabs stay.
pub fn text(text: &str) -> String {
    strip_str(text).to_string().replace("\r\n", "\n").chars().map(|c| harmless(c, true)).collect()
}

/// One line: line breaks are shown, not followed.
pub fn line(text: &str) -> String {
    let text = strip_str(text).to_string();
    text.trim_end_matches(['\r', '\n']).chars().map(|c| harmless(c, false)).collect()
}

fn harmless(c: char, breaks: bool) -> char {
    match c {
        '\t' => '\t',
        '\n' if breaks => '\n',
        // The pictures of the control characters stand in their order.
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        // C1 controls, and what overrides the direction of writing.
        '\u{80}'..='\u{9f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

/// At most `width` characters, with a mark where something was cut.
pub fn shorten(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(width.saturating_sub(1)).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_drives_a_terminal_comes_through() {
        for hostile in [
            "\x1b[2J\x1b[1;1Hgone",
            "\x1b]0;title\x07after",
            "\x1b]52;c;cGFzdGU=\x07",
            "a\u{9b}31mb",
            "\x1bP+q\x1b\\x",
            "\rover",
            "\u{202e}txt.exe",
            "\x1b",
            "back\x08space",
        ] {
            for shown in [text(hostile), line(hostile)] {
                assert!(
                    !shown.chars().any(|c| c.is_control() && c != '\t' && c != '\n'),
                    "{hostile:?} gave {shown:?}"
                );
                assert!(!shown.contains('\u{202e}'));
            }
        }
    }

    #[test]
    fn ordinary_text_stays_as_it_is() {
        assert_eq!(
            text("fn main() {\n\tprintln!(\"größer ✓\");\n}"),
            "fn main() {\n\tprintln!(\"größer ✓\");\n}"
        );
        assert_eq!(line("\x1b[32mok\x1b[0m\r\n"), "ok");
        assert_eq!(line("a\nb"), "a␊b");
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        assert_eq!(shorten("größer", 6), "größer");
        assert_eq!(shorten("größere", 6), "größe…");
    }
}
