//! A library as it was read at one moment.

use std::collections::BTreeMap;

use factory_domain::Slug;
use minijinja::Environment;
use minijinja::value::Serde;

use super::definition::{self, Found, Language};
use super::file::{File, Form, Kind};
use super::template::{self, Origin};
use super::{Placeholders, Problem, Role, Template, builtin};

pub(super) type Read<T> = BTreeMap<Slug, Result<T, Vec<Problem>>>;

/// Every role, template and workflow there is. One that cannot be used is there with what is wrong with it.
pub struct Shelf {
    pub(super) roles: Read<Role>,
    pub(super) templates: Read<Template>,
    pub(super) workflows: Read<Found>,
    pub(super) engine: Environment<'static>,
}

impl Shelf {
    /// The built-in ones, and `users` before them.
    pub(super) fn of(users: Vec<File>) -> Self {
        let mut shelf = Self {
            roles: Read::new(),
            templates: Read::new(),
            workflows: Read::new(),
            engine: template::engine(),
        };
        let mut chosen: BTreeMap<(&str, Slug), File> = BTreeMap::new();
        for file in builtin::files().chain(users) {
            chosen.insert((file.kind.what(), file.name.clone()), file);
        }
        for file in chosen.values() {
            shelf.put(file);
        }
        shelf.look_for_what_workflows_name();
        // With all of them there, each is filled in once: what it includes and how it uses
        // what it is given shows only then.
        if shelf.problems().next().is_none() {
            for file in chosen.values().filter(|file| file.kind != Kind::Workflow) {
                shelf.try_out(file);
            }
        }
        shelf
    }

    fn put(&mut self, file: &File) {
        let text = match &file.text {
            Ok(text) => text,
            Err(problem) => return self.refuse(file, vec![problem.clone()]),
        };
        let problems = match file.kind {
            Kind::Role => match Role::read(file, text) {
                Ok((role, lines_before)) => {
                    let origin = Origin { file, lines_before };
                    let found = template::add(&mut self.engine, file.key(), &role.prompt, &origin);
                    self.roles.insert(file.name.clone(), Ok(role));
                    found
                }
                Err(problem) => vec![problem],
            },
            Kind::Template => {
                self.templates.insert(file.name.clone(), Ok(Template::read(file, text)));
                template::add(&mut self.engine, file.key(), text, &Origin { file, lines_before: 0 })
            }
            Kind::Workflow => {
                let language = if file.form == Form::Yaml { Language::Yaml } else { Language::Toml };
                let read = definition::read(text, language, &file.source, file.name.as_str());
                self.workflows.extend(definition::by_slug(read, &file.name));
                Vec::new()
            }
        };
        if !problems.is_empty() {
            self.refuse(file, problems);
        }
    }

    fn refuse(&mut self, file: &File, problems: Vec<Problem>) {
        self.engine.remove_template(&file.key());
        match file.kind {
            Kind::Role => {
                self.roles.insert(file.name.clone(), Err(problems));
            }
            Kind::Template => {
                self.templates.insert(file.name.clone(), Err(problems));
            }
            Kind::Workflow => {
                self.workflows.insert(file.name.clone(), Err(problems));
            }
        }
    }

    fn look_for_what_workflows_name(&mut self) {
        let found = self.workflows.iter().filter_map(|(name, found)| Some((name, found.as_ref().ok()?)));
        let missed: Vec<_> = found
            .map(|(name, found)| (name.clone(), self.misses(found)))
            .filter(|(_, problems)| !problems.is_empty())
            .collect();
        self.workflows.extend(missed.into_iter().map(|(name, problems)| (name, Err(problems))));
    }

    fn try_out(&mut self, file: &File) {
        let rendered = self
            .engine
            .get_template(&file.key())
            .and_then(|text| text.render(Serde(Placeholders::default())));
        if let Err(error) = rendered {
            let problem = Origin { file, lines_before: 0 }.problem(&error);
            self.refuse(file, vec![problem]);
        }
    }

    /// Everything that is wrong, file by file.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        let roles = self.roles.values().filter_map(|role| role.as_ref().err());
        let templates = self.templates.values().filter_map(|template| template.as_ref().err());
        let workflows = self.workflows.values().filter_map(|workflow| workflow.as_ref().err());
        roles.chain(templates).chain(workflows).flatten()
    }

    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.values().flatten()
    }

    pub fn workflows(&self) -> impl Iterator<Item = &Found> {
        self.workflows.values().flatten()
    }

    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        self.templates.values().flatten()
    }
}
