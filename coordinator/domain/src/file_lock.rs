//! Files that tasks take for themselves: paths and globs, and whether two of them have a file in common.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is not a path or glob inside the repository: {why}")]
pub struct InvalidPathPattern {
    pattern: String,
    why: &'static str,
}

/// A path in a repository, relative to its root, or a glob: `*` and `?` stay within one part of a
/// path, `**` crosses them. What lies below a path belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(String);

const MAX_LENGTH: usize = 500;

impl PathPattern {
    pub fn parse(pattern: &str) -> Result<Self, InvalidPathPattern> {
        let refuse = |why| Err(InvalidPathPattern { pattern: pattern.to_owned(), why });
        let path = pattern.strip_prefix("./").unwrap_or(pattern);
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return refuse("it is empty; `**` means all files");
        }
        if path.len() > MAX_LENGTH {
            return refuse("it is longer than 500 bytes");
        }
        if path.starts_with('/') {
            return refuse("it is absolute");
        }
        if path.chars().any(|c| c.is_control() || c == '\\') {
            return refuse("it holds a control character or a backslash");
        }
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return refuse("a part of it is empty, `.` or `..`");
        }
        if path.split('/').any(|part| part != "**" && part.contains("**")) {
            return refuse("`**` must be a whole part of the path");
        }
        if path.contains(['[', ']', '{', '}']) {
            return refuse("of the wildcards, only `*`, `?` and `**` are understood");
        }
        Ok(Self(path.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether some path belongs to both.
    ///
    /// A table over the parts of both patterns, filled from their ends: the parts from `i` of one and
    /// from `j` of the other have a path in common. What lies below a path belongs to it, so wherever
    /// one of them ends, whatever is left of the other does.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (ours, theirs): (Vec<&str>, Vec<&str>) =
            (self.0.split('/').collect(), other.0.split('/').collect());
        let mut below = vec![true; theirs.len() + 1];
        for our in ours.iter().rev() {
            let mut row = vec![true; theirs.len() + 1];
            for (j, their) in theirs.iter().enumerate().rev() {
                row[j] = match (*our, *their) {
                    ("**", _) | (_, "**") => below[j] || row[j + 1],
                    (our, their) => below[j + 1] && parts_meet(our, their),
                };
            }
            below = row;
        }
        below[0]
    }
}

/// Whether some name fits both parts of a path, in which `*` is any run of characters and `?` is one.
fn parts_meet(ours: &str, theirs: &str) -> bool {
    if !ours.contains(['*', '?']) && !theirs.contains(['*', '?']) {
        return ours == theirs;
    }
    let (ours, theirs): (Vec<char>, Vec<char>) = (ours.chars().collect(), theirs.chars().collect());
    // As above: the ends of both from here on have a name in common.
    let mut below: Vec<bool> = (0..=theirs.len()).map(|j| theirs[j..].iter().all(|&c| c == '*')).collect();
    for (i, &our) in ours.iter().enumerate().rev() {
        let mut row = vec![false; theirs.len() + 1];
        row[theirs.len()] = ours[i..].iter().all(|&c| c == '*');
        for (j, &their) in theirs.iter().enumerate().rev() {
            row[j] = match (our, their) {
                ('*', _) | (_, '*') => below[j] || row[j + 1],
                _ => below[j + 1] && (our == their || our == '?' || their == '?'),
            };
        }
        below = row;
    }
    below[0]
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.0
    }
}

impl TryFrom<String> for PathPattern {
    type Error = InvalidPathPattern;

    fn try_from(pattern: String) -> Result<Self, InvalidPathPattern> {
        Self::parse(&pattern)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> PathPattern {
        PathPattern::parse(text).expect("a pattern")
    }

    /// By the meaning of the words alone: does `path` belong to the pattern?
    fn belongs(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern, path) {
            ([], _) => true,
            (["**", rest @ ..], _) if belongs(rest, path) => true,
            (["**", ..], [_, below @ ..]) => belongs(pattern, below),
            ([part, rest @ ..], [name, below @ ..]) => fits(part, name) && belongs(rest, below),
            (_, []) => false,
        }
    }

    fn fits(part: &str, name: &str) -> bool {
        match (part.chars().next(), name.chars().next()) {
            (None, _) => name.is_empty(),
            (Some('*'), first) => {
                fits(&part[1..], name) || first.is_some_and(|first| fits(part, &name[first.len_utf8()..]))
            }
            (Some(_), None) => false,
            (Some(c), Some(first)) => (c == '?' || c == first) && fits(&part[1..], &name[1..]),
        }
    }

    /// Every path of up to four names of up to three letters `a` and `b`: as long as any two of the
    /// patterns below need for what they have in common.
    fn paths() -> Vec<Vec<String>> {
        let letters = |names: Vec<String>| -> Vec<String> {
            names.iter().flat_map(|name| ["a", "b"].map(|letter| format!("{name}{letter}"))).collect()
        };
        let one = letters(vec![String::new()]);
        let two = letters(one.clone());
        let names = [one, two].concat();
        let mut paths: Vec<Vec<String>> = vec![Vec::new()];
        let mut longest = paths.clone();
        for _ in 0..4 {
            let longer = longest.iter().flat_map(|path| {
                names.iter().map(move |name| path.iter().chain([name]).cloned().collect::<Vec<_>>())
            });
            longest = longer.collect();
            paths.extend(longest.iter().cloned());
        }
        paths.retain(|path| !path.is_empty());
        paths
    }

    fn patterns() -> impl Strategy<Value = PathPattern> {
        let part = prop_oneof![
            3 => "[ab]{1,2}",
            2 => "[ab*?]{1,2}".prop_filter("`**` is a part of its own", |part| part != "**"),
            1 => Just("**".to_owned()),
        ];
        vec(part, 1..=2).prop_map(|parts| pattern(&parts.join("/")))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn patterns_overlap_where_some_path_belongs_to_both(pairs in vec((patterns(), patterns()), 8)) {
            let paths = paths();
            for (one, other) in pairs {
                let (ours, theirs): (Vec<&str>, Vec<&str>) =
                    (one.as_str().split('/').collect(), other.as_str().split('/').collect());
                let in_common = paths.iter().find(|path| {
                    let path: Vec<&str> = path.iter().map(String::as_str).collect();
                    belongs(&ours, &path) && belongs(&theirs, &path)
                });
                prop_assert_eq!(one.overlaps(&other), in_common.is_some(), "{} and {}: {:?}", one, other, in_common);
                prop_assert_eq!(other.overlaps(&one), in_common.is_some(), "{} and {}", other, one);
            }
        }
    }

    #[test]
    fn what_lies_below_a_path_belongs_to_it() {
        for (one, other, overlap) in [
            ("src", "src/auth/login.rs", true),
            ("src/auth", "src/authority", false),
            ("src/*.rs", "src/auth/login.rs", false),
            ("src/*", "src/auth/login.rs", true),
            ("src/**/*.rs", "src/auth/*", true),
            ("**/Cargo.toml", "coordinator", true),
            ("*.md", "README.md", true),
            ("*.md", "*.rs", false),
            ("a?c", "ab*", true),
            ("**", "x", true),
        ] {
            assert_eq!(pattern(one).overlaps(&pattern(other)), overlap, "{one} and {other}");
        }
    }

    #[test]
    fn a_pattern_stays_inside_the_repository() {
        for (given, kept) in [("src/", "src"), ("./a/b.rs", "a/b.rs"), ("src/**/*.rs", "src/**/*.rs")] {
            assert_eq!(PathPattern::parse(given).map(String::from), Ok(kept.to_owned()));
        }
        for bad in ["", "/etc/passwd", "../x", "a//b", "a/../b", "src/**.rs", "[ab].rs", "a\0"] {
            assert!(PathPattern::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
