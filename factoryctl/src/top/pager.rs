//! A page of lines one scrolls in: a log, a task in full, the message board, the keys.

use std::collections::VecDeque;

use ansi_to_tui::IntoText;
use ratatui::text::{Line, Span};

/// Lines kept; the log itself has all.
const MOST: usize = 5_000;
/// Characters of one line that are kept.
const LONGEST: usize = 4_000;

#[derive(Debug)]
pub struct Pager {
    pub title: String,
    /// Coloured as the rest of factoryctl colours them, and harmless otherwise.
    lines: VecDeque<String>,
    /// The lines, broken to `width`.
    rows: VecDeque<Line<'static>>,
    width: usize,
    /// The first row shown; `None`: the last rows are shown, and those that come.
    top: Option<usize>,
    /// Older lines had to go.
    cut: bool,
}

impl Pager {
    /// Shows its end, and what comes.
    pub fn following(title: String, width: u16) -> Self {
        Self {
            title,
            lines: VecDeque::new(),
            rows: VecDeque::new(),
            width: width.max(1).into(),
            top: None,
            cut: false,
        }
    }

    /// Shows its beginning.
    pub fn from_the_top(title: String, width: u16) -> Self {
        Self { top: Some(0), ..Self::following(title, width) }
    }

    pub fn push(&mut self, line: &str) {
        let line: String = line.chars().take(LONGEST).collect::<String>().replace('\t', "    ");
        self.rows.extend(rows(&line, self.width));
        self.lines.push_back(line);
        if self.lines.len() > MOST + MOST / 10 {
            self.cut = true;
            let before = self.rows.len();
            self.lines.drain(..MOST / 10);
            self.break_lines();
            let gone = before.saturating_sub(self.rows.len());
            self.top = self.top.map(|top| top.saturating_sub(gone));
        }
    }

    /// Everything anew; what was looked at stays where it is.
    pub fn replace(&mut self, text: &str) {
        self.lines.clear();
        self.rows.clear();
        for line in text.lines() {
            self.push(line);
        }
    }

    pub fn set_width(&mut self, width: u16) {
        let width = usize::from(width.max(1));
        if width != self.width {
            let (top, before) = (self.top, self.rows.len().max(1));
            self.width = width;
            self.break_lines();
            self.top = top.map(|top| top * self.rows.len() / before);
        }
    }

    fn break_lines(&mut self) {
        let width = self.width;
        self.rows = self.lines.iter().flat_map(|line| rows(line, width)).collect();
    }

    /// Moves by so many rows; at the end it follows.
    pub fn scroll(&mut self, by: isize, height: u16) {
        let last = self.last_top(height);
        let top = self.top.unwrap_or(last).min(last).saturating_add_signed(by);
        self.top = (top < last).then_some(top);
    }

    pub fn go_to_start(&mut self) {
        self.top = Some(0);
    }

    pub fn go_to_end(&mut self) {
        self.top = None;
    }

    pub fn follows(&self) -> bool {
        self.top.is_none()
    }

    /// Stops where it is, or follows again.
    pub fn toggle_following(&mut self, height: u16) {
        self.top = match self.top {
            Some(_) => None,
            None => Some(self.last_top(height)),
        };
    }

    pub fn window(&self, height: u16) -> impl Iterator<Item = &Line<'static>> {
        let last = self.last_top(height);
        self.rows.iter().skip(self.top.unwrap_or(last).min(last)).take(height.into())
    }

    /// Where one is, in percent of what there is; `None`: all of it is to be seen.
    pub fn place(&self, height: u16) -> Option<usize> {
        let last = self.last_top(height);
        (last > 0).then(|| self.top.unwrap_or(last).min(last) * 100 / last)
    }

    pub fn is_cut(&self) -> bool {
        self.cut
    }

    fn last_top(&self, height: u16) -> usize {
        self.rows.len().saturating_sub(height.into())
    }
}

/// One line, coloured by its escape sequences and broken between words.
fn rows(line: &str, width: usize) -> Vec<Line<'static>> {
    // Only what factoryctl itself writes has escape sequences; were one of them unknown, the text stays.
    let text = line.into_text().unwrap_or_else(|_| line.to_owned().into());
    text.lines.iter().flat_map(|line| wrap(line, width)).collect()
}

fn wrap(line: &Line<'_>, width: usize) -> Vec<Line<'static>> {
    let mut done = Vec::new();
    let mut row: Vec<(Span<'static>, usize)> = Vec::new();
    let mut used = 0;
    for grapheme in line.styled_graphemes(line.style) {
        let span = Span::styled(grapheme.symbol.to_owned(), grapheme.style);
        let wide = span.width();
        if used + wide > width && !row.is_empty() {
            let space = row.iter().rposition(|(span, _)| span.content == " ");
            let rest = space.map_or_else(Vec::new, |space| row.split_off(space + 1));
            done.push(joined(std::mem::replace(&mut row, rest)));
            used = row.iter().map(|(_, wide)| wide).sum();
        }
        used += wide;
        row.push((span, wide));
    }
    done.push(joined(row));
    done
}

/// One span for each run of graphemes in the same style.
fn joined(row: Vec<(Span<'static>, usize)>) -> Line<'static> {
    let mut spans: Vec<Span<'static>> = Vec::new();
    for (span, _) in row {
        match spans.last_mut().filter(|last| last.style == span.style) {
            Some(last) => last.content.to_mut().push_str(&span.content),
            None => spans.push(span),
        }
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use ratatui::style::Color;

    use super::*;

    fn shown(pager: &Pager, height: u16) -> Vec<String> {
        pager.window(height).map(ToString::to_string).collect()
    }

    #[test]
    fn lines_are_broken_between_words_and_keep_their_colours() {
        let rows = rows("\x1b[31mred words\x1b[0m and others-that-are-long", 10);
        let text: Vec<String> = rows.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["red words ", "and ", "others-tha", "t-are-long"]);
        assert_eq!(rows[0].spans[0].style.fg, Some(Color::Red));
        assert_ne!(rows[1].spans[0].style.fg, Some(Color::Red));
    }

    #[test]
    fn wide_characters_count_twice() {
        let text: Vec<String> = rows("漢字漢字", 5).iter().map(ToString::to_string).collect();
        assert_eq!(text, ["漢字", "漢字"]);
    }

    #[test]
    fn it_follows_until_someone_scrolls_up_and_again_at_the_end() {
        let mut pager = Pager::following("log".into(), 20);
        for n in 0..10 {
            pager.push(&format!("line {n}"));
        }
        assert_eq!(shown(&pager, 3), ["line 7", "line 8", "line 9"]);
        pager.scroll(-2, 3);
        pager.push("line 10");
        assert_eq!(shown(&pager, 3), ["line 5", "line 6", "line 7"]);
        assert!(!pager.follows());
        pager.scroll(100, 3);
        assert!(pager.follows());
        assert_eq!(shown(&pager, 3), ["line 8", "line 9", "line 10"]);
        pager.go_to_start();
        assert_eq!((pager.place(3), shown(&pager, 1)), (Some(0), vec!["line 0".to_owned()]));
        pager.scroll(-5, 3);
        assert_eq!(shown(&pager, 1), ["line 0"]);
    }

    #[test]
    fn old_lines_go_and_what_is_looked_at_stays() {
        let mut pager = Pager::following("log".into(), 20);
        for n in 0..=MOST + MOST / 10 - 1 {
            pager.push(&format!("line {n}"));
        }
        pager.scroll(-10, 3);
        let before = shown(&pager, 3);
        pager.push("one more");
        assert!(pager.is_cut());
        assert_eq!(shown(&pager, 3), before);
    }

    #[test]
    fn a_narrower_screen_breaks_lines_anew() {
        let mut pager = Pager::from_the_top("task".into(), 20);
        pager.replace("one two\nthree");
        assert_eq!(shown(&pager, 9), ["one two", "three"]);
        pager.set_width(4);
        assert_eq!(shown(&pager, 9), ["one ", "two", "thre", "e"]);
        pager.set_width(0);
        assert!(!shown(&pager, 50).is_empty());
    }
}
