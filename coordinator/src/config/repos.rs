//! What repositories are called for short.

use std::collections::BTreeMap;
use std::fmt;

use clap::Args;
use factory_domain::{NamedRepo, RepoNames, RepoSource, Slug};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

#[derive(Debug, Clone, Default, Args)]
pub struct ReposOptions {
    /// Whose repository a short name such as `my-app` means where it is the name of no other
    #[arg(long, value_name = "OWNER", env = "FACTORY_DEFAULT_ORG")]
    pub default_org: Option<String>,
    /// Where owner/name is [default: https://github.com]
    #[arg(long, value_name = "URL", env = "FACTORY_REPO_HOST")]
    pub repo_host: Option<String>,
}

/// `default_org`, `host`, and beside them a table for each repository that has a name.
#[derive(Debug, Default)]
pub(super) struct ReposSection {
    default_org: Option<String>,
    host: Option<String>,
    named: BTreeMap<String, RepoSection>,
}

#[derive(Debug, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "`default_org`, `host`, or a repository's table, such as my-app = { url = \"…\" }"
)]
struct RepoSection {
    url: String,
    default_role: Option<String>,
}

/// By hand, since names and settings stand side by side, and an error is to name its line.
impl<'de> Deserialize<'de> for ReposSection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = ReposSection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of repositories")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReposSection, A::Error> {
                let mut section = ReposSection::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "default_org" => section.default_org = Some(map.next_value()?),
                        "host" => section.host = Some(map.next_value()?),
                        _ => drop(section.named.insert(key, map.next_value()?)),
                    }
                }
                Ok(section)
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// Flags and the environment go before the file.
pub(super) fn read(options: ReposOptions, file: ReposSection, problems: &mut Vec<String>) -> RepoNames {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let mut names = match given(options.repo_host.or(file.host)).map(|host| RepoNames::at(&host)) {
        None => RepoNames::default(),
        Some(Ok(names)) => names,
        Some(Err(why)) => {
            problems.push(format!("repos: host must be a URL that owners can be put after: {why}"));
            RepoNames::default()
        }
    };
    if let Some(owner) = given(options.default_org.or(file.default_org))
        && names.set_default_org(&owner).is_err()
    {
        problems.push(format!("repos: default_org: `{}` is no owner's name", owner.escape_debug()));
    }
    for (name, section) in file.named {
        if let Err(why) = add(&mut names, &name, section) {
            problems.push(format!("repos.{name}: {why}"));
        }
    }
    names
}

fn add(names: &mut RepoNames, name: &str, section: RepoSection) -> Result<(), String> {
    let name = Slug::parse(name).map_err(|why| why.to_string())?;
    let source = RepoSource::parse(&section.url).map_err(|why| why.to_string())?;
    let default_role = section.default_role.as_deref().map(Slug::parse).transpose();
    let default_role = default_role.map_err(|why| format!("default_role: {why}"))?;
    names.name(name, NamedRepo { source, default_role }).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> ReposSection {
        toml::from_str(text).expect("a section")
    }

    #[test]
    fn settings_and_names_stand_side_by_side() {
        let file = "default_org = \"octo\"\nhost = \"file:///srv/git\"\n\
                    [my-app]\nurl = \"other/app\"\ndefault_role = \"coder\"\n";
        let mut problems = Vec::new();
        let names = read(ReposOptions::default(), section(file), &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        let (name, repo) = names.named().next().expect("one");
        assert_eq!(
            (name.as_str(), repo.source.remote().as_str()),
            ("my-app", "file:///srv/git/other/app.git")
        );
        let meant = |options: ReposOptions, problems: &mut Vec<String>| {
            let names = read(options, section(file), problems);
            names.resolve(RepoSource::parse("web").expect("a name"), |_| None).expect("known").remote()
        };
        assert_eq!(meant(ReposOptions::default(), &mut problems), "file:///srv/git/octo/web.git");
        let flags = ReposOptions { default_org: Some("me".into()), repo_host: None };
        assert_eq!(meant(flags, &mut problems), "file:///srv/git/me/web.git");
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        for (text, line, word) in [
            ("default_org = \"o\"\ndefault_orgg = \"o\"\n", "line 2", "default_org"),
            ("[a]\nurl = \"o/r\"\nbranch = \"x\"\n", "line 3", "branch"),
        ] {
            let error = toml::from_str::<ReposSection>(text).expect_err("refused").to_string();
            assert!(error.contains(line) && error.contains(word), "{error}");
        }
    }

    #[test]
    fn what_git_could_not_fetch_is_said() {
        let file = "default_org = \"a b\"\nhost = \"ext::x\"\n[\"a b\"]\nurl = \"o/r\"\n[b]\nurl = \"my-app\"\n\
                    [c]\nurl = \"https://u:p@h/x\"\n[d]\nurl = \"o/r\"\ndefault_role = \"a b\"\n";
        let mut problems = Vec::new();
        read(ReposOptions::default(), section(file), &mut problems);
        assert_eq!(problems.len(), 6, "{problems:#?}");
    }
}
