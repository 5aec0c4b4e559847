//! Roles and templates as JSON.

use factory_proto::v1;
use serde::Serialize;

use super::some;

#[derive(Debug, Serialize)]
pub struct RoleView<'r> {
    name: &'r str,
    description: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'r str>,
    allowed_tools: &'r [String],
    disallowed_tools: &'r [String],
    timeout_ms: Option<u64>,
    idle_timeout_ms: Option<u64>,
    model: Option<&'r str>,
    permission_mode: Option<&'r str>,
    memory_kinds: &'r [String],
    source: &'r str,
}

impl<'r> From<&'r v1::Role> for RoleView<'r> {
    fn from(role: &'r v1::Role) -> Self {
        let millis = |ms: u64| (ms > 0).then_some(ms);
        Self {
            name: &role.name,
            description: &role.description,
            prompt: some(&role.prompt),
            allowed_tools: &role.allowed_tools,
            disallowed_tools: &role.disallowed_tools,
            timeout_ms: millis(role.timeout_ms),
            idle_timeout_ms: millis(role.idle_timeout_ms),
            model: some(&role.model),
            permission_mode: some(&role.permission_mode),
            memory_kinds: &role.memory_kinds,
            source: &role.source,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct TemplateView<'t> {
    name: &'t str,
    description: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'t str>,
    source: &'t str,
}

impl<'t> From<&'t v1::Template> for TemplateView<'t> {
    fn from(template: &'t v1::Template) -> Self {
        Self {
            name: &template.name,
            description: &template.description,
            text: some(&template.text),
            source: &template.source,
        }
    }
}

#[derive(Debug, Serialize)]
pub struct ProblemView<'p> {
    source: &'p str,
    /// Counted from 1; nothing where it is about the whole file.
    line: Option<u32>,
    message: &'p str,
}

impl<'p> From<&'p v1::Problem> for ProblemView<'p> {
    fn from(problem: &'p v1::Problem) -> Self {
        let line = (problem.line > 0).then_some(problem.line);
        Self { source: &problem.source, line, message: &problem.message }
    }
}
