//! One task of a batch as it is written: the fields of `submit`, under their names and those that
//! files of other orchestrators use.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use factory_proto::v1;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::cli::{
    Deliver, Leftovers, MicroUsd, OnConflict, OnFailedDependency, PermissionMode, duration, micro_usd,
};

/// What is left out comes from the options, then from the file's `defaults`, then from the coordinator.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    pub id: Option<Name>,
    #[serde(alias = "name")]
    pub title: Option<String>,
    #[serde(alias = "task", alias = "task_instructions")]
    pub prompt: Option<String>,
    #[serde(alias = "tool")]
    pub agent: Option<String>,
    pub argv: Option<Vec<String>>,
    pub model: Option<String>,
    pub repo: Option<String>,
    pub no_repo: Option<bool>,
    pub base: Option<String>,
    pub branch: Option<String>,
    pub deliver: Option<Deliver>,
    pub leftovers: Option<Leftovers>,
    pub setup: Option<String>,
    pub setup_timeout: Option<Span>,
    pub trust_repo: Option<bool>,
    pub labels: Option<BTreeMap<String, String>>,
    pub priority: Option<i32>,
    pub max_attempts: Option<u32>,
    pub timeout: Option<Span>,
    pub idle_timeout: Option<Span>,
    pub budget_usd: Option<Dollars>,
    pub budget_tokens: Option<u64>,
    pub max_turns: Option<u32>,
    pub role: Option<String>,
    #[serde(rename = "type")]
    pub task_type: Option<String>,
    pub acceptance: Option<String>,
    pub directory: Option<String>,
    #[serde(alias = "files")]
    pub touches: Option<Vec<String>>,
    pub keys: Option<Vec<String>>,
    pub issue: Option<String>,
    pub project: Option<String>,
    pub submitter: Option<String>,
    pub allowed_tools: Option<Vec<String>>,
    pub disallowed_tools: Option<Vec<String>>,
    pub permission_mode: Option<PermissionMode>,
    pub output_schema: Option<Schema>,
    pub on_conflict: Option<OnConflict>,
    pub keep_session: Option<bool>,
    #[serde(alias = "depends_on")]
    pub after: Option<Vec<Name>>,
    pub on_failed_dependency: Option<OnFailedDependency>,
    pub parent: Option<Name>,
    pub goes_on_from: Option<Name>,
    /// It does not start until `factoryctl release`.
    pub hold: Option<bool>,
    /// Shown in the plan; what starts when is said by `after` alone.
    pub phase: Option<Name>,
}

/// Takes from `$base` every field that `$entry` leaves out.
macro_rules! fill {
    ($entry:ident from $base:ident: $($field:ident)*) => {
        Entry { $($field: $entry.$field.or_else(|| $base.$field.clone()),)* ..$entry }
    };
}

impl Entry {
    /// The entry with what it leaves out taken from `base`. Its id is its own.
    pub fn or(self, base: &Self) -> Self {
        let entry = self;
        fill!(entry from base:
            title prompt agent argv model repo no_repo base branch deliver leftovers setup setup_timeout
            trust_repo labels priority max_attempts timeout idle_timeout budget_usd budget_tokens max_turns
            role task_type acceptance directory touches keys issue project submitter allowed_tools
            disallowed_tools permission_mode output_schema on_conflict keep_session after
            on_failed_dependency parent goes_on_from hold phase)
    }

    /// As it is sent, in the repository settled for it; what it waits for is put in by the plan.
    pub fn spec(self, repo: String) -> v1::TaskSpec {
        let prompt = self.prompt.unwrap_or_else(|| match &self.title {
            Some(title) if self.argv.is_none() => format!("Implement: {title}"),
            _ => String::new(),
        });
        v1::TaskSpec {
            title: self.title.unwrap_or_default(),
            prompt,
            agent: self.agent.unwrap_or_default(),
            argv: self.argv.unwrap_or_default(),
            model: self.model.unwrap_or_default(),
            repo,
            base: self.base.unwrap_or_default(),
            branch: self.branch.unwrap_or_default(),
            deliver: self.deliver.map(v1::Deliver::from).unwrap_or_default().into(),
            leftovers: self.leftovers.map(v1::Leftovers::from).unwrap_or_default().into(),
            setup: self.setup.unwrap_or_default(),
            setup_timeout_ms: self.setup_timeout.map(Span::millis),
            trust_repo: self.trust_repo.unwrap_or_default(),
            labels: self.labels.unwrap_or_default().into_iter().collect(),
            priority: self.priority.unwrap_or_default(),
            max_attempts: self.max_attempts,
            timeout_ms: self.timeout.map(Span::millis),
            idle_timeout_ms: self.idle_timeout.map(Span::millis),
            budget_micro_usd: self.budget_usd.map(|dollars| dollars.0.0),
            budget_tokens: self.budget_tokens,
            max_turns: self.max_turns,
            role: self.role.unwrap_or_default(),
            r#type: self.task_type.unwrap_or_default(),
            acceptance: self.acceptance.unwrap_or_default(),
            directory: self.directory.unwrap_or_default(),
            touches: self.touches.unwrap_or_default(),
            keys: self.keys.unwrap_or_default(),
            issue: self.issue.unwrap_or_default(),
            project: self.project.unwrap_or_default(),
            submitter: self.submitter.unwrap_or_default(),
            allowed_tools: self.allowed_tools.unwrap_or_default(),
            disallowed_tools: self.disallowed_tools.unwrap_or_default(),
            permission_mode: self.permission_mode.map(v1::PermissionMode::from).unwrap_or_default().into(),
            output_schema: self.output_schema.map(|schema| schema.0).unwrap_or_default(),
            on_conflict: self.on_conflict.map(v1::ConflictPolicy::from).unwrap_or_default().into(),
            keep_session: self.keep_session.unwrap_or_default(),
            session: String::new(),
        }
    }
}

/// What tasks call each other. Numbers are names as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub String);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let scalar = deserializer.deserialize_any(ScalarVisitor("a name"))?;
        Ok(Self(match scalar {
            Scalar::Text(text) => text,
            Scalar::Number(number) => number.to_string(),
        }))
    }
}

/// A duration such as `10m`; a bare number is seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span(pub Duration);

impl Span {
    fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(ScalarVisitor("a duration such as 10m, or seconds"))? {
            Scalar::Text(text) => duration(&text),
            Scalar::Number(seconds) => {
                Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
            }
        }
        .map(Self)
        .map_err(de::Error::custom)
    }
}

/// US dollars, as a number or a text such as `1.50`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dollars(pub MicroUsd);

impl<'de> Deserialize<'de> for Dollars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match deserializer.deserialize_any(ScalarVisitor("an amount such as 1.50"))? {
            Scalar::Text(text) => text,
            Scalar::Number(amount) => amount.to_string(),
        };
        micro_usd(&text).map(Self).map_err(de::Error::custom)
    }
}

/// A JSON Schema, written out or as its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema(pub String);

impl<'de> Deserialize<'de> for Schema {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            schema => schema.to_string(),
        }))
    }
}

enum Scalar {
    Text(String),
    Number(f64),
}

struct ScalarVisitor(&'static str);

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        let small = i32::try_from(number).map_err(|_| E::custom(format!("{number} is too large")))?;
        Ok(Scalar::Number(small.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
        let small = u32::try_from(number).map_err(|_| E::custom(format!("{number} is too large")))?;
        Ok(Scalar::Number(small.into()))
    }
}
