//! An origin, a worker's root and a user's git configuration, all in one temporary directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use factory_domain::{AttemptId, BranchName, RepoSource, RevisionName};
use factory_worker::git::Git;
use factory_worker::repo::{Cache, Merge, RepoError, Request};
use factory_worker::worktree::Worktree;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub struct Fixture {
    directory: TempDir,
    pub cache: Cache,
    pub notes: Mutex<Vec<String>>,
}

impl Fixture {
    /// With an origin that has one commit on `main`.
    pub fn new() -> Self {
        let fixture = Self::without_origin();
        fixture.make_origin("origin");
        fixture
    }

    pub fn without_origin() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(
            directory.path().join("gitconfig"),
            "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n",
        )
        .expect("a configuration");
        let ssh = directory.path().join("ssh");
        let log = directory.path().join("connections");
        write_program(&ssh, &format!("echo \"$2\" >>{}\nexec sh -c \"$2\"", log.display()));
        let cache = cache(&directory);
        Self { directory, cache, notes: Mutex::default() }
    }

    /// The same disk under a new process's cache.
    pub fn restarted(self) -> Self {
        Self { cache: cache(&self.directory), ..self }
    }

    /// The origin by a URL: over an `ssh` that stays on this host, and keeps a list of its connections.
    pub fn remote_source(&self) -> RepoSource {
        RepoSource::parse(&format!("ssh://host{}", self.origin().display())).expect("a source")
    }

    /// What has been asked of the origin over [`Self::remote_source`].
    pub fn connections(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.path("connections")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn origin(&self) -> PathBuf {
        self.path("origin")
    }

    pub fn out(&self) -> PathBuf {
        let out = self.path("out");
        std::fs::create_dir_all(&out).expect("a directory");
        out
    }

    pub fn source(&self, name: &str) -> RepoSource {
        RepoSource::parse(self.path(name).to_str().expect("a plain path")).expect("a source")
    }

    /// The only bare clone in the cache.
    pub fn clone_path(&self) -> PathBuf {
        let repos = std::fs::read_dir(self.path("worker/repos")).expect("a cache");
        let mut clones = repos.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
        let clone = clones.next().expect("a clone");
        assert_eq!(clones.next(), None, "more than the clone is in the cache");
        clone
    }

    /// A repository with `README` on `main`, and another branch checked out nowhere.
    pub fn make_origin(&self, name: &str) {
        std::fs::create_dir_all(self.path(name)).expect("a directory");
        self.git(&self.path(name), &["init", "--quiet"]);
        self.commit(name, "README", "hello\n");
    }

    /// Writes a file in a repository and commits it; gives the commit's id.
    pub fn commit(&self, repository: &str, file: &str, content: &str) -> String {
        self.commit_in(&self.path(repository), file, content)
    }

    pub fn commit_in(&self, directory: &Path, file: &str, content: &str) -> String {
        let path = directory.join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, content).expect("written");
        self.git(directory, &["add", "--all"]);
        self.git(directory, &["commit", "--quiet", "--message", &format!("Add {file}")]);
        self.git(directory, &["rev-parse", "HEAD"])
    }

    /// Runs git as a person (or an agent) would; gives its trimmed answer.
    pub fn git(&self, directory: &Path, args: &[&str]) -> String {
        let output = self.try_git(directory, args);
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim_end().to_owned()
    }

    pub fn try_git(&self, directory: &Path, args: &[&str]) -> std::process::Output {
        let mut git = Command::new("git");
        git.args(args)
            .current_dir(directory)
            .env("HOME", self.directory.path())
            .env("GIT_CONFIG_GLOBAL", self.path("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
            git.env_remove(name);
        }
        git.output().expect("git runs")
    }

    /// A worktree of `origin` named `name`, on branch `factory/<name>`.
    pub async fn checkout(&self, name: &str, base: Option<&str>) -> Result<Worktree, RepoError> {
        self.checkout_branch(name, base, &format!("factory/{name}")).await
    }

    pub async fn checkout_branch(
        &self,
        name: &str,
        base: Option<&str>,
        branch: &str,
    ) -> Result<Worktree, RepoError> {
        self.checkout_of("origin", name, base, branch).await
    }

    pub async fn checkout_of(
        &self,
        origin: &str,
        name: &str,
        base: Option<&str>,
        branch: &str,
    ) -> Result<Worktree, RepoError> {
        let base = base.map(|base| RevisionName::parse(base).expect("a base"));
        self.request(&self.source(origin), name, base.as_ref(), branch, &CancellationToken::new()).await
    }

    pub async fn request(
        &self,
        source: &RepoSource,
        name: &str,
        base: Option<&RevisionName>,
        branch: &str,
        token: &CancellationToken,
    ) -> Result<Worktree, RepoError> {
        let branch = BranchName::parse(branch).expect("a branch");
        let workspace = self.path("worker/workspaces").join(name);
        let attempt = AttemptId::from_uuid(Uuid::now_v7());
        let merge = Merge::default();
        let workspace = &workspace;
        let request =
            Request { source, base, attempt, branch: &branch, merge, workspace, goes_on: false, token };
        let note = |text: String| self.notes.lock().expect("notes").push(text);
        self.cache.checkout(&request, &note).await
    }

    pub fn noted(&self, part: &str) -> bool {
        self.notes.lock().expect("notes").iter().any(|note| note.contains(part))
    }
}

pub fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref())
        .unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

fn cache(directory: &TempDir) -> Cache {
    let git = Git::new()
        .env("GIT_SSH_COMMAND", directory.path().join("ssh"))
        .env("GIT_SSH_VARIANT", "simple")
        .env("HOME", directory.path())
        .env("GIT_CONFIG_GLOBAL", directory.path().join("gitconfig"))
        .env("GIT_CONFIG_NOSYSTEM", "1");
    Cache::with_git(&directory.path().join("worker"), git)
}

/// Writes a shell script and makes it executable. By another process: while this one, with its many
/// threads, starts children, a file it has just written may for a moment be open in one of them, and
/// cannot be executed then.
pub fn write_program(path: &Path, script: &str) {
    let mut text = path.as_os_str().to_owned();
    text.push(".text");
    std::fs::write(&text, format!("#!/bin/sh\n{script}\n")).expect("written");
    let copied = Command::new("install").arg("--mode=755").arg(&text).arg(path).status();
    assert!(copied.expect("install runs").success());
    std::fs::remove_file(text).expect("removed");
}
