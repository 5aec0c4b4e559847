//! Short names that people give to roles, task types, workflows and tasks of a batch.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid name: {why}")]
pub struct InvalidSlug {
    name: String,
    why: &'static str,
}

/// Letters, digits, `_`, `-` and `.`, such as `coder_revision`; at most 64 of them. It is also a file's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

const MAX_LENGTH: usize = 64;

impl Slug {
    pub fn parse(name: &str) -> Result<Self, InvalidSlug> {
        let refuse = |why| Err(InvalidSlug { name: name.to_owned(), why });
        if name.is_empty() {
            return refuse("it is empty");
        }
        if name.len() > MAX_LENGTH {
            return refuse("it is longer than 64 characters");
        }
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return refuse("it does not begin with a letter or a digit");
        }
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')) {
            return refuse("it holds something else than letters, digits, `_`, `-` and `.`");
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl TryFrom<String> for Slug {
    type Error = InvalidSlug;

    fn try_from(name: String) -> Result<Self, InvalidSlug> {
        Self::parse(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_also_a_file_name() {
        for good in ["coder", "coder_revision", "A1", "task-1.2"] {
            assert_eq!(Slug::parse(good).map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "..", ".x", "-x", "a/b", "a b", &"x".repeat(65)] {
            assert!(Slug::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
