//! Names handed to git. Checked here, before they reach any argv.
//!
//! The rules are those of git-check-ref-format(1), and one more: nothing may
//! begin with `-`, so that no name can be read as an option.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a valid {what}: {why}")]
pub struct InvalidRefName {
    what: &'static str,
    name: String,
    why: &'static str,
}

/// A branch to make and deliver, such as `factory/1a2b3c4d-fix-login`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BranchName(String);

/// What work starts from: a branch, a tag or a commit id, such as `main`, `v1.2` or `3f2c1ab`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RevisionName(String);

/// Git's own limit is the file system's; longer names only make trouble there.
const MAX_LENGTH: usize = 200;

fn check(what: &'static str, name: &str) -> Result<(), InvalidRefName> {
    let refuse = |why| Err(InvalidRefName { what, name: name.to_owned(), why });
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.len() > MAX_LENGTH {
        return refuse("it is longer than 200 bytes");
    }
    if name.starts_with('-') {
        return refuse("it begins with `-`");
    }
    if name == "@" || name == "HEAD" {
        return refuse("git keeps that name for itself");
    }
    if name.chars().any(|c| c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\')) {
        return refuse("it holds a space, a control character or one of `~^:?*[\\`");
    }
    if name.contains("..") || name.contains("@{") {
        return refuse("it holds `..` or `@{`");
    }
    if name.ends_with('.') || name.ends_with('/') {
        return refuse("it ends with `.` or `/`");
    }
    if name.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock")) {
        return refuse("a part of it is empty, begins with `.` or ends with `.lock`");
    }
    Ok(())
}

macro_rules! ref_name {
    ($name:ident, $what:literal) => {
        impl $name {
            pub fn parse(name: impl Into<String>) -> Result<Self, InvalidRefName> {
                let name = name.into();
                check($what, &name)?;
                Ok(Self(name))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidRefName;

            fn try_from(name: String) -> Result<Self, InvalidRefName> {
                Self::parse(name)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

ref_name!(BranchName, "branch name");
ref_name!(RevisionName, "base");

impl BranchName {
    /// The branch of an attempt that was given no name: `factory/<short id>-<slug>`,
    /// with the attempt's number from the second try on, so that no two attempts share one.
    pub fn for_attempt(attempt_short: &str, title: &str) -> Self {
        const SLUG_LENGTH: usize = 40;
        let mut slug = String::new();
        for c in title.chars() {
            if slug.len() >= SLUG_LENGTH {
                break;
            }
            if c.is_ascii_alphanumeric() {
                slug.push(c.to_ascii_lowercase());
            } else if !slug.is_empty() && !slug.ends_with('-') {
                slug.push('-');
            }
        }
        let slug = slug.trim_end_matches('-');
        if slug.is_empty() {
            Self(format!("factory/{attempt_short}"))
        } else {
            Self(format!("factory/{attempt_short}-{slug}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_options_or_climb_are_refused() {
        for bad in [
            "",
            "-D",
            "--upload-pack=x",
            "../../x",
            "a..b",
            "a//b",
            "/a",
            "a/",
            "a b",
            "a~1",
            "x.lock",
            ".x",
            "a/.b",
            "HEAD",
            "@",
            "a@{1}",
            "a\0b",
            "a\nb",
        ] {
            assert!(BranchName::parse(bad).is_err(), "{bad:?} was accepted as a branch");
            assert!(RevisionName::parse(bad).is_err(), "{bad:?} was accepted as a base");
        }
    }

    #[test]
    fn ordinary_names_are_accepted() {
        for good in ["main", "feature/login", "v1.2.3", "3f2c1ab", "факт"] {
            assert!(BranchName::parse(good).is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn a_branch_made_from_any_title_is_valid() {
        for title in ["Fix the login!", "  ", "日本語", "-D", "../../etc", &"x".repeat(500)] {
            let made = BranchName::for_attempt("1a2b3c4d", title);
            assert!(BranchName::parse(made.as_str()).is_ok(), "{made}");
        }
    }
}
