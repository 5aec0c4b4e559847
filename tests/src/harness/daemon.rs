//! One daemon: started, ready, and ended by its process id.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::{host::Host, soon};

/// How long a daemon may take to drain when its test is over.
const GRACE: Duration = Duration::from_secs(10);

/// A running daemon. Dropping it ends it: SIGTERM, a grace, SIGKILL; then it is reaped.
pub struct Daemon {
    child: Child,
    /// Its first line on stdout, by which it says that it is ready; empty where nobody waited for it.
    ready: String,
    /// Kept open, so that a later line does not end it.
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
}

/// What to start.
pub struct Program {
    pub path: PathBuf,
    pub args: Vec<OsString>,
    pub environment: BTreeMap<OsString, OsString>,
    /// Its stderr goes here, after what an earlier run left.
    pub log: PathBuf,
}

/// A program that ended before it was ready.
#[derive(Debug)]
pub struct NotReady {
    pub status: ExitStatus,
    pub stderr: String,
}

impl Daemon {
    /// Starts it and waits for its ready line: the first there is.
    ///
    /// # Panics
    /// When it cannot be started, or says nothing for too long.
    pub async fn start(host: &Host, program: Program) -> Result<Self, NotReady> {
        Self::start_until(host, program, |_| true).await
    }

    /// The same, for a program that says more before it is ready.
    ///
    /// # Panics
    /// When it cannot be started, or says nothing for too long.
    pub async fn start_until(
        host: &Host,
        program: Program,
        is_ready: impl Fn(&str) -> bool,
    ) -> Result<Self, NotReady> {
        let begins = fs::metadata(&program.log).map_or(0, |log| log.len());
        let mut daemon = Self::spawn(host, program);
        while daemon.ready.is_empty() || !is_ready(&daemon.ready) {
            let mut line = String::new();
            let read = soon("a ready line", daemon.stdout.read_line(&mut line)).await.expect("readable");
            if read == 0 {
                let status = daemon.ended().await;
                let log = fs::read(&daemon.log).unwrap_or_default();
                let begins = usize::try_from(begins).expect("a log that fits in memory");
                let stderr = String::from_utf8_lossy(log.get(begins..).unwrap_or_default()).into_owned();
                return Err(NotReady { status, stderr });
            }
            line.trim_end().clone_into(&mut daemon.ready);
        }
        Ok(daemon)
    }

    /// Starts it, and does not wait.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn spawn(host: &Host, program: Program) -> Self {
        let log = File::options().create(true).append(true).open(&program.log).expect("a log file");
        let mut child = Command::new(&program.path)
            .args(&program.args)
            .env_clear()
            .envs(&program.environment)
            .current_dir(host.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.path.display()));
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, ready: String::new(), stdout, log: program.log }
    }

    pub fn ready_line(&self) -> &str {
        &self.ready
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// `kill -9`, and reaped.
    pub async fn kill9(&mut self) {
        self.signal(Signal::KILL);
        soon("a killed daemon's end", self.child.wait()).await.expect("a child");
    }

    /// One SIGTERM: it drains.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended().await
    }

    /// Waits until it has ended, and reaps it.
    pub async fn ended(&mut self) -> ExitStatus {
        soon("a daemon's end", self.child.wait()).await.expect("a child")
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            kill_process(pid, signal).expect("a child that was not reaped can be signalled");
        }
    }

    /// A path as the daemon sees it, whose mounts may be its own.
    ///
    /// # Panics
    /// When it has been reaped.
    pub fn sees(&self, path: &Path) -> PathBuf {
        let pid = self.child.id().expect("a running daemon");
        let relative = path.strip_prefix("/").expect("an absolute path");
        PathBuf::from(format!("/proc/{pid}/root")).join(relative)
    }

    /// `None` once it has been reaped.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw)
    }

    fn end(&mut self) -> std::io::Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        kill_process(pid, Signal::TERM)?;
        if !ends_within(pid, GRACE)? {
            kill_process(pid, Signal::KILL)?;
            ends_within(pid, GRACE)?;
        }
        self.child.try_wait().map(drop)
    }
}

/// Blocks until the process has ended, or the time is over.
fn ends_within(pid: Pid, time: Duration) -> std::io::Result<bool> {
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let mut ended = [PollFd::new(&process, PollFlags::IN)];
    let time = Timespec::try_from(time).map_err(std::io::Error::other)?;
    Ok(poll(&mut ended, Some(&time))? > 0)
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show_end_of(&self.log);
        }
        if let Err(error) = self.end() {
            eprintln!("cannot end a daemon: {error}");
        }
    }
}

fn show_end_of(log: &Path) {
    const LINES: usize = 80;
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    eprintln!("-- the end of {}", log.display());
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        eprintln!("{line}");
    }
}
