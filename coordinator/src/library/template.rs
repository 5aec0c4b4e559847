//! Texts with placeholders, which a task's prompt is put into.

use std::collections::BTreeSet;

use factory_domain::Slug;
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::file::{File, Form};
use super::{Problem, problem};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The task type that chooses it, or a name that others include.
    pub name: Slug,
    /// One line: its first comment, or its first line.
    pub description: String,
    /// As written.
    pub text: String,
    pub source: String,
}

/// What a template can ask for, and what it gets. All of them are texts, so that `{% if files %}` asks whether there are any.
pub const PLACEHOLDERS: &[(&str, &str)] = &[
    ("task_id", "the task's id"),
    ("task_name", "its title"),
    ("task_instructions", "what was asked for: the prompt"),
    ("acceptance", "what must hold for it to be done"),
    ("files", "the files it declared to change, one a line"),
    ("depends_on", "the tasks it waited for, one a line"),
    ("unblocks", "the tasks submitted with it that wait for it, one a line"),
    ("phase", "how many tasks of those submitted with it come before it, one after the other, and 1"),
    ("track_id", "what it is part of: the project, else its parent task's id, else its repository"),
    ("role", "the agent's role"),
    ("repo", "the repository"),
    ("directory", "where in the repository it works"),
    ("issue", "the issue's URL"),
    ("project", "the project"),
    ("timestamp", "when it was submitted, in UTC"),
    ("worker_id", "a name for the agent that is not used twice"),
    ("message_bus_path", "how the agent reaches the message board"),
    ("base_worker_protocol", "the template `protocol`, filled in"),
    ("input", "in a workflow: the output of an earlier step that this one works on"),
    ("iteration", "in a workflow: the round of its loop, counted from 1"),
    ("max_iterations", "in a workflow: the rounds there can be"),
];

/// The values of [`PLACEHOLDERS`] for one task.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Placeholders {
    pub task_id: String,
    pub task_name: String,
    pub task_instructions: String,
    pub acceptance: String,
    pub files: String,
    pub depends_on: String,
    pub unblocks: String,
    pub phase: String,
    pub track_id: String,
    pub role: String,
    pub repo: String,
    pub directory: String,
    pub issue: String,
    pub project: String,
    pub timestamp: String,
    pub worker_id: String,
    pub message_bus_path: String,
    pub base_worker_protocol: String,
    pub input: String,
    pub iteration: String,
    pub max_iterations: String,
}

/// Items as templates have them: one a line, and nothing where there are none.
pub fn list_of<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let lines: Vec<_> = items.into_iter().map(|item| format!("- {}", item.to_string())).collect();
    lines.join("\n")
}

impl Template {
    pub(super) fn read(file: &File, text: &str) -> Self {
        Self {
            name: file.name.clone(),
            description: description(text),
            text: text.to_owned(),
            source: file.source.clone(),
        }
    }
}

fn description(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let comment = first.strip_prefix("{#").map(|rest| rest.trim_end_matches("#}"));
    comment.unwrap_or(first).trim_matches(['#', ' ', '-']).to_owned()
}

/// The engine all texts of a library share, so that they can include one another.
pub(super) fn engine() -> Environment<'static> {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Strict);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    // A line that holds nothing but a tag leaves no line behind.
    if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
        engine.set_syntax(syntax);
    }
    engine
}

/// Where a text in the engine comes from, for what is said about it.
pub(super) struct Origin<'f> {
    pub file: &'f File,
    /// Lines of the file above the text.
    pub lines_before: usize,
}

/// Adds a text under `key`, unless there is something wrong with it: every unknown placeholder at once.
pub(super) fn add(
    engine: &mut Environment<'static>,
    key: String,
    text: &str,
    origin: &Origin<'_>,
) -> Vec<Problem> {
    let text = match origin.file.form {
        Form::SingleBraces => with_double_braces(text),
        Form::Text | Form::Toml | Form::Yaml => text.to_owned(),
    };
    if let Err(error) = engine.add_template_owned(key.clone(), text.clone()) {
        return vec![origin.problem(&error)];
    }
    let asked = engine.get_template(&key).map(|template| template.undeclared_variables(false));
    let unknown: BTreeSet<String> = asked
        .unwrap_or_default()
        .into_iter()
        .filter(|name| PLACEHOLDERS.iter().all(|(known, _)| known != name))
        .filter(|name| engine.globals().all(|(global, _)| global != name))
        .collect();
    if unknown.is_empty() {
        return Vec::new();
    }
    engine.remove_template(&key);
    let problem = |name: &String| {
        let line = line_of(&text, name).map_or(0, |line| line + origin.lines_before);
        let known: Vec<_> = PLACEHOLDERS.iter().map(|(known, _)| *known).collect();
        let message = format!("unknown placeholder `{name}`; there are: {}", known.join(", "));
        Problem::new(&origin.file.source, line, message)
    };
    unknown.iter().map(problem).collect()
}

impl Origin<'_> {
    pub(super) fn problem(&self, error: &minijinja::Error) -> Problem {
        let line = error.line().map_or(0, |line| line + self.lines_before);
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        Problem::new(&self.file.source, line, detail)
    }
}

/// The first line, counted from 1, in which `name` stands inside braces.
fn line_of(text: &str, name: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = text.match_indices(name).filter(|(at, _)| {
        let (before, after) = (&text[..*at], &text[at + name.len()..]);
        let opened = before.rfind("{{").max(before.rfind("{%"));
        let closed = before.rfind("}}").max(before.rfind("%}"));
        opened > closed && !before.ends_with(is_word) && !after.starts_with(is_word)
    });
    found.next().map(|(at, _)| problem::line_at(text, at))
}

/// `{files}` as `{{ files }}`; every other brace stays what it is.
fn with_double_braces(text: &str) -> String {
    let mut written = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        written.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.split_once('}') {
            Some((name, after)) if is_name(name) => {
                written.push_str(&format!("{{{{ {name} }}}}"));
                rest = after;
            }
            _ => written.push_str("{{ '{' }}"),
        }
    }
    written + rest
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_placeholders_is_what_there_are_values_for() {
        let Ok(serde_json::Value::Object(values)) = serde_json::to_value(Placeholders::default()) else {
            panic!("placeholders are an object");
        };
        let listed: BTreeSet<&str> = PLACEHOLDERS.iter().map(|(name, _)| *name).collect();
        let given: BTreeSet<&str> = values.keys().map(String::as_str).collect();
        assert_eq!(listed, given);
    }

    #[test]
    fn single_braces_become_double_ones_and_code_stays_code() {
        assert_eq!(with_double_braces("a {files} b"), "a {{ files }} b");
        let engine = engine();
        for code in ["fn main() { run(); }", "{\"a\": {\"b\": 1}}", "{{ x }}", "${HOME} {", "{# no #}"] {
            let rendered = engine.render_str(&with_double_braces(code), ()).expect("renders");
            assert_eq!(rendered, code);
        }
    }
}
