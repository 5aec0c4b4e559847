//! Which repository a task gets, settled and checked here, where the current
//! directory is known. Git is only asked, never told to change anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use factory_domain::RepoSource;

use crate::exit::CommandError;

/// The repository a task will name, and what its submitter should know.
#[derive(Debug, PartialEq, Eq)]
pub struct Chosen {
    /// As it is sent.
    pub repo: String,
    /// Things the agent will not see.
    pub warnings: Vec<String>,
}

/// What the options say about the repository.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    pub repo: Option<&'a str>,
    pub no_repo: bool,
    pub base: Option<&'a str>,
}

/// As it is sent, where it is not about a task: a path begins with `/` or `.`, all else is a name or a URL.
pub fn named(text: &str) -> Result<String, CommandError> {
    if !text.starts_with(['/', '.']) {
        return Ok(text.to_owned());
    }
    let here = std::env::current_dir().map_err(CommandError::local("cannot tell the current directory"))?;
    let path = here.join(text);
    // What is not here may be on a worker's host.
    let Some(top) = toplevel(&path) else {
        if text.starts_with('/') {
            return Ok(text.to_owned());
        }
        return Err(CommandError::Usage(format!("{} is not a git repository", path.display())));
    };
    let top = top.into_os_string().into_string();
    top.map_err(|top| CommandError::Usage(format!("the path {} is not UTF-8", top.display())))
}

/// Settles the repository; `None` is an empty workspace.
pub fn choose(asked: Asked<'_>, directory: &Path) -> Result<Option<Chosen>, CommandError> {
    if asked.no_repo {
        return Ok(None);
    }
    let Some(named) = asked.repo else {
        return match toplevel(directory) {
            Some(path) => local(&path, asked.base).map(Some),
            None => Ok(None),
        };
    };
    let refuse = |why: String| Err(CommandError::Usage(format!("--repo: {why}")));
    let source = RepoSource::parse(named);
    if let Ok(RepoSource::Url(url)) = source {
        return Ok(Some(Chosen { repo: url, warnings: Vec::new() }));
    }
    // A path that exists here goes before owner/name.
    let path = directory.join(named);
    if !named.starts_with('-') && path.exists() {
        return match toplevel(&path) {
            Some(top) => local(&top, asked.base).map(Some),
            None => refuse(format!("{} is not a git repository", path.display())),
        };
    }
    match source {
        // The coordinator knows what a name stands for.
        Ok(RepoSource::Slug { .. } | RepoSource::Name(_)) => {
            Ok(Some(Chosen { repo: named.to_owned(), warnings: Vec::new() }))
        }
        Ok(_) => refuse(format!("there is nothing at {}", path.display())),
        Err(error) => refuse(error.to_string()),
    }
}

fn local(path: &Path, base: Option<&str>) -> Result<Chosen, CommandError> {
    let Some(repo) = path.to_str() else {
        return Err(CommandError::Usage(format!("--repo: the path {} is not UTF-8", path.display())));
    };
    if git(path, &["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).is_none() && base.is_none() {
        return Err(CommandError::Usage(format!(
            "--repo: {repo} has no commit yet; make one for the agent to start from"
        )));
    }
    let mut warnings = Vec::new();
    warnings.extend(uncommitted(path));
    if let Some(base) = base {
        warnings.extend(check_base(path, base)?);
    }
    Ok(Chosen { repo: repo.to_owned(), warnings })
}

/// The repository that a directory lies in, and where in it.
pub fn containing(directory: &Path) -> Option<(PathBuf, PathBuf)> {
    let directory = directory.canonicalize().ok()?;
    let top = toplevel(&directory)?;
    let inside = directory.strip_prefix(&top).map(Path::to_owned).unwrap_or_default();
    Some((top, inside))
}

/// The root of the work tree that `path` is in, or the bare repository it is.
fn toplevel(path: &Path) -> Option<PathBuf> {
    let bare = git(path, &["rev-parse", "--is-bare-repository"])?;
    let args: &[&str] =
        if bare == "true" { &["rev-parse", "--absolute-git-dir"] } else { &["rev-parse", "--show-toplevel"] };
    git(path, args).filter(|top| !top.is_empty()).map(PathBuf::from)
}

fn uncommitted(path: &Path) -> Option<String> {
    let status = git(path, &["status", "--porcelain", "--untracked-files=normal"])?;
    let changed = status.lines().count();
    let (files, are) = if changed == 1 { ("file", "is") } else { ("files", "are") };
    (changed > 0).then(|| {
        format!(
            "{changed} changed or untracked {files} here {are} not committed: the agent will not see them"
        )
    })
}

/// A base that is not there is refused now; commits it lacks are worth a word.
fn check_base(path: &Path, base: &str) -> Result<Option<String>, CommandError> {
    if factory_domain::RevisionName::parse(base).is_err() {
        // The checks of the spec say what is wrong with it.
        return Ok(None);
    }
    let known = [base.to_owned(), format!("origin/{base}")].into_iter().find(|name| {
        git(path, &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")])
            .is_some()
    });
    let Some(name) = known else {
        let branches = git(path, &["for-each-ref", "--count=8", "--format=%(refname:short)", "refs/heads"]);
        let branches = branches.unwrap_or_default().lines().collect::<Vec<_>>().join(", ");
        return Err(CommandError::Usage(format!(
            "--base: `{base}` is not in {}; its branches: {branches}",
            path.display()
        )));
    };
    let ahead = git(path, &["rev-list", "--count", "--end-of-options", &format!("{name}..HEAD")]);
    let ahead: u64 = ahead.and_then(|count| count.parse().ok()).unwrap_or(0);
    let (commits, are) = if ahead == 1 { ("commit", "is") } else { ("commits", "are") };
    Ok((ahead > 0).then(|| {
        format!(
            "{ahead} {commits} of what is checked out here {are} not in {name}: the agent will not see them"
        )
    }))
}

/// What git answers; `None` where it does not, or is not there.
fn git(directory: &Path, args: &[&str]) -> Option<String> {
    let directory = if directory.is_dir() { directory } else { directory.parent()? };
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(args)
        // Looking must not write, not even the index.
        .env("GIT_OPTIONAL_LOCKS", "0")
        .output()
        .ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const ASKED: Asked<'_> = Asked { repo: None, no_repo: false, base: None };

    fn run(directory: &Path, args: &[&str]) {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
        let output = Command::new("git").arg("-C").arg(directory).args(identity).args(args).output();
        assert!(output.is_ok_and(|output| output.status.success()), "git {args:?}");
    }

    fn repository() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        run(directory.path(), &["init", "--quiet", "--initial-branch=main"]);
        fs::write(directory.path().join("a"), "a").expect("write");
        run(directory.path(), &["add", "a"]);
        run(directory.path(), &["commit", "--quiet", "--message=a"]);
        directory
    }

    fn real(directory: &tempfile::TempDir) -> String {
        directory.path().canonicalize().expect("it exists").to_string_lossy().into_owned()
    }

    #[test]
    fn the_repository_of_the_current_directory_is_taken() {
        let repo = repository();
        let inside = repo.path().join("deep");
        fs::create_dir(&inside).expect("a directory");
        let chosen = choose(ASKED, &inside).expect("chosen").expect("one");
        assert_eq!(chosen, Chosen { repo: real(&repo), warnings: Vec::new() });
        assert_eq!(choose(Asked { no_repo: true, ..ASKED }, &inside).expect("chosen"), None);
        let outside = tempfile::tempdir().expect("a directory");
        assert_eq!(choose(ASKED, outside.path()).expect("chosen"), None);
    }

    #[test]
    fn a_path_that_exists_goes_before_owner_and_name() {
        let root = tempfile::tempdir().expect("a directory");
        let asked = Asked { repo: Some("octo/app"), ..ASKED };
        assert_eq!(choose(asked, root.path()).expect("chosen").expect("one").repo, "octo/app");
        fs::create_dir_all(root.path().join("octo/app")).expect("directories");
        assert!(choose(asked, root.path()).is_err(), "it exists and is no repository");
        run(root.path(), &["init", "--quiet", "--bare", "octo/app"]);
        run(root.path(), &["init", "--quiet", "--bare", "b.git"]);
        let chosen = choose(Asked { base: Some("x y"), ..asked }, root.path()).expect("chosen").expect("one");
        assert_eq!(chosen.repo, format!("{}/octo/app", real(&root)));
    }

    #[test]
    fn what_the_agent_will_not_see_is_said() {
        let repo = repository();
        run(repo.path(), &["branch", "old"]);
        fs::write(repo.path().join("b"), "b").expect("write");
        run(repo.path(), &["add", "b"]);
        run(repo.path(), &["commit", "--quiet", "--message=b"]);
        fs::write(repo.path().join("c"), "c").expect("write");
        let chosen = choose(Asked { base: Some("old"), ..ASKED }, repo.path()).expect("chosen").expect("one");
        assert_eq!(chosen.warnings.len(), 2, "{:?}", chosen.warnings);
        assert!(chosen.warnings[0].starts_with("1 changed or untracked file here is"));
        assert!(chosen.warnings[1].contains("not in old"));
    }

    #[test]
    fn what_is_no_repository_or_no_base_is_refused() {
        let repo = repository();
        for asked in [
            Asked { repo: Some("/nowhere/at/all"), ..ASKED },
            Asked { repo: Some("--upload-pack=x"), ..ASKED },
            Asked { repo: Some("ext::sh -c id"), ..ASKED },
            Asked { repo: Some("https://u:p@h/a"), ..ASKED },
            Asked { repo: Some("../nowhere"), ..ASKED },
            Asked { base: Some("nope"), ..ASKED },
        ] {
            let error = choose(asked, repo.path()).expect_err("refused");
            assert!(matches!(error, CommandError::Usage(_)), "{asked:?}: {error}");
        }
        let empty = tempfile::tempdir().expect("a directory");
        run(empty.path(), &["init", "--quiet"]);
        assert!(choose(ASKED, empty.path()).is_err(), "no commit to start from");
    }
}
