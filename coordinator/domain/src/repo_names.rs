//! What repositories are called for short, and where `owner/name` is.

use std::collections::BTreeMap;

use crate::repo::InvalidRepo;
use crate::{RepoSource, Slug};

const GITHUB: &str = "https://github.com";

/// As configured: by this, what people write becomes what git fetches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoNames {
    /// Without a `/` at its end.
    host: String,
    /// Whose repository a short name means that stands for no other.
    default_org: Option<String>,
    named: BTreeMap<Slug, NamedRepo>,
}

/// A repository that has a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRepo {
    pub source: RepoSource,
    /// The role of tasks that name none.
    pub default_role: Option<Slug>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownRepo {
    #[error(
        "there is no repository `{0}`: name it in full, as owner/name, a URL or an absolute path; or give it the \
         name with `factoryctl repos add`; or set default_org in [repos] of the coordinator's configuration"
    )]
    Name(Slug),
}

impl Default for RepoNames {
    fn default() -> Self {
        Self { host: GITHUB.to_owned(), default_org: None, named: BTreeMap::new() }
    }
}

impl RepoNames {
    /// With `owner/name` at `{host}/{owner}/{name}.git`.
    pub fn at(host: &str) -> Result<Self, InvalidRepo> {
        let host = host.trim_end_matches('/');
        // As long as it can be put before any owner's.
        match RepoSource::parse(&format!("{host}/owner/name.git"))? {
            RepoSource::Url(_) if host.contains("://") => {}
            RepoSource::Slug { .. } if host == GITHUB => {}
            _ => return Err(InvalidRepo::Unrecognised(host.to_owned())),
        }
        Ok(Self { host: host.to_owned(), ..Self::default() })
    }

    pub fn set_default_org(&mut self, owner: &str) -> Result<(), InvalidRepo> {
        match RepoSource::parse(&format!("{owner}/name")) {
            Ok(RepoSource::Slug { .. }) => self.default_org = Some(owner.to_owned()),
            _ => return Err(InvalidRepo::Unrecognised(owner.to_owned())),
        }
        Ok(())
    }

    /// Gives a repository a name. Its source may be `owner/name`, but no name itself.
    pub fn name(&mut self, name: Slug, repo: NamedRepo) -> Result<(), UnknownRepo> {
        if let RepoSource::Name(other) = repo.source {
            return Err(UnknownRepo::Name(other));
        }
        let source = self.placed(repo.source);
        self.named.insert(name, NamedRepo { source, ..repo });
        Ok(())
    }

    /// Those configured, by name.
    pub fn named(&self) -> impl Iterator<Item = (&Slug, &NamedRepo)> {
        self.named.iter()
    }

    /// What is meant by `source`: one that git can fetch. `added` knows the names that people gave.
    pub fn resolve(
        &self,
        source: RepoSource,
        added: impl Fn(&str) -> Option<RepoSource>,
    ) -> Result<RepoSource, UnknownRepo> {
        let RepoSource::Name(name) = source else { return Ok(self.placed(source)) };
        if let Some(named) = self.named.get(&name) {
            return Ok(named.source.clone());
        }
        if let Some(added) = added(name.as_str()) {
            return Ok(added);
        }
        match &self.default_org {
            Some(owner) => {
                let name = name.as_str();
                let name = name.strip_suffix(".git").unwrap_or(name).to_owned();
                Ok(self.placed(RepoSource::Slug { owner: owner.clone(), name }))
            }
            None => Err(UnknownRepo::Name(name)),
        }
    }

    /// The owner and the name of what is at the host of `owner/name`.
    pub fn owner_and_name(&self, source: &RepoSource) -> Option<(String, String)> {
        let on_host = |url: &str| match RepoSource::parse(url.strip_prefix(&self.host)?.strip_prefix('/')?) {
            Ok(RepoSource::Slug { owner, name }) => Some((owner, name)),
            _ => None,
        };
        match source.canonical() {
            RepoSource::Slug { owner, name } => Some((owner, name)),
            RepoSource::Url(url) => on_host(&url),
            RepoSource::Path(_) | RepoSource::Name(_) => None,
        }
    }

    /// `owner/name` where the host is, and a URL of the host's always the same way.
    fn placed(&self, source: RepoSource) -> RepoSource {
        let at_host = |owner: &str, name: &str| RepoSource::Url(format!("{}/{owner}/{name}.git", self.host));
        match &source {
            _ if self.host == GITHUB => source,
            RepoSource::Slug { owner, name } => at_host(owner, name),
            RepoSource::Url(url) if url.starts_with(&self.host) => match self.owner_and_name(&source) {
                Some((owner, name)) => at_host(&owner, &name),
                None => source,
            },
            _ => source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slug(text: &str) -> Slug {
        Slug::parse(text).expect("a name")
    }

    fn source(text: &str) -> RepoSource {
        RepoSource::parse(text).expect("a source")
    }

    fn names(host: &str) -> RepoNames {
        let mut names = RepoNames::at(host).expect("a host");
        let repo = NamedRepo { source: source("https://example.com/x.git"), default_role: None };
        names.name(slug("my-app"), repo).expect("named");
        names
    }

    #[test]
    fn a_configured_name_goes_before_an_added_one_and_that_before_the_organisation() {
        let mut names = names(GITHUB);
        let added = |name: &str| matches!(name, "my-app" | "tool").then(|| source("/srv/tool"));
        let meant = |names: &RepoNames, text: &str| {
            names.resolve(source(text), added).map(|source| source.to_string())
        };
        assert_eq!(meant(&names, "my-app").as_deref(), Ok("https://example.com/x.git"));
        assert_eq!(meant(&names, "tool").as_deref(), Ok("/srv/tool"));
        let unknown = meant(&names, "web").expect_err("nobody knows it");
        assert!(unknown.to_string().contains("default_org"), "{unknown}");
        names.set_default_org("octo").expect("an owner");
        assert_eq!(meant(&names, "web").as_deref(), Ok("octo/web"));
        assert_eq!(meant(&names, "other/web").as_deref(), Ok("other/web"));
    }

    #[test]
    fn owner_and_name_are_found_at_the_host() {
        let names = names("https://git.example.com/");
        let resolve = |text: &str| names.resolve(source(text), |_| None).expect("known").to_string();
        for same in ["octo/app", "https://git.example.com/octo/app", "https://git.example.com/octo/app.git/"]
        {
            assert_eq!(resolve(same), "https://git.example.com/octo/app.git");
        }
        let app = Some(("octo".to_owned(), "app".to_owned()));
        assert_eq!(names.owner_and_name(&source("https://git.example.com/octo/app.git")), app);
        assert_eq!(names.owner_and_name(&source("https://git.example.com.evil/octo/app.git")), None);
        assert_eq!(resolve("https://git.example.com.evil/a/b"), "https://git.example.com.evil/a/b");
        assert_eq!(RepoNames::default().owner_and_name(&source("git@github.com:octo/app.git")), app);
    }

    #[test]
    fn what_is_no_host_or_no_owner_is_refused() {
        for bad in ["", "github.com", "ext::sh", "https://u:p@h", "-x", "/srv/git", "ftp://h"] {
            assert!(RepoNames::at(bad).is_err(), "{bad:?} was accepted");
        }
        for bad in ["", "..", "-x", "a/b", "a b"] {
            assert!(RepoNames::default().set_default_org(bad).is_err(), "{bad:?} was accepted");
        }
        let chained = NamedRepo { source: source("other"), default_role: None };
        assert!(RepoNames::default().name(slug("a"), chained).is_err());
    }
}
