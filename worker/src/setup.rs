//! The set-up script of a repository: run in the worktree before the agent.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use factory_domain::{Failure, FailureReason};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::process_group::{End, ProcessGroup};

/// Between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// A longer line comes in pieces of this many bytes.
const MAX_LINE: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the set-up script `{script}` is not in the repository at this base")]
    NotFound { script: String },
    #[error("the set-up script `{script}` leads outside the worktree")]
    Outside { script: String },
    #[error(
        "the set-up script `{script}` is not executable. Set its mode with git update-index --chmod=+x, and commit"
    )]
    NotExecutable { script: String },
    #[error("the set-up script `{script}` could not be run: {cause}")]
    Start { script: String, cause: io::Error },
    #[error("the set-up script `{script}` failed ({}); its output is in the log", code.map_or_else(|| "killed".to_owned(), |code| format!("exit {code}")))]
    Failed { script: String, code: Option<i32> },
    #[error("the set-up script `{script}` took longer than {} s and was ended", limit.as_secs())]
    TimedOut { script: String, limit: Duration },
    #[error("the set-up script `{script}` was cancelled")]
    Cancelled { script: String },
}

impl SetupError {
    /// The failure to report of the attempt. Another try finds what the repository holds as it is.
    pub fn failure(&self) -> Failure {
        let reason = match self {
            Self::NotFound { .. } | Self::Outside { .. } | Self::NotExecutable { .. } => {
                FailureReason::Rejected
            }
            Self::Start { .. } | Self::Failed { .. } | Self::TimedOut { .. } | Self::Cancelled { .. } => {
                FailureReason::SetupFailed
            }
        };
        Failure { reason, message: self.to_string() }
    }

    pub const fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }
}

/// Runs the script with the worktree as its directory and `env` as its whole environment. What it
/// prints, on either stream, goes to `on_line` in its order. When it ends, its process group is killed:
/// a set-up leaves files, not processes. (One that leaves the group is found by the marker in `env`.)
pub async fn run(
    worktree: &Path,
    script: &str,
    limit: Duration,
    env: &BTreeMap<OsString, OsString>,
    on_line: &mut (dyn FnMut(&[u8]) + Send),
    token: &CancellationToken,
) -> Result<(), SetupError> {
    let program = find(worktree, script)?;
    let start = |cause| SetupError::Start { script: script.to_owned(), cause };
    let (mut group, mut output) = spawn(&program, worktree, env).map_err(start)?;

    let ended = CancellationToken::new();
    let end = async {
        let end = group.end(token, limit, GRACE).await;
        group.kill_rest();
        ended.cancel();
        end
    };
    let (end, read) = tokio::join!(end, read_lines(&mut output, on_line, &ended));
    let end = end.and_then(|end| read.map(|()| end)).map_err(start)?;
    let script = script.to_owned();
    match end {
        End::Exited(status) if status.success() => Ok(()),
        End::Exited(status) => Err(SetupError::Failed { script, code: status.code() }),
        End::TimedOut => Err(SetupError::TimedOut { script, limit }),
        End::Cancelled => Err(SetupError::Cancelled { script }),
    }
}

/// The script's real path, which must lie inside the worktree: a repository could hold a link.
fn find(worktree: &Path, script: &str) -> Result<PathBuf, SetupError> {
    let name = || script.to_owned();
    let real = |path: &Path| match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(SetupError::NotFound { script: name() }),
        real => real.map_err(|cause| SetupError::Start { script: name(), cause }),
    };
    let root = real(worktree)?;
    let program = real(&worktree.join(script))?;
    if !program.starts_with(&root) {
        return Err(SetupError::Outside { script: name() });
    }
    let metadata = program.metadata().map_err(|cause| SetupError::Start { script: name(), cause })?;
    if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
        return Err(SetupError::NotExecutable { script: name() });
    }
    Ok(program)
}

/// Both streams share one pipe, so that lines keep their order.
fn spawn(
    program: &Path,
    worktree: &Path,
    env: &BTreeMap<OsString, OsString>,
) -> io::Result<(ProcessGroup, pipe::Receiver)> {
    let (reader, writer) = io::pipe()?;
    let group = ProcessGroup::spawn(
        Command::new(program)
            .current_dir(worktree)
            .env_clear()
            .envs(env)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer),
    )?;
    Ok((group, pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?))
}

/// Hands on whole lines until every writer is gone, or the script has ended and the pipe is empty.
async fn read_lines(
    output: &mut pipe::Receiver,
    on_line: &mut (dyn FnMut(&[u8]) + Send),
    ended: &CancellationToken,
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let count = tokio::select! {
            count = output.read(&mut chunk) => count?,
            () = ended.cancelled() => break,
        };
        if count == 0 {
            break;
        }
        split(&chunk[..count], &mut line, on_line);
    }
    // What a process outside the group writes from now on is nobody's: one pipe's worth is read.
    for _ in 0..8 {
        match output.try_read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => split(&chunk[..count], &mut line, on_line),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    if !line.is_empty() {
        on_line(&line);
    }
    Ok(())
}

fn split(bytes: &[u8], line: &mut Vec<u8>, on_line: &mut (dyn FnMut(&[u8]) + Send)) {
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        line.extend_from_slice(piece);
        if line.last() == Some(&b'\n') {
            on_line(&line[..line.len() - 1]);
            line.clear();
        } else if line.len() >= MAX_LINE {
            on_line(line);
            line.clear();
        }
    }
}
