//! How many tasks may run at a time: in all, in a repository, in a role, with a key.
//!
//! Tasks count from their lease to its end. A limit is a bound and no reservation: who is held up by
//! one of them keeps no place free in another.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use crate::schedule::Class;

/// A bound, or `None`: there is none.
pub type Limit = Option<NonZeroU32>;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    pub fleet: Limit,
    /// In each repository that `repos` does not name.
    pub per_repo: Limit,
    /// By repository, as tasks name it.
    pub repos: BTreeMap<String, Limit>,
    pub roles: BTreeMap<String, Limit>,
    /// A key that is not here is for one task at a time.
    pub keys: BTreeMap<String, Limit>,
}

impl Limits {
    pub const NONE: Self = Self {
        fleet: None,
        per_repo: None,
        repos: BTreeMap::new(),
        roles: BTreeMap::new(),
        keys: BTreeMap::new(),
    };

    /// Whether any of them needs running tasks to be counted by class.
    pub fn count_classes(&self) -> bool {
        self.fleet.is_some() || self.per_repo.is_some() || !self.repos.is_empty() || !self.roles.is_empty()
    }

    /// Tasks with the key that may run at a time.
    pub fn of_key(&self, key: &str) -> Limit {
        self.keys.get(key).copied().unwrap_or(Some(NonZeroU32::MIN))
    }

    fn of_repo(&self, repo: &str) -> Limit {
        self.repos.get(repo).copied().unwrap_or(self.per_repo)
    }

    /// The limit that keeps a task of this class from being leased while so many run.
    pub fn reached(&self, class: &Class, running: &Running) -> Option<Reached> {
        let over = |limit: Limit, running: u32| limit.filter(|limit| running >= limit.get());
        if let Some(limit) = over(self.fleet, running.fleet) {
            return Some(Reached { limit, of: Bounded::Fleet });
        }
        if let Some(repo) = &class.repo
            && let Some(limit) = over(self.of_repo(repo), count(&running.repos, repo))
        {
            return Some(Reached { limit, of: Bounded::Repo(repo.clone()) });
        }
        let role = class.role.as_ref()?.as_str();
        let limit = over(self.roles.get(role).copied().flatten(), count(&running.roles, role))?;
        Some(Reached { limit, of: Bounded::Role(role.to_owned()) })
    }
}

/// Running tasks, counted as limits and fairness look at them.
#[derive(Debug, Clone, Default)]
pub struct Running {
    fleet: u32,
    repos: BTreeMap<String, u32>,
    roles: BTreeMap<String, u32>,
    submitters: BTreeMap<Option<String>, u32>,
}

impl Running {
    /// So many more of this class.
    pub fn add(&mut self, class: &Class, tasks: u32) {
        let more = |counts: &mut BTreeMap<String, u32>, name: &str| match counts.get_mut(name) {
            Some(count) => *count += tasks,
            None => drop(counts.insert(name.to_owned(), tasks)),
        };
        self.fleet += tasks;
        if let Some(repo) = &class.repo {
            more(&mut self.repos, repo);
        }
        if let Some(role) = &class.role {
            more(&mut self.roles, role.as_str());
        }
        *self.submitters.entry(class.submitter.clone()).or_default() += tasks;
    }

    pub fn of_submitter(&self, submitter: &Option<String>) -> u32 {
        self.submitters.get(submitter).copied().unwrap_or(0)
    }
}

fn count(counts: &BTreeMap<String, u32>, name: &str) -> u32 {
    counts.get(name).copied().unwrap_or(0)
}

/// A limit that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    limit: NonZeroU32,
    of: Bounded,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Bounded {
    Fleet,
    Repo(String),
    Role(String),
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = self.limit;
        match &self.of {
            Bounded::Fleet => write!(f, "the limit of {limit} running task(s)"),
            Bounded::Repo(repo) => write!(f, "the limit of {limit} running task(s) in {repo}"),
            Bounded::Role(role) => write!(f, "the limit of {limit} running task(s) of the role {role}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AgentKind, Labels, Requirements, Slug};

    fn class(repo: &str, role: &str) -> Class {
        Class {
            requirements: Requirements { agent: AgentKind::Claude, labels: Labels::default() },
            repo: Some(repo.to_owned()),
            role: Some(Slug::parse(role).expect("a role")),
            submitter: None,
            exclusive: false,
        }
    }

    #[test]
    fn each_limit_counts_its_own_and_says_which_it_is() {
        let limit = NonZeroU32::new;
        let limits = Limits {
            fleet: limit(5),
            per_repo: limit(2),
            repos: [("big/one".to_owned(), limit(3)), ("free/one".to_owned(), None)].into(),
            roles: [("coder".to_owned(), limit(4))].into(),
            keys: [("deploy".to_owned(), limit(2)), ("free".to_owned(), None)].into(),
        };
        let mut running = Running::default();
        let reached =
            |class: &Class, running: &Running| limits.reached(class, running).map(|it| it.to_string());
        let (small, big, free) =
            (class("a/b", "coder"), class("big/one", "coder"), class("free/one", "coder"));
        running.add(&small, 2);
        assert_eq!(reached(&small, &running).as_deref(), Some("the limit of 2 running task(s) in a/b"));
        assert_eq!(reached(&big, &running), None);
        running.add(&free, 2);
        assert_eq!(
            reached(&free, &running).as_deref(),
            Some("the limit of 4 running task(s) of the role coder")
        );
        assert_eq!(reached(&class("free/one", "reviewer"), &running), None);
        running.add(&class("free/one", "reviewer"), 1);
        assert_eq!(reached(&big, &running).as_deref(), Some("the limit of 5 running task(s)"));
        assert_eq!(
            (limits.of_key("deploy"), limits.of_key("free"), limits.of_key("x")),
            (limit(2), None, limit(1))
        );
    }
}
