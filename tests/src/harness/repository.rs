//! A bare origin with one commit, as agents work on it.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::host::Host;

pub struct Origin {
    host: Host,
    path: PathBuf,
}

impl Origin {
    /// A repository with `README.md` on `main`.
    ///
    /// # Panics
    /// When git fails.
    pub fn new(host: &Host, name: &str) -> Self {
        Self::with_files(host, name, &[])
    }

    /// The same, with more files in its first commit.
    ///
    /// # Panics
    /// When git fails.
    pub fn with_files(host: &Host, name: &str, files: &[(&str, &str)]) -> Self {
        Self::with_files_of_mode(host, name, files, 0o644)
    }

    /// The same, with programs.
    ///
    /// # Panics
    /// When git fails.
    pub fn with_executables(host: &Host, name: &str, files: &[(&str, &str)]) -> Self {
        Self::with_files_of_mode(host, name, files, 0o755)
    }

    fn with_files_of_mode(host: &Host, name: &str, files: &[(&str, &str)], mode: u32) -> Self {
        let path = host.path().join(format!("{name}.git"));
        let seed = host.path().join(format!("{name}-seed"));
        std::fs::create_dir(&seed).expect("a folder");
        std::fs::write(seed.join("README.md"), format!("# {name}\n")).expect("a file");
        for (file, content) in files {
            let file = seed.join(file);
            std::fs::create_dir_all(file.parent().expect("within the seed")).expect("a folder");
            std::fs::write(&file, content).expect("a file");
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
        }
        git(host, &seed, ["init", "--quiet", "--initial-branch=main", "."]);
        git(host, &seed, ["add", "--all"]);
        git(host, &seed, ["commit", "--quiet", "--message", "Begin"]);
        git(
            host,
            host.path(),
            ["clone".as_ref(), "--quiet".as_ref(), "--bare".as_ref(), seed.as_os_str(), path.as_os_str()],
        );
        Self { host: host.clone(), path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As a task names it.
    pub fn source(&self) -> String {
        self.path.display().to_string()
    }

    /// From now on nothing can be pushed, and `why` is said.
    ///
    /// # Panics
    /// When the hook cannot be written.
    pub fn refuse_pushes(&self, why: &str) {
        let hook = self.path.join("hooks/pre-receive");
        std::fs::write(&hook, format!("#!/bin/sh\necho '{why}' >&2\nexit 1\n")).expect("a hook");
        std::fs::set_permissions(&hook, Permissions::from_mode(0o755)).expect("a mode");
    }

    pub fn git<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> String {
        git(&self.host, &self.path, args)
    }

    /// All branches but `main`.
    pub fn delivered(&self) -> Vec<String> {
        let names = self.git(["for-each-ref", "--format=%(refname:short)", "refs/heads"]);
        names.lines().filter(|name| *name != "main").map(str::to_owned).collect()
    }

    pub fn head_of(&self, branch: &str) -> String {
        self.git(["rev-parse", &format!("refs/heads/{branch}")])
    }

    pub fn file(&self, branch: &str, path: &str) -> String {
        self.git(["show", &format!("refs/heads/{branch}:{path}")])
    }
}

/// Runs git there and returns what it printed, without the last line break.
///
/// # Panics
/// When it fails.
pub fn git<A: AsRef<OsStr>>(host: &Host, folder: &Path, args: impl IntoIterator<Item = A>) -> String {
    let output = Command::new("git")
        .args(args)
        .current_dir(folder)
        .env_clear()
        .envs(host.environment())
        .output()
        .expect("git starts");
    assert!(output.status.success(), "git failed: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
