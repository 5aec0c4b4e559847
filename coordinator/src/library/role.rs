//! Who an agent is: a prompt, and what a task gets from its role where it says nothing itself.

use std::time::Duration;

use factory_domain::{MemoryKind, PermissionMode, Slug, TaskSpec};
use serde::Deserialize;

use super::file::{File, Form};
use super::{Problem, problem};

#[derive(Debug, Clone, PartialEq)]
pub struct Role {
    pub name: Slug,
    /// One line.
    pub description: String,
    /// Other names it goes by.
    pub aliases: Vec<Slug>,
    /// In Markdown, with the placeholders of templates.
    pub prompt: String,
    pub allowed_tools: Vec<String>,
    pub disallowed_tools: Vec<String>,
    pub timeout: Option<Duration>,
    pub idle_timeout: Option<Duration>,
    pub model: Option<String>,
    pub permission_mode: Option<PermissionMode>,
    /// Kinds of memories it is given first.
    pub memory_kinds: Vec<MemoryKind>,
    /// `built-in`, or the file it was read from.
    pub source: String,
}

/// The head of a role's file; with `prompt`, all of a role written as TOML.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    description: String,
    #[serde(default)]
    aliases: Vec<Slug>,
    #[serde(default)]
    allowed_tools: Vec<String>,
    #[serde(default)]
    disallowed_tools: Vec<String>,
    timeout_minutes: Option<u32>,
    idle_timeout_minutes: Option<u32>,
    model: Option<String>,
    permission_mode: Option<PermissionMode>,
    #[serde(default)]
    memory_kinds: Vec<MemoryKind>,
    prompt: Option<String>,
}

impl Role {
    /// Reads it, and says in which line of its file its prompt begins, counted from 0.
    pub(super) fn read(file: &File, text: &str) -> Result<(Self, usize), Problem> {
        let source = &file.source;
        let (head, lines_before, body) = match file.form {
            Form::Toml => (text, 0, None),
            Form::Text | Form::Yaml | Form::SingleBraces => {
                let (head, body) = split(text).ok_or_else(|| {
                    Problem::new(source, 1, "does not begin with a head of TOML between two lines of `+++`")
                })?;
                (head, 1, Some(body))
            }
        };
        let head: Head =
            toml::from_str(head).map_err(|error| Problem::of_toml(source, head, lines_before, &error))?;
        let minutes = |minutes: Option<u32>| minutes.map(|n| Duration::from_secs(u64::from(n) * 60));
        let (prompt, prompt_at) = match (body, &head.prompt) {
            (Some(body), None) => (body.trim().to_owned(), begin_of(text, body)),
            (None, Some(prompt)) => (prompt.trim().to_owned(), 0),
            (Some(_), Some(_)) => {
                return Err(Problem::new(source, 1, "has a `prompt` in its head and a text below; keep one"));
            }
            (None, None) => return Err(Problem::new(source, 0, "has no `prompt`")),
        };
        if prompt.is_empty() {
            return Err(Problem::new(source, 0, "has no prompt: say who the agent is, and how it works"));
        }
        let role = Self {
            name: file.name.clone(),
            description: head.description,
            aliases: head.aliases,
            prompt,
            allowed_tools: head.allowed_tools,
            disallowed_tools: head.disallowed_tools,
            timeout: minutes(head.timeout_minutes),
            idle_timeout: minutes(head.idle_timeout_minutes),
            model: head.model,
            permission_mode: head.permission_mode,
            memory_kinds: head.memory_kinds,
            source: source.clone(),
        };
        Ok((role, prompt_at))
    }

    /// Fills in what `spec` does not say itself, and names the role in full.
    pub fn fill(&self, spec: &mut TaskSpec) {
        spec.role = Some(self.name.clone());
        if spec.allowed_tools.is_empty() {
            spec.allowed_tools.clone_from(&self.allowed_tools);
        }
        if spec.disallowed_tools.is_empty() {
            spec.disallowed_tools.clone_from(&self.disallowed_tools);
        }
        spec.timeout = spec.timeout.or(self.timeout);
        spec.idle_timeout = spec.idle_timeout.or(self.idle_timeout);
        spec.model = spec.model.take().or_else(|| self.model.clone());
        spec.permission_mode = spec.permission_mode.or(self.permission_mode);
    }
}

/// The head between lines of `+++`, and what follows.
fn split(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("+++\n")?.split_once("\n+++\n")
}

/// The line, counted from 0, in which `part` of `text` has its first word.
fn begin_of(text: &str, part: &str) -> usize {
    let offset = text.len() - part.trim_start().len();
    problem::line_at(text, offset) - 1
}
