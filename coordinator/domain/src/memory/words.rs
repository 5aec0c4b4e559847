//! The words of a text about code.
//!
//! A full-text index separates words at spaces, punctuation and `_`, so `read_page` is found by
//! `page`. Names in CamelCase are one word to it, though people and agents ask for their parts:
//! the parts are indexed beside the text, and a query asks for both.

use std::collections::HashSet;

/// Words one query asks for: the first so many different ones. Those of a long prompt after that
/// add little but time.
const MAX_TERMS: usize = 48;
/// Too common to tell one memory from another.
const STOP_WORDS: [&str; 48] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "do", "for", "from", "has", "have", "if",
    "in", "into", "is", "it", "its", "must", "not", "of", "on", "or", "should", "so", "that", "the", "their",
    "them", "then", "there", "they", "this", "to", "use", "was", "we", "when", "which", "will", "with",
    "you", "your", "please", "task",
];

/// The words of `text`, as they stand there.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The parts of a name in CamelCase: `parseHTTPHeader` gives `parse`, `HTTP`, `Header`. Of any
/// other word nothing.
fn parts(word: &str) -> Vec<&str> {
    let chars: Vec<(usize, char)> = word.char_indices().collect();
    let mut starts = vec![0];
    for index in 1..chars.len() {
        let (at, c) = chars[index];
        let before = chars[index - 1].1;
        let after_is_small = chars.get(index + 1).is_some_and(|(_, next)| next.is_lowercase());
        if c.is_uppercase() && (!before.is_uppercase() || after_is_small) {
            starts.push(at);
        }
    }
    if starts.len() == 1 {
        return Vec::new();
    }
    let ends = starts.iter().skip(1).copied().chain([word.len()]);
    starts.iter().zip(ends).map(|(start, end)| &word[*start..end]).collect()
}

/// The parts of all names in CamelCase in `text`, each once: what is indexed beside it.
pub fn parts_of_names(text: &str) -> String {
    let mut seen = HashSet::new();
    let parts: Vec<&str> = words(text).flat_map(parts).filter(|part| seen.insert(*part)).collect();
    parts.join(" ")
}

/// What to look for, best known words first: in small letters, each once, without what is too
/// common. Nothing but letters and digits is left, whatever was typed.
pub fn query_terms(query: &str) -> Vec<String> {
    let mut seen = HashSet::new();
    words(query)
        .flat_map(|word| std::iter::once(word).chain(parts(word)))
        .map(str::to_lowercase)
        .filter(|word| !STOP_WORDS.contains(&word.as_str()) && seen.insert(word.clone()))
        .take(MAX_TERMS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(parts("parseHTTPHeader"), ["parse", "HTTP", "Header"]);
        assert_eq!(parts("LoginPage2"), ["Login", "Page2"]);
        assert!(parts("plain").is_empty() && parts("HTTP").is_empty() && parts("Größe").is_empty());
        assert_eq!(parts_of_names("In `LoginPage::showPage()` of login_page.rs"), "Login Page show");
    }

    #[test]
    fn a_query_asks_for_names_and_their_parts_and_for_nothing_too_common() {
        assert_eq!(
            query_terms("Fix the flaky LoginPage test"),
            ["fix", "flaky", "loginpage", "login", "page", "test"]
        );
        assert_eq!(query_terms("the of and"), Vec::<String>::new());
        assert_eq!(query_terms("\"a\" NEAR(b, 2) OR col:x* --"), ["near", "b", "2", "col", "x"]);
        let long: String = (0..1000).map(|n| format!("word{n} ")).collect();
        assert_eq!(query_terms(&long).len(), MAX_TERMS);
    }
}
