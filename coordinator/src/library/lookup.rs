//! Finding things by name, and filling them in.

use factory_domain::Slug;
use minijinja::value::Serde;

use super::file::Kind;
use super::shelf::Read;
use super::{Found, Placeholders, Problem, Role, Shelf, Template};

/// Why a name cannot be used; a sentence's second half, after the name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error("there is no {what} `{name}`; there are: {known}")]
    Unknown { what: &'static str, name: String, known: String },
    #[error("the {what} `{name}` cannot be used until its file is mended: {problem}")]
    Broken { what: &'static str, name: String, problem: Problem },
}

impl Shelf {
    /// By its name, or by one it also goes by.
    pub fn role(&self, name: &str) -> Result<&Role, Unusable> {
        if self.roles.keys().all(|known| known.as_str() != name)
            && let Some(role) = self.roles().find(|role| role.aliases.iter().any(|a| a.as_str() == name))
        {
            return Ok(role);
        }
        find(&self.roles, Kind::Role.what(), name)
    }

    pub fn template(&self, name: &str) -> Result<&Template, Unusable> {
        find(&self.templates, Kind::Template.what(), name)
    }

    pub fn workflow(&self, name: &str) -> Result<&Found, Unusable> {
        find(&self.workflows, Kind::Workflow.what(), name)
    }

    /// The role's prompt, filled in.
    pub fn prompt_of(&self, role: &Role, values: &Placeholders) -> Result<String, Unusable> {
        self.render(Kind::Role, &role.name, &role.source, values)
    }

    /// The template's text, filled in.
    pub fn fill(&self, template: &Template, mut values: Placeholders) -> Result<String, Unusable> {
        if template.text.contains("base_worker_protocol") {
            let protocol = self.template("protocol")?;
            values.base_worker_protocol =
                self.render(Kind::Template, &protocol.name, &protocol.source, &values)?;
        }
        self.render(Kind::Template, &template.name, &template.source, &values)
    }

    fn render(
        &self,
        kind: Kind,
        name: &Slug,
        source: &str,
        values: &Placeholders,
    ) -> Result<String, Unusable> {
        let rendered = self.engine.get_template(&kind.key(name)).and_then(|text| text.render(Serde(values)));
        rendered.map(|text| text.trim().to_owned()).map_err(|error| {
            // In a file that this one includes, its own name says more than the line.
            let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            let problem = Problem::new(source, error.line().unwrap_or(0), message);
            Unusable::Broken { what: kind.what(), name: name.to_string(), problem }
        })
    }
}

fn find<'s, T>(read: &'s Read<T>, what: &'static str, name: &str) -> Result<&'s T, Unusable> {
    match read.iter().find(|(known, _)| known.as_str() == name) {
        Some((_, Ok(found))) => Ok(found),
        Some((_, Err(problems))) => {
            let problem =
                problems.first().cloned().unwrap_or_else(|| Problem::new(name, 0, "cannot be read"));
            Err(Unusable::Broken { what, name: name.to_owned(), problem })
        }
        None => {
            let known: Vec<_> = read.keys().map(Slug::as_str).collect();
            Err(Unusable::Unknown { what, name: name.to_owned(), known: known.join(", ") })
        }
    }
}
