//! The real `git` (2.38 or newer), run with an environment and a configuration of the factory's making.
//!
//! Arguments go as argv, never through a shell; values that come from people stand behind `--`, or are
//! names that the domain has already refused to begin with `-`. No hook, no file-system monitor and no
//! external diff of a repository runs, git asks nobody for a password, and a command that is cancelled,
//! out of time or forgotten is ended with everything it started.

mod error;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

pub use error::{GitError, without_credentials};

use crate::process_group::{End, ProcessGroup};

/// For commands that only touch the disk. Checking out a large repository belongs here.
pub const LOCAL_LIMIT: Duration = Duration::from_secs(15 * 60);
/// For clone, fetch and push. A transfer that stands still is given up long before, see `CONFIG`.
pub const NETWORK_LIMIT: Duration = Duration::from_secs(60 * 60);
/// Between SIGTERM, on which git removes its lock files, and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);
/// Output kept in memory. Larger answers are streamed to a file.
const MAX_STDOUT: u64 = 128 * 1024 * 1024;
const MAX_STDERR: u64 = 256 * 1024;

/// Set on every command line, above any configuration file.
const CONFIG: [&str; 10] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "push.recurseSubmodules=no",
    "gc.auto=0",
    "maintenance.auto=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
];

/// The only `GIT_…` variables of the worker's own environment that git still sees: who commits, how
/// to connect, and where the user's configuration lies. All others could point a command at a different repository.
const KEPT: [&str; 14] = [
    "GIT_AUTHOR_NAME",
    "GIT_AUTHOR_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_COMMITTER_EMAIL",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_EXEC_PATH",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSH_VARIANT",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_PROXY_COMMAND",
];

/// Where and how git commands run. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Git {
    git_dir: Option<PathBuf>,
    work_tree: Option<PathBuf>,
    directory: Option<PathBuf>,
    env: Vec<(OsString, OsString)>,
    token: CancellationToken,
}

/// What a command printed.
#[derive(Debug)]
pub struct Output {
    pub stdout: Vec<u8>,
}

impl Output {
    /// The answer as one line of text, without its line end.
    pub fn line(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }
}

/// One git command.
#[derive(Debug)]
pub struct Call {
    args: Vec<OsString>,
    stdin: Vec<u8>,
    limit: Duration,
    background: bool,
}

impl Call {
    /// A subcommand with its fixed arguments.
    pub fn new<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Self {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Self { args, stdin: Vec::new(), limit: LOCAL_LIMIT, background: false }
    }

    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Several more.
    pub fn args<I: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = I>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// What git reads on its standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Gives the command the time a transfer may take.
    pub const fn over_network(mut self) -> Self {
        self.limit = NETWORK_LIMIT;
        self
    }

    /// Gives the command less time.
    pub const fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Lets everything else on the host go first.
    pub const fn in_background(mut self) -> Self {
        self.background = true;
        self
    }

    fn name(&self) -> String {
        self.args.first().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

impl Git {
    pub fn new() -> Self {
        Self::default()
    }

    /// A variable for every command, on top of the worker's own environment.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The same git, in a repository given by its git directory; no discovery, so nothing an agent does
    /// to a worktree's `.git` leads a command elsewhere.
    pub fn in_repository(&self, git_dir: &Path) -> Self {
        Self { git_dir: Some(git_dir.to_owned()), work_tree: None, directory: None, ..self.clone() }
    }

    /// The same git, in a worktree whose git directory is known.
    pub fn in_worktree(&self, git_dir: &Path, work_tree: &Path) -> Self {
        Self {
            git_dir: Some(git_dir.to_owned()),
            work_tree: Some(work_tree.to_owned()),
            directory: Some(work_tree.to_owned()),
            ..self.clone()
        }
    }

    /// The same git, where git itself finds the repository: for a user's own checkout.
    pub fn in_directory(&self, directory: &Path) -> Self {
        Self { git_dir: None, work_tree: None, directory: Some(directory.to_owned()), ..self.clone() }
    }

    /// The same git, ended when the token is cancelled.
    pub fn until(&self, token: &CancellationToken) -> Self {
        Self { token: token.clone(), ..self.clone() }
    }

    /// Runs the command and gives what it printed, or the error it ended in.
    pub async fn run(&self, call: Call) -> Result<Output, GitError> {
        let name = call.name();
        let mut stdout = Vec::new();
        let ended = self.supervise(call, &mut stdout, MAX_STDOUT).await?;
        if ended.cut {
            let said = format!("more than {MAX_STDOUT} bytes");
            return Err(GitError::Unexpected { command: name, said });
        }
        ended.check(name)?;
        Ok(Output { stdout })
    }

    /// Runs a command that answers with its exit code: `true` for 0, `false` for 1.
    pub async fn ask(&self, call: Call) -> Result<bool, GitError> {
        self.answer(call).await.map(|(yes, _)| yes)
    }

    /// The same, with what it printed either way.
    pub async fn answer(&self, call: Call) -> Result<(bool, Output), GitError> {
        let name = call.name();
        let mut stdout = Vec::new();
        let ended = self.supervise(call, &mut stdout, MAX_STDOUT).await?;
        let yes = ended.code != Some(1);
        if yes {
            ended.check(name)?;
        }
        Ok((yes, Output { stdout }))
    }

    /// The full id of the commit that a ref or an id leads to, if it leads to one.
    pub async fn commit_of(&self, name: &str) -> Result<Option<String>, GitError> {
        let call = Call::new(["rev-parse", "--verify", "--quiet", "--end-of-options"])
            .arg(format!("{name}^{{commit}}"));
        match self.run(call).await {
            Ok(answer) => Ok(Some(answer.line())),
            Err(GitError::RefNotFound { .. } | GitError::Failed { code: Some(1 | 128), .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Runs the command with its output going to a file, at most `max` bytes of it. Says whether more
    /// would have come; git is ended then.
    pub async fn run_into(&self, call: Call, file: &Path, max: u64) -> Result<bool, GitError> {
        let name = call.name();
        let mut out = tokio::fs::File::create(file).await.map_err(GitError::io(&name))?;
        let ended = self.supervise(call, &mut out, max).await?;
        out.flush().await.map_err(GitError::io(&name))?;
        out.sync_all().await.map_err(GitError::io(&name))?;
        if ended.cut {
            return Ok(true);
        }
        ended.check(name).map(|()| false)
    }

    async fn supervise(
        &self,
        call: Call,
        out: &mut (impl tokio::io::AsyncWrite + Unpin),
        max: u64,
    ) -> Result<Ended, GitError> {
        let name = call.name();
        let mut group = ProcessGroup::spawn(&mut self.command(&call)).map_err(GitError::Start)?;
        if call.background {
            group.yield_to_others();
        }
        let child = group.child();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());

        // When the output is more than wanted, the rest of the command is pointless.
        let enough = self.token.child_token();
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A git that ends without reading all of it says why on stderr.
                let _closed_early = stdin.write_all(&call.stdin).await;
            }
        };
        let mut cut = false;
        let read = async {
            let Some(mut stdout) = stdout else { return Ok(()) };
            tokio::io::copy(&mut (&mut stdout).take(max), out).await?;
            if stdout.read(&mut [0]).await? > 0 {
                cut = true;
                enough.cancel();
            }
            io::Result::Ok(())
        };
        let mut words = Vec::new();
        let listen = read_bounded(stderr, &mut words, MAX_STDERR);
        // A helper that stays (an ssh master connection) may hold the pipes open: what was said until
        // git's end is enough.
        let pipes = async { tokio::join!(feed, read, listen) };
        let (end, said) = both(group.end(&enough, call.limit, GRACE), pipes).await;
        let end = end.map_err(GitError::io(&name))?;
        if let Some(((), read, listened)) = said {
            read.map_err(GitError::io(&name))?;
            listened.map_err(GitError::io(&name))?;
        }
        match end {
            End::Exited(status) => Ok(Ended { code: status.code(), stderr: words, cut }),
            End::Cancelled if cut => Ok(Ended { code: None, stderr: words, cut }),
            End::Cancelled => Err(GitError::Cancelled { command: name }),
            End::TimedOut => Err(GitError::TimedOut { command: name, limit: call.limit }),
        }
    }

    fn command(&self, call: &Call) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("GIT_") && !KEPT.contains(&text.as_ref()) {
                command.env_remove(&name);
            }
        }
        command
            .envs([("LC_ALL", "C"), ("GIT_TERMINAL_PROMPT", "0"), ("GIT_OPTIONAL_LOCKS", "0")])
            // ssh would ask on the terminal; asked through this program, every question is answered by no.
            .envs([("SSH_ASKPASS", "false"), ("SSH_ASKPASS_REQUIRE", "force")])
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        for entry in CONFIG {
            command.args(["-c", entry]);
        }
        if let Some(git_dir) = &self.git_dir {
            command.arg("--git-dir").arg(git_dir);
        }
        if let Some(work_tree) = &self.work_tree {
            command.arg("--work-tree").arg(work_tree);
        }
        command
            .args(&call.args)
            .current_dir(self.directory.as_deref().unwrap_or(Path::new("/")))
            .stdin(if call.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

struct Ended {
    code: Option<i32>,
    stderr: Vec<u8>,
    cut: bool,
}

impl Ended {
    fn check(self, command: String) -> Result<(), GitError> {
        match self.code {
            Some(0) => Ok(()),
            code => Err(GitError::read(command, code, &self.stderr)),
        }
    }
}

/// Waits for the child's end, and then only a moment longer for its pipes.
async fn both<A, B>(end: impl Future<Output = A>, pipes: impl Future<Output = B>) -> (A, Option<B>) {
    const MOMENT: Duration = Duration::from_secs(1);
    tokio::pin!(end, pipes);
    tokio::select! {
        said = &mut pipes => (end.await, Some(said)),
        ended = &mut end => (ended, tokio::time::timeout(MOMENT, pipes).await.ok()),
    }
}

/// Reads to the end, and keeps the last `max` bytes or a little more.
async fn read_bounded(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>, max: u64) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let mut chunk = vec![0; 8 * 1024];
    loop {
        let count = pipe.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        kept.extend_from_slice(&chunk[..count]);
        if kept.len() > max.saturating_mul(2) {
            kept.drain(..kept.len() - max);
        }
    }
}

/// Reads a list of paths that git printed with `-z`.
pub fn paths(listing: &[u8]) -> Vec<PathBuf> {
    listing
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| PathBuf::from(OsStr::from_bytes(path)))
        .collect()
}
