//! A running `factoryctl up`, and a repository for its agents.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

/// Ends with the value, whatever the test did.
pub struct Factory {
    process: Child,
    pub url: String,
    directory: TempDir,
}

impl Factory {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (process, url) = up(&directory.path().join("root"), "127.0.0.1:0");
        Self { process, url, directory }
    }

    /// As by a crash of the host: without a word to anyone.
    pub fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("it has ended");
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        (self.process, self.url) = up(&self.root(), &address);
    }

    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// `factoryctl` told to use this factory.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = factoryctl(&self.root());
        command.args(["--url", &self.url]).args(args).current_dir(self.directory.path());
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary starts")
    }

    /// Submits to the scripted agent in an empty workspace; gives the number.
    pub fn submit(&self, prompt: &str, options: &[&str]) -> String {
        let args = ["submit", "-o", "json", "--agent", "scripted", prompt];
        let output = self.run(&[&args[..], options].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let reply: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        reply["number"].to_string()
    }

    pub fn status(&self, task: &str) -> serde_json::Value {
        serde_json::from_slice(&self.run(&["status", task, "-o", "json"]).stdout).expect("JSON")
    }

    /// A repository with one commit.
    pub fn repository(&self) -> PathBuf {
        let path = self.directory.path().join("repo");
        std::fs::create_dir(&path).expect("a directory");
        std::fs::write(path.join("a.txt"), "a\n").expect("written");
        git(&path, &["init", "--quiet", "--initial-branch=main"]);
        git(&path, &["add", "--all"]);
        git(&path, &["commit", "--quiet", "--message=Begin"]);
        path
    }
}

fn up(root: &Path, listen: &str) -> (Child, String) {
    let mut process = factoryctl(root)
        .args(["up", "--listen", listen, "--slots", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut ready = String::new();
    let stdout = process.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut ready).expect("a line");
    let url = ready.trim().strip_prefix("factory listening on ").expect("the ready line").to_owned();
    (process, url)
}

impl Drop for Factory {
    fn drop(&mut self) {
        // Twice: the first asks it to drain. It may have ended already.
        for _ in 0..2 {
            let pid = self.process.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).stderr(Stdio::null()).status();
        }
        let _ = self.process.wait();
    }
}

/// The binary with an environment in which it finds nothing of the user's.
pub fn factoryctl(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_factoryctl"));
    for name in ["FACTORY_URL", "FACTORY_AUTH_TOKEN", "FACTORY_CONFIG", "FACTORY_CLAUDE_BIN", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.env("AGENT_FACTORY_DIRPATH", root);
    command
}

pub fn git(repository: &Path, args: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgSign=false"];
    let output =
        Command::new("git").arg("-C").arg(repository).args(identity).args(args).output().expect("git");
    assert!(output.status.success(), "git {args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
