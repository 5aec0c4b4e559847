//! A child process in a process group of its own, so that whatever it starts can be ended with it.
//!
//! Used for git and for set-up scripts. Agents have a stronger keeper, the shim.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// A running child and its group. Dropped before its end, the whole group is killed and the child reaped.
#[derive(Debug)]
pub struct ProcessGroup {
    child: Child,
    group: Option<Pid>,
    reaped: bool,
}

/// How a child came to its end.
#[derive(Debug)]
pub enum End {
    Exited(ExitStatus),
    TimedOut,
    Cancelled,
}

impl ProcessGroup {
    /// Starts the program as the leader of a new group.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.process_group(0).kill_on_drop(true).spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Self { child, group, reaped: false })
    }

    /// The child itself, for its pipes.
    pub const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Gives the child, and what it starts from now on, the lowest priority.
    pub fn yield_to_others(&self) {
        const LOWEST: i32 = 19;
        if let Err(error) = rustix::process::setpriority_process(self.group, LOWEST) {
            tracing::debug!(%error, "a process keeps its priority");
        }
    }

    /// Waits for the child. At the limit, or when the token is cancelled, the group is asked to end,
    /// and after `grace` killed. The child is reaped in every case.
    pub async fn end(
        &mut self,
        token: &CancellationToken,
        limit: Duration,
        grace: Duration,
    ) -> io::Result<End> {
        let stopped = tokio::select! {
            biased;
            status = self.child.wait() => {
                self.reaped = true;
                return status.map(End::Exited);
            }
            () = token.cancelled() => End::Cancelled,
            () = tokio::time::sleep(limit) => End::TimedOut,
        };
        self.signal(Signal::TERM);
        if tokio::time::timeout(grace, self.child.wait()).await.is_err() {
            self.signal(Signal::KILL);
            self.child.wait().await?;
        }
        self.reaped = true;
        self.kill_rest();
        Ok(stopped)
    }

    /// Kills what is left of the group. Nothing left is no error.
    pub fn kill_rest(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let Some(group) = self.group else { return };
        match kill_process_group(group, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => {
                tracing::warn!(%error, group = group.as_raw_nonzero(), "a process group could not be signalled")
            }
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill_rest();
        }
    }
}
