//! Labels: what a worker says of itself, and what a task asks for.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// `key=value` pairs in key order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabel {
    #[error("label `{0}` is not of the form KEY=VALUE")]
    NoEquals(String),
    #[error("label key `{0}` may hold only letters, digits, `.`, `_`, `-` and `/`, 1 to 63 of them")]
    Key(String),
    #[error(
        "value of label `{0}` may hold only letters, digits, `.`, `_`, `-`, `/` and `:`, at most 63 of them"
    )]
    Value(String),
}

impl Labels {
    pub const MAX_LENGTH: usize = 63;

    /// Reads one `KEY=VALUE`.
    pub fn parse_pair(text: &str) -> Result<(String, String), InvalidLabel> {
        let (key, value) = text.split_once('=').ok_or_else(|| InvalidLabel::NoEquals(text.to_owned()))?;
        Self::check(key, value)?;
        Ok((key.to_owned(), value.to_owned()))
    }

    pub fn insert(&mut self, key: String, value: String) -> Result<(), InvalidLabel> {
        Self::check(&key, &value)?;
        self.0.insert(key, value);
        Ok(())
    }

    fn check(key: &str, value: &str) -> Result<(), InvalidLabel> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        if key.is_empty() || key.len() > Self::MAX_LENGTH || !key.chars().all(plain) {
            return Err(InvalidLabel::Key(key.to_owned()));
        }
        if value.len() > Self::MAX_LENGTH || !value.chars().all(|c| plain(c) || c == ':') {
            return Err(InvalidLabel::Value(key.to_owned()));
        }
        Ok(())
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The pairs of `self` that `offered` does not have with the same value.
    pub fn missing_from<'a>(&'a self, offered: &'a Self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.iter().filter(move |(key, value)| offered.get(key) != Some(value))
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{key}={value}")?;
        }
        Ok(())
    }
}
