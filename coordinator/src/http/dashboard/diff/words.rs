//! Which words of a changed line were changed.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::Line;

/// Lines that are alike by less are taken for different lines, in which every word is new.
const ALIKE: f32 = 0.5;
/// Lines of one change that are compared.
const MOST_PAIRS: usize = 60;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    pub text: String,
    pub changed: bool,
}

/// Marks the changed words where lines were removed and others added in their place: of each with the one that
/// stands where it stood.
pub fn mark(lines: &mut [Line]) {
    let mut at = 0;
    while at < lines.len() {
        let removed = run(&lines[at..], "removed");
        let added = run(&lines[at + removed..], "added");
        let (old, new) = lines[at..at + removed + added].split_at_mut(removed);
        old.iter_mut().zip(new).take(MOST_PAIRS).for_each(|(old, new)| compare(old, new));
        at += (removed + added).max(1);
    }
}

fn run(lines: &[Line], kind: &str) -> usize {
    lines.iter().take_while(|line| line.kind == kind).count()
}

fn compare(old: &mut Line, new: &mut Line) {
    let ([old_part], [new_part]) = (old.parts.as_slice(), new.parts.as_slice()) else { return };
    let (old_words, new_words) = (words(&old_part.text), words(&new_part.text));
    let diff = TextDiff::from_slices(&old_words, &new_words);
    if diff.ratio() < ALIKE {
        return;
    }
    let (mut old_parts, mut new_parts) = (Vec::new(), Vec::new());
    for change in diff.iter_all_changes() {
        let word = change.value();
        match change.tag() {
            ChangeTag::Equal => {
                push(&mut old_parts, word, false);
                push(&mut new_parts, word, false);
            }
            ChangeTag::Delete => push(&mut old_parts, word, true),
            ChangeTag::Insert => push(&mut new_parts, word, true),
        }
    }
    (old.parts, new.parts) = (old_parts, new_parts);
}

fn push(parts: &mut Vec<Part>, word: &str, changed: bool) {
    match parts.last_mut() {
        Some(last) if last.changed == changed => last.text.push_str(word),
        _ => parts.push(Part { text: word.to_owned(), changed }),
    }
}

/// Names, runs of spaces, and every other character by itself: as code reads.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            first if is_name(first) => rest.find(|it| !is_name(it)),
            first if first.is_whitespace() => rest.find(|it: char| !it.is_whitespace()),
            first => Some(first.len_utf8()),
        };
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = after;
    }
    words
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}
