use std::time::Duration;

use factory_domain::PermissionMode;
use serde::Serialize;
use utoipa::ToSchema;

use super::MemoryKind;
use crate::library;

/// Who an agent can be.
#[derive(Debug, Serialize, ToSchema)]
pub struct Role {
    name: String,
    description: String,
    /// Other names it goes by.
    aliases: Vec<String>,
    /// What its agents are told of themselves; left out of lists.
    prompt: Option<String>,
    allowed_tools: Vec<String>,
    disallowed_tools: Vec<String>,
    timeout_s: Option<u64>,
    idle_timeout_s: Option<u64>,
    model: Option<String>,
    /// bypass, accept_edits, plan.
    permission_mode: Option<&'static str>,
    /// Kinds of memories it is given first.
    memory_kinds: Vec<MemoryKind>,
    /// `built-in`, or the file it was read from.
    source: String,
}

/// How a task of some type is put to its agent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Template {
    name: String,
    description: String,
    /// As written; left out of lists.
    text: Option<String>,
    /// `built-in`, or the file it was read from.
    source: String,
}

/// What a template can ask for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Placeholder {
    name: &'static str,
    description: &'static str,
}

impl Role {
    /// As lists have it.
    pub fn in_list(role: &library::Role) -> Self {
        Self { prompt: None, ..Self::from(role) }
    }
}

impl Template {
    /// As lists have it.
    pub fn in_list(template: &library::Template) -> Self {
        Self { text: None, ..Self::from(template) }
    }
}

impl From<&library::Role> for Role {
    fn from(role: &library::Role) -> Self {
        Self {
            name: role.name.to_string(),
            description: role.description.clone(),
            aliases: role.aliases.iter().map(ToString::to_string).collect(),
            prompt: Some(role.prompt.clone()),
            allowed_tools: role.allowed_tools.clone(),
            disallowed_tools: role.disallowed_tools.clone(),
            timeout_s: role.timeout.as_ref().map(Duration::as_secs),
            idle_timeout_s: role.idle_timeout.as_ref().map(Duration::as_secs),
            model: role.model.clone(),
            permission_mode: role.permission_mode.map(|mode| match mode {
                PermissionMode::Bypass => "bypass",
                PermissionMode::AcceptEdits => "accept_edits",
                PermissionMode::Plan => "plan",
            }),
            memory_kinds: role.memory_kinds.iter().map(|kind| (*kind).into()).collect(),
            source: role.source.clone(),
        }
    }
}

impl From<&library::Template> for Template {
    fn from(template: &library::Template) -> Self {
        Self {
            name: template.name.to_string(),
            description: template.description.clone(),
            text: Some(template.text.clone()),
            source: template.source.clone(),
        }
    }
}

impl From<&(&'static str, &'static str)> for Placeholder {
    fn from((name, description): &(&'static str, &'static str)) -> Self {
        Self { name, description }
    }
}
