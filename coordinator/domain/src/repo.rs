//! Where a task's repository comes from.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Slug;

/// A repository as a task names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum RepoSource {
    /// An absolute path on the worker's host.
    Path(String),
    /// A URL git can fetch: https, http, ssh, git, file, or `user@host:path`.
    Url(String),
    /// `owner/name` on GitHub, however its HTTPS URL was written.
    Slug { owner: String, name: String },
    /// A name that stands for one of the others: [`RepoNames`](crate::RepoNames) knows which. No accepted
    /// task has one.
    Name(Slug),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRepo {
    #[error("the repository is empty")]
    Empty,
    #[error("repository `{0}` begins with `-`")]
    Option(String),
    #[error("repository `{0}` holds a control character")]
    Control(String),
    #[error("repository URL `{0}` uses a transport that is not allowed (https, http, ssh, git and file are)")]
    Transport(String),
    #[error("repository URL must not carry a password; use a git credential helper on the worker")]
    Password,
    #[error("`{0}` is not an absolute path, a URL, owner/name or a short name")]
    Unrecognised(String),
}

impl RepoSource {
    const SCHEMES: [&str; 5] = ["https", "http", "ssh", "git", "file"];

    /// Reads a path, a URL, `owner/name` or a short name. A relative path is not accepted:
    /// whoever knows the current directory makes it absolute first.
    pub fn parse(text: &str) -> Result<Self, InvalidRepo> {
        if text.is_empty() {
            return Err(InvalidRepo::Empty);
        }
        if text.starts_with('-') {
            return Err(InvalidRepo::Option(text.to_owned()));
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidRepo::Control(text.to_owned()));
        }
        if text.starts_with('/') {
            return Ok(Self::Path(text.to_owned()));
        }
        // `ext::sh -c …` and the like: git's remote helpers run programs.
        if text.contains("::") {
            return Err(InvalidRepo::Transport(text.to_owned()));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            if !Self::SCHEMES.contains(&scheme) {
                return Err(InvalidRepo::Transport(text.to_owned()));
            }
            let authority = rest.split('/').next().unwrap_or(rest);
            if let Some((user, host)) = authority.rsplit_once('@') {
                if user.contains(':') {
                    return Err(InvalidRepo::Password);
                }
                if host.starts_with('-') || user.starts_with('-') {
                    return Err(InvalidRepo::Option(text.to_owned()));
                }
            } else if authority.starts_with('-') {
                return Err(InvalidRepo::Option(text.to_owned()));
            }
            // With a user in it, git may be asked for that user's password: then it stays as it is.
            let on_github = text.strip_prefix("https://github.com/").and_then(Self::parse_slug_of_url);
            return Ok(on_github.unwrap_or_else(|| Self::Url(text.to_owned())));
        }
        if let Some((host, path)) = text.split_once(':') {
            let plain = !host.is_empty() && !host.contains('/') && !path.is_empty();
            if plain
                && !path.starts_with('-')
                && !host.rsplit('@').next().is_some_and(|h| h.starts_with('-') || h.is_empty())
            {
                return Ok(Self::Url(text.to_owned()));
            }
            return Err(InvalidRepo::Unrecognised(text.to_owned()));
        }
        if let Ok(name) = Slug::parse(text) {
            return Ok(Self::Name(name));
        }
        Self::parse_slug(text).ok_or_else(|| InvalidRepo::Unrecognised(text.to_owned()))
    }

    fn parse_slug_of_url(path: &str) -> Option<Self> {
        Self::parse_slug(path.trim_end_matches('/'))
    }

    fn parse_slug(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let name = name.strip_suffix(".git").unwrap_or(name);
        let plain = |part: &str| {
            !part.is_empty()
                && part.len() <= 100
                && part != "."
                && part != ".."
                && !part.starts_with('-')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
        };
        (plain(owner) && plain(name)).then(|| Self::Slug { owner: owner.to_owned(), name: name.to_owned() })
    }

    /// What git is told to fetch from.
    pub fn remote(&self) -> String {
        match self {
            Self::Path(path) => path.clone(),
            Self::Url(url) => url.clone(),
            Self::Slug { owner, name } => format!("https://github.com/{owner}/{name}.git"),
            // Nothing that git could take for a directory or a host.
            Self::Name(name) => format!("unresolved-name://{name}"),
        }
    }

    /// The same for all ways to write one repository: what is limited, locked, listed and remembered goes by it,
    /// and never what git fetches from, since a key that is good for SSH is none for HTTPS.
    #[must_use]
    pub fn canonical(&self) -> Self {
        match self {
            Self::Path(path) => {
                let trimmed = path.trim_end_matches('/');
                Self::Path(if trimmed.is_empty() { "/" } else { trimmed }.to_owned())
            }
            Self::Url(url) => github_path(url)
                .and_then(Self::parse_slug_of_url)
                .unwrap_or_else(|| Self::Url(url.trim_end_matches('/').to_owned())),
            other => other.clone(),
        }
    }

    /// [`canonical`](Self::canonical), as it is written.
    pub fn identity(&self) -> String {
        self.canonical().to_string()
    }
}

impl fmt::Display for RepoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(text) | Self::Url(text) => f.write_str(text),
            Self::Slug { owner, name } => write!(f, "{owner}/{name}"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// The path of a URL whose host is GitHub, by whatever transport and user.
fn github_path(url: &str) -> Option<&str> {
    let (authority, path) = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?,
        None => url.split_once(':')?,
    };
    let host = authority.rsplit('@').next()?;
    let host = host.strip_suffix(":22").or_else(|| host.strip_suffix(":443")).unwrap_or(host);
    host.eq_ignore_ascii_case("github.com").then_some(path)
}

impl TryFrom<String> for RepoSource {
    type Error = InvalidRepo;

    fn try_from(text: String) -> Result<Self, InvalidRepo> {
        Self::parse(&text)
    }
}

impl From<RepoSource> for String {
    fn from(source: RepoSource) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_apart() {
        assert!(matches!(RepoSource::parse("/srv/app"), Ok(RepoSource::Path(_))));
        assert!(matches!(RepoSource::parse("https://example.com/a.git"), Ok(RepoSource::Url(_))));
        assert!(matches!(RepoSource::parse("git@example.com:a/b.git"), Ok(RepoSource::Url(_))));
        let slug = RepoSource::parse("octo/app").expect("a slug");
        assert_eq!(slug.remote(), "https://github.com/octo/app.git");
        assert_eq!(slug.to_string(), "octo/app");
        assert!(matches!(RepoSource::parse("my-app"), Ok(RepoSource::Name(_))));
    }

    #[test]
    fn one_repository_is_one_however_it_is_written() {
        for (written, fetched) in [
            ("octo/app", "https://github.com/octo/app.git"),
            ("https://github.com/octo/app", "https://github.com/octo/app.git"),
            ("https://github.com/octo/app.git/", "https://github.com/octo/app.git"),
            ("git@github.com:octo/app.git", "git@github.com:octo/app.git"),
            ("ssh://git@github.com:22/octo/app", "ssh://git@github.com:22/octo/app"),
            ("https://me@github.com/octo/app", "https://me@github.com/octo/app"),
        ] {
            let source = RepoSource::parse(written).expect("a source");
            assert_eq!((source.remote().as_str(), source.identity().as_str()), (fetched, "octo/app"));
        }
        for (written, identity) in [
            ("/srv/app/", "/srv/app"),
            ("https://example.com/octo/app/", "https://example.com/octo/app"),
            ("https://github.com/octo", "https://github.com/octo"),
            ("git@notgithub.com:octo/app", "git@notgithub.com:octo/app"),
        ] {
            assert_eq!(RepoSource::parse(written).expect("a source").identity(), identity);
        }
    }

    #[test]
    fn what_could_run_a_program_or_leak_is_refused() {
        for bad in [
            "",
            "-x",
            "--upload-pack=x",
            "ext::sh -c id",
            "ext::x",
            "https://u:secret@h/a",
            "ftp://h/a",
            "a\nb",
            "relative/path/deep",
            "ssh://-oProxyCommand=x/a",
            "-h:x",
            "user@-host:x",
            "h:-x",
            "../x",
        ] {
            assert!(RepoSource::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
