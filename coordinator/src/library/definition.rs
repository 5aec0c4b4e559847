//! Workflow definitions as they are written: TOML or YAML, one a file or several under `workflows`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use factory_domain::Slug;
use factory_domain::workflow::{Definition, DefinitionDraft};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Problem, Shelf};

/// A definition and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub definition: Definition,
    pub source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Toml,
    Yaml,
}

/// What else stands in such a file is not ours: it may be another program's configuration.
#[derive(Deserialize)]
struct Several {
    workflows: BTreeMap<String, DefinitionDraft>,
}

#[derive(Deserialize)]
struct Outline {
    workflows: Option<IgnoredAny>,
}

/// What a text holds: definitions by name, each with what is wrong with it. `own_name` is for one without a name.
pub(super) fn read(
    text: &str,
    language: Language,
    source: &str,
    own_name: &str,
) -> BTreeMap<String, Result<Found, Vec<Problem>>> {
    let drafts = match drafts(text, language, source, own_name) {
        Ok(drafts) => drafts,
        Err(problem) => return BTreeMap::from([(own_name.to_owned(), Err(vec![problem]))]),
    };
    let several = drafts.len() > 1;
    let read = |(name, draft): (String, DefinitionDraft)| {
        let found = draft.validate(&name).map_err(|problems| {
            let place = if several { format!("{name}: ") } else { String::new() };
            problems.iter().map(|problem| Problem::new(source, 0, format!("{place}{problem}"))).collect()
        });
        (name, found.map(|definition| Found { definition, source: source.to_owned() }))
    };
    drafts.into_iter().map(read).collect()
}

fn drafts(
    text: &str,
    language: Language,
    source: &str,
    own_name: &str,
) -> Result<BTreeMap<String, DefinitionDraft>, Problem> {
    let outline: Outline = parse(text, language, source)?;
    if outline.workflows.is_some() {
        return parse(text, language, source).map(|several: Several| several.workflows);
    }
    parse(text, language, source).map(|draft| BTreeMap::from([(own_name.to_owned(), draft)]))
}

fn parse<T: DeserializeOwned>(text: &str, language: Language, source: &str) -> Result<T, Problem> {
    match language {
        Language::Toml => toml::from_str(text).map_err(|error| Problem::of_toml(source, text, 0, &error)),
        Language::Yaml => serde_saphyr::from_str(text).map_err(|error| {
            let line = error.location().map_or(0, |at| usize::try_from(at.line()).unwrap_or(0));
            let said = error.without_snippet().to_string();
            Problem::new(source, line, said.lines().next().unwrap_or_default())
        }),
    }
}

impl Shelf {
    /// The one definition in `text`, or that called `name` of several. Everything wrong with it at once.
    pub fn read_definition(&self, text: &str, name: &str) -> Result<Definition, Vec<Problem>> {
        const SOURCE: &str = "definition";
        let own_name = if name.is_empty() { "workflow" } else { name };
        // A text is TOML where it can be read as such: no YAML of ours can.
        let language = match toml::from_str::<IgnoredAny>(text) {
            Ok(_) => Language::Toml,
            Err(_) if text.trim_start().starts_with('[') => Language::Toml,
            Err(_) => Language::Yaml,
        };
        let mut read = read(text, language, SOURCE, own_name);
        let chosen = if read.len() == 1 { read.pop_first().map(|(_, one)| one) } else { read.remove(name) };
        let Some(chosen) = chosen else {
            let names: Vec<_> = read.keys().cloned().collect();
            let why = format!("holds several workflows; name one of them: {}", names.join(", "));
            return Err(vec![Problem::new(SOURCE, 0, why)]);
        };
        let found = chosen?;
        let problems = self.misses(&found);
        if problems.is_empty() { Ok(found.definition) } else { Err(problems) }
    }

    /// Roles and templates that a definition names and that cannot be used.
    pub(super) fn misses(&self, found: &Found) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (index, step) in found.definition.steps.iter().enumerate() {
            let mut miss = |field: &str, why: String| {
                problems.push(Problem::new(&found.source, 0, format!("steps[{index}].{field}: {why}")));
            };
            if let Err(why) = self.role(step.agent.as_str()) {
                miss("agent", why.to_string());
            }
            if let Some(template) = &step.prompt_template
                && let Err(why) = self.template(template.as_str())
            {
                miss("prompt_template", why.to_string());
            }
        }
        problems
    }
}

/// A definition as TOML.
pub fn to_toml(definition: &Definition) -> String {
    let DefinitionDraft { description, max_iterations, steps } = definition.to_draft();
    let name = quoted(definition.name.as_str());
    let mut text = format!("[workflows.{name}]\n");
    if !description.is_empty() {
        let _ = writeln!(text, "description = {}", quoted(&description));
    }
    if let Some(max_iterations) = max_iterations {
        let _ = writeln!(text, "max_iterations = {max_iterations}");
    }
    for step in steps {
        let _ = writeln!(text, "\n[[workflows.{name}.steps]]");
        let fields = [
            ("name", step.name),
            ("agent", Some(step.agent)),
            ("input", step.input),
            ("output", step.output),
            ("condition", step.condition),
            ("loop_to", step.loop_to),
            ("prompt", step.prompt),
            ("prompt_template", step.prompt_template),
        ];
        for (field, value) in fields {
            if let Some(value) = value {
                let _ = writeln!(text, "{field} = {}", quoted(&value));
            }
        }
    }
    text
}

/// What JSON writes for a text is a basic string of TOML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The names a file's definitions go by, where they can be names.
pub(super) fn by_slug(
    read: BTreeMap<String, Result<Found, Vec<Problem>>>,
    file: &Slug,
) -> Vec<(Slug, Result<Found, Vec<Problem>>)> {
    let named = |(name, found): (String, _)| (Slug::parse(&name).unwrap_or_else(|_| file.clone()), found);
    read.into_iter().map(named).collect()
}
