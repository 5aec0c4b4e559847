//! The shim: the small process between the daemon and one agent.
//!
//! Each agent runs under a shim of its own, so that the daemon may be restarted or
//! upgraded without ending any agent, and so that an agent's end takes all its
//! processes with it. The shim's own side is [`main`], blocking and small; this file
//! is the daemon's side: start one, find one again, wait for it, stop it.
//!
//! On disk (see [`SpoolDir`]): `shim.json` is there before the agent is, `exit.json`
//! only once nothing of the agent is left. A dead shim without an `exit.json` was
//! killed; then [`Shim::wait`] ends what it left behind.

mod bound;
mod keeper;
mod orders;
mod output;
mod signals;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use factory_domain::{Failure, FailureReason};
use rustix::process::{Signal, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncBufReadExt, BufReader, Interest};

use crate::agents::Launch;
use crate::environment::ATTEMPT_MARKER;
use crate::host_lease::BootTime;
use crate::process::{Belonging, Identity};
use crate::spool::SpoolDir;

pub use keeper::main;

/// How long killed processes may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// What starts a shim: this very binary, as a rule.
#[derive(Debug, Clone)]
pub struct ShimProgram {
    pub program: PathBuf,
    /// What makes the program a shim, e.g. `["shim"]`.
    pub args: Vec<OsString>,
}

impl ShimProgram {
    /// The running program itself, with its subcommand `shim`.
    pub fn current_exe() -> io::Result<Self> {
        // The link, not its target: it leads to the same program even after an upgrade put another in its place.
        std::fs::metadata("/proc/self/exe")?;
        let program = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        Ok(Self { program, args: vec!["shim".into()] })
    }
}

/// What a shim allows its agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// No agent is started after this time, whatever was granted since: what the attempt's own right to
    /// run rests on has run out.
    pub start_by: BootTime,
    /// Between being told to end and being killed.
    pub grace: Duration,
    /// Bytes of log, after which lines are left out.
    pub spool: u64,
}

/// How an agent ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)] // what an earlier release's shim wrote is read after an upgrade
pub struct Exit {
    /// `None`: ended by a signal.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// It was told to end before it did.
    pub stopped: bool,
    /// The host's lease ran out: the worker's daemon was frozen, dead, or not heard for too long.
    pub lease_expired: bool,
    /// The shim ended it for trouble of the host's, e.g. a full disk.
    pub fault: Option<String>,
}

impl Exit {
    /// The worker's own failure, where that is what ended the agent.
    pub fn failure(&self) -> Option<Failure> {
        let message = self.fault.clone()?;
        Some(Failure { reason: FailureReason::WorkerError, message })
    }

    /// Why it was ended, where its shim did that on its own.
    pub fn lost(&self) -> Option<Failure> {
        self.lease_expired.then(|| Failure {
            reason: FailureReason::WorkerLost,
            message: "the worker was out of contact with the coordinator, or did not run, for longer than \
                      its lease; the agent was ended on its host, as another worker may have the task"
                .to_owned(),
        })
    }

    /// For people: `exit code 1`, `signal 9`.
    pub fn describe(&self) -> String {
        match (self.code, self.signal) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit code".to_owned(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ShimError {
    /// The agent could not be started; nothing runs.
    #[error("cannot start {}: {why}", program.display())]
    NotStarted { program: PathBuf, why: String },
    /// The shim itself could not be started; nothing runs.
    #[error("cannot start the shim {}: {source}", program.display())]
    NoShim { program: PathBuf, source: io::Error },
    /// The shim ended and left no word of how its agent did. Everything of the attempt has been killed since.
    #[error(
        "the attempt's shim died without a word (it was killed, or the worker's disk is full); its agent was ended"
    )]
    Died,
    #[error("{}: {source}", path.display())]
    Spool { path: PathBuf, source: io::Error },
    #[error("cannot end the processes of the attempt: {0}")]
    Kill(io::Error),
    #[error("cannot watch the shim: {0}")]
    Watch(io::Error),
}

/// `shim.json`.
#[derive(Debug, Serialize, Deserialize)]
struct ShimFile {
    shim: Identity,
    /// `None`: not started yet.
    agent: Option<Identity>,
}

/// What a shim says on its standard output, once, when it knows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Greeting {
    Started(Identity),
    Failed(String),
}

/// A running shim, or one that has ended since it was found.
#[derive(Debug)]
pub struct Shim {
    spool: SpoolDir,
    identity: Identity,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// Started by this daemon, which must reap it.
    Child {
        child: tokio::process::Child,
        handle: Option<OwnedFd>,
    },
    /// Started by an earlier daemon.
    Adopted(AsyncFd<OwnedFd>),
    Gone,
}

/// Starts the agent under a shim and returns once the agent runs.
///
/// `lease` is the file that says until when the agent may live.
pub async fn start(
    shim: &ShimProgram,
    spool: &SpoolDir,
    workspace: &Path,
    launch: &Launch,
    lease: &Path,
    limits: Limits,
) -> Result<Shim, ShimError> {
    let prompt = spool.prompt_path();
    tokio::fs::write(&prompt, &launch.stdin).await.map_err(in_spool(&prompt))?;
    let mut child = spawn(shim, spool, workspace, launch, lease, limits)?;
    let stdout = child.stdout.take().expect("it was asked for");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await.map_err(ShimError::Watch)?;
    let greeting = serde_json::from_str(&line).unwrap_or_else(|_| Greeting::Failed(complaint(spool)));
    match greeting {
        Greeting::Started(_) => {
            let shim_file = read_shim_file(spool)?;
            let handle = shim_file.shim.handle().map_err(ShimError::Watch)?;
            Ok(Shim { spool: spool.clone(), identity: shim_file.shim, held: Held::Child { child, handle } })
        }
        Greeting::Failed(why) => {
            child.wait().await.map_err(ShimError::Watch)?;
            // A shim that was killed before it spoke may have started the agent already.
            end_leftovers(spool, None).await?;
            let program = launch.argv.first().map(PathBuf::from).unwrap_or_default();
            Err(ShimError::NotStarted { program, why })
        }
    }
}

fn spawn(
    shim: &ShimProgram,
    spool: &SpoolDir,
    workspace: &Path,
    launch: &Launch,
    lease: &Path,
    limits: Limits,
) -> Result<tokio::process::Child, ShimError> {
    let log = spool.shim_log_path();
    let stderr = File::create(&log).map_err(in_spool(&log))?;
    tokio::process::Command::new(&shim.program)
        .args(&shim.args)
        .args(orders::arguments(spool.path(), workspace, lease, limits))
        .args(&launch.argv)
        .env_clear()
        .envs(&launch.env)
        .env(ATTEMPT_MARKER, spool.attempt().to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .map_err(|source| ShimError::NoShim { program: shim.program.clone(), source })
}

impl Shim {
    /// Finds the shim of an attempt begun by an earlier daemon; it may have ended since, which
    /// [`wait`](Self::wait) then says at once. `None`: no agent was ever started.
    pub fn adopt(spool: &SpoolDir) -> Result<Option<Self>, ShimError> {
        if !spool.shim_path().exists() {
            // The earlier daemon may have died in the middle of a start.
            let belonging = Belonging { attempt: spool.attempt(), shim: None };
            belonging.kill(KILL_PATIENCE, || ()).map_err(ShimError::Kill)?;
            return Ok(None);
        }
        let identity = read_shim_file(spool)?.shim;
        let held = match identity.handle().map_err(ShimError::Watch)? {
            Some(handle) => Held::Adopted(watch(handle).map_err(ShimError::Watch)?),
            None => Held::Gone,
        };
        Ok(Some(Self { spool: spool.clone(), identity, held }))
    }

    pub fn pid(&self) -> i32 {
        self.identity.pid
    }

    /// Waits until nothing of the agent is left. May be dropped and called again.
    pub async fn wait(&mut self) -> Result<Exit, ShimError> {
        match &mut self.held {
            Held::Child { child, .. } => {
                child.wait().await.map_err(ShimError::Watch)?;
            }
            Held::Adopted(handle) => {
                // Left set: a process that has ended stays so.
                handle.readable().await.map_err(ShimError::Watch)?.retain_ready();
            }
            Held::Gone => {}
        }
        let path = self.spool.exit_path();
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| in_spool(&path)(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                end_leftovers(&self.spool, Some(self.identity)).await?;
                Err(ShimError::Died)
            }
            Err(error) => Err(in_spool(&path)(error)),
        }
    }

    /// Tells the agent to end; [`wait`](Self::wait) says when it has. Told twice, it is killed at once.
    pub fn stop(&self) -> io::Result<()> {
        let handle = match &self.held {
            Held::Child { handle, .. } => handle.as_ref(),
            Held::Adopted(handle) => Some(handle.get_ref()),
            Held::Gone => None,
        };
        match handle.map(|handle| pidfd_send_signal(handle, Signal::TERM)) {
            None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(error)) => Err(error.into()),
        }
    }
}

#[expect(unsafe_code, reason = "tokio has no safe way to watch a descriptor of a kind it does not know")]
pub(crate) fn watch(handle: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, and stays the same descriptor, for as long as it is owned.
    Ok(unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }?)
}

async fn end_leftovers(spool: &SpoolDir, shim: Option<Identity>) -> Result<(), ShimError> {
    let belonging = Belonging { attempt: spool.attempt(), shim };
    let killing = tokio::task::spawn_blocking(move || belonging.kill(KILL_PATIENCE, || ()));
    killing.await.map_err(|error| ShimError::Kill(io::Error::other(error)))?.map_err(ShimError::Kill)
}

fn read_shim_file(spool: &SpoolDir) -> Result<ShimFile, ShimError> {
    let path = spool.shim_path();
    let text = std::fs::read(&path).map_err(in_spool(&path))?;
    serde_json::from_slice(&text).map_err(|error| in_spool(&path)(error.into()))
}

/// Why a shim that said nothing ended: the last line of its own log.
fn complaint(spool: &SpoolDir) -> String {
    let log = std::fs::read(spool.shim_log_path()).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    match log.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => format!("the shim ended: {line}"),
        None => "the shim ended without a word".to_owned(),
    }
}

fn in_spool(path: &Path) -> impl FnOnce(io::Error) -> ShimError {
    let path = path.to_owned();
    move |source| ShimError::Spool { path, source }
}
