//! Files that tasks take for themselves.

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
    use super::*;

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
