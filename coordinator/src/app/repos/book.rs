//! Which repository is meant: by the configuration, and by the names that people gave.

use std::sync::{Arc, PoisonError, RwLock};

use factory_domain::{RepoNames, RepoSource, Slug, TaskSpec, UnknownRepo};

use crate::app::{App, Error, FieldViolation};
use crate::store::AddedRepo;

/// Looked at for each task that is submitted, so it is here at hand. The store has those that were added.
#[derive(Debug, Default)]
pub(crate) struct RepoBook {
    names: RepoNames,
    added: RwLock<Arc<Vec<AddedRepo>>>,
}

impl RepoBook {
    pub fn new(names: RepoNames, added: Vec<AddedRepo>) -> Self {
        Self { names, added: RwLock::new(Arc::new(added)) }
    }

    pub fn names(&self) -> &RepoNames {
        &self.names
    }

    pub fn added(&self) -> Arc<Vec<AddedRepo>> {
        Arc::clone(&self.added.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set_added(&self, added: Vec<AddedRepo>) {
        *self.added.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(added);
    }

    pub fn resolve(&self, source: RepoSource) -> Result<RepoSource, UnknownRepo> {
        let added = self.added();
        let named = |name: &str| added.iter().find(|repo| repo.name == name).map(|repo| repo.source.clone());
        self.names.resolve(source, named)
    }

    /// Puts what is meant in the place of the name, and the repository's role where the task has none.
    pub fn settle(&self, spec: &mut TaskSpec) -> Result<(), UnknownRepo> {
        let Some(named) = spec.repo.take() else { return Ok(()) };
        let source = self.resolve(named)?;
        if spec.role.is_none() {
            spec.role = self.default_role(&source);
        }
        spec.repo = Some(source);
        Ok(())
    }

    fn default_role(&self, source: &RepoSource) -> Option<Slug> {
        let source = source.canonical();
        let configured = self.names.named().find(|(_, repo)| repo.source.canonical() == source);
        match configured {
            Some((_, repo)) => repo.default_role.clone(),
            None => {
                let added = self.added();
                let repo = added.iter().find(|repo| repo.source.canonical() == source);
                repo.and_then(|repo| repo.default_role.clone())
            }
        }
    }
}

impl App {
    /// Settles the repository of each; the violations name the fields of `tasks`.
    pub(in crate::app) fn settle_repos<'s>(
        &self,
        specs: impl IntoIterator<Item = &'s mut TaskSpec>,
    ) -> Result<(), Error> {
        let settled = specs.into_iter().enumerate().filter_map(|(index, spec)| {
            let unknown = self.repos.settle(spec).err()?;
            Some(FieldViolation::new(format!("tasks[{index}].repo"), unknown))
        });
        let violations: Vec<_> = settled.collect();
        if violations.is_empty() { Ok(()) } else { Err(Error::Invalid(violations)) }
    }

    /// What is meant by what a caller named.
    pub(in crate::app) fn repo_meant(&self, source: RepoSource) -> Result<RepoSource, Error> {
        self.repos.resolve(source).map_err(|error| Error::invalid("repo", error))
    }

    /// The same, of what a caller wrote.
    pub(in crate::app) fn read_repo(&self, repo: &str) -> Result<RepoSource, Error> {
        self.repo_meant(RepoSource::parse(repo).map_err(|error| Error::invalid("repo", error))?)
    }
}
