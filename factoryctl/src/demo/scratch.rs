//! A small repository to work on, made anew for each demo.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::exit::CommandError;

/// Commits, oldest first: a message and the files it brings.
const HISTORY: [(&str, &[(&str, &str)]); 3] = [
    (
        "Begin with a README",
        &[("README.md", "# tally\n\nCounts words in text files.\n"), (".gitignore", "__pycache__/\n")],
    ),
    (
        "Count words",
        &[
            ("tally/__init__.py", ""),
            (
                "tally/count.py",
                "def words(text):\n    return len(text.split())\n\n\ndef lines(text):\n    return len(text.split(\"\\n\"))\n",
            ),
        ],
    ),
    (
        "Greet on the command line",
        &[(
            "tally/__main__.py",
            "import sys\n\nfrom tally.count import words\n\n\ndef main():\n    for path in sys.argv[1:]:\n        with open(path) as file:\n            print(path, words(file.read()))\n\n\nif __name__ == \"__main__\":\n    main()\n",
        )],
    ),
];

/// Makes the repository in `directory`, which is made too.
pub fn repository(directory: &Path) -> Result<PathBuf, CommandError> {
    let cannot = || format!("cannot make the scratch repository {}", directory.display());
    fs::create_dir_all(directory).map_err(CommandError::local(cannot()))?;
    git(directory, &["init", "--quiet", "--initial-branch=main"])?;
    for (message, files) in HISTORY {
        for (name, content) in files {
            let path = directory.join(name);
            let parent = path.parent().unwrap_or(directory);
            fs::create_dir_all(parent).map_err(CommandError::local(cannot()))?;
            fs::write(&path, content).map_err(CommandError::local(cannot()))?;
        }
        git(directory, &["add", "--all"])?;
        git(directory, &["commit", "--quiet", "--message", message])?;
    }
    Ok(directory.to_owned())
}

fn git(directory: &Path, args: &[&str]) -> Result<(), CommandError> {
    // The user's own settings (signing, hooks) are not for a scratch repository.
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(["-c", "user.name=Factory demo", "-c", "user.email=demo@localhost"])
        .args(["-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null"])
        .args(args)
        .output()
        .map_err(CommandError::local("cannot run git; is it installed?"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(CommandError::Failed(format!("git {} failed: {said}", args.first().unwrap_or(&""))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scratch_repository_has_commits() {
        let directory = tempfile::tempdir().expect("a directory");
        let repository = repository(&directory.path().join("repo")).expect("made");
        let log = Command::new("git").arg("-C").arg(&repository).args(["log", "--oneline"]).output();
        assert_eq!(String::from_utf8_lossy(&log.expect("git").stdout).lines().count(), HISTORY.len());
    }
}
