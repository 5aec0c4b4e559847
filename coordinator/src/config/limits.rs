//! How many tasks may run at a time.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use clap::Args;
use factory_domain::{Limit, Limits, RepoNames, RepoSource, Slug};
use serde::Deserialize;

/// In each of them 0 means: without a limit.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitsOptions {
    /// Tasks that run at a time, on all workers; 0: as many as there are slots [default: 0]
    #[arg(long, value_name = "TASKS", env = "FACTORY_MAX_RUNNING")]
    pub max_running: Option<u32>,
    /// Tasks that run at a time in one repository; 0: without a limit [default: 0]
    #[arg(long, value_name = "TASKS", env = "FACTORY_MAX_PER_REPO")]
    pub max_per_repo: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsSection {
    fleet: Option<u32>,
    per_repo: Option<u32>,
    #[serde(default)]
    repos: BTreeMap<String, u32>,
    #[serde(default)]
    roles: BTreeMap<String, u32>,
    #[serde(default)]
    keys: BTreeMap<String, u32>,
}

/// Flags and the environment go before the file.
pub(super) fn read(
    options: &LimitsOptions,
    file: LimitsSection,
    names: &RepoNames,
    problems: &mut Vec<String>,
) -> Limits {
    let limit = |given: Option<u32>| NonZeroU32::new(given.unwrap_or(0));
    Limits {
        fleet: limit(options.max_running.or(file.fleet)),
        per_repo: limit(options.max_per_repo.or(file.per_repo)),
        // As the names of tasks' repositories are written.
        repos: named("repos", file.repos, |name| read_repo(name, names), problems),
        roles: named("roles", file.roles, |name| Slug::parse(name).map(|role| role.to_string()), problems),
        keys: named("keys", file.keys, read_key, problems),
    }
}

fn named<E: std::fmt::Display>(
    section: &str,
    given: BTreeMap<String, u32>,
    read: impl Fn(&str) -> Result<String, E>,
    problems: &mut Vec<String>,
) -> BTreeMap<String, Limit> {
    let mut limits = BTreeMap::new();
    for (name, limit) in given {
        match read(&name) {
            Ok(name) => drop(limits.insert(name, NonZeroU32::new(limit))),
            Err(why) => problems.push(format!("limits.{section}: {why}")),
        }
    }
    limits
}

fn read_repo(name: &str, names: &RepoNames) -> Result<String, String> {
    let source = RepoSource::parse(name).map_err(|why| why.to_string())?;
    let source = names.resolve(source, |_| None).map_err(|why| why.to_string())?;
    Ok(source.identity())
}

fn read_key(name: &str) -> Result<String, String> {
    let is_key = !name.is_empty() && name.len() <= 200 && !name.chars().any(char::is_control);
    is_key
        .then(|| name.to_owned())
        .ok_or_else(|| format!("`{}` is no key that a task can have", name.escape_debug()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_go_before_the_file_and_zero_is_no_limit() {
        let file =
            "fleet = 9\nper_repo = 2\n[repos]\n\"owner/name\" = 0\n[roles]\ncoder = 4\n[keys]\ndeploy = 2\n";
        let options = LimitsOptions { max_running: Some(5), max_per_repo: None };
        let mut problems = Vec::new();
        let limits =
            read(&options, toml::from_str(file).expect("a section"), &RepoNames::default(), &mut problems);
        let limit = NonZeroU32::new;
        assert_eq!((limits.fleet, limits.per_repo), (limit(5), limit(2)));
        assert_eq!(limits.repos, [("owner/name".to_owned(), None)].into());
        assert_eq!(limits.roles, [("coder".to_owned(), limit(4))].into());
        assert_eq!((limits.of_key("deploy"), limits.of_key("other")), (limit(2), limit(1)));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(
            read(&LimitsOptions::default(), LimitsSection::default(), &RepoNames::default(), &mut problems),
            Limits::NONE
        );
    }

    #[test]
    fn a_name_that_no_task_could_have_is_said() {
        let file = "[repos]\n\"../x\" = 1\n[roles]\n\"Not a role\" = 1\n[keys]\n\"\" = 1\n";
        let mut problems = Vec::new();
        read(
            &LimitsOptions::default(),
            toml::from_str(file).expect("a section"),
            &RepoNames::default(),
            &mut problems,
        );
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("limits.repos: ") && problems[0].contains("../x"), "{problems:?}");
    }
}
