//! What names a thing in a body.

use std::fmt;

use serde::Deserialize;
use utoipa::ToSchema;

/// Id, a prefix of it, or number, which may be written as one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a number, or an id as text")]
pub enum Name {
    Number(u64),
    Text(String),
}

impl Name {
    /// As the use cases take it: empty where nothing is named.
    pub fn or_empty(name: Option<Self>) -> String {
        name.map(|name| name.to_string()).unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}
