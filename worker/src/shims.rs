//! What runs agents for the daemon and outlives it, as the daemon sees it: real shims, or the
//! simulated ones of a test.

use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use factory_domain::AttemptId;

use crate::agents::Launch;
use crate::host_lease::BootTime;
use crate::process::Belonging;
use crate::shim::{self, Exit, Limits, Shim, ShimError, ShimProgram};
use crate::spool::SpoolDir;

/// How long killed processes may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// Starts agents, finds them again, and ends what is left of them.
#[async_trait]
pub trait Shims: Debug + Send + Sync {
    /// Starts an agent under a shim and returns once the agent runs; see [`shim::start`].
    async fn start(
        &self,
        spool: &SpoolDir,
        workspace: &Path,
        launch: &Launch,
        lease: &Path,
        limits: Limits,
    ) -> Result<Box<dyn RunningShim>, ShimError>;

    /// Finds what an earlier daemon started; see [`Shim::adopt`]. May block.
    fn adopt(&self, spool: &SpoolDir) -> Result<Option<Box<dyn RunningShim>>, ShimError>;

    /// Ends whatever is left of an attempt that has no shim any more.
    async fn sweep(&self, attempt: AttemptId) -> io::Result<()>;

    /// The time by which shims measure the host's lease.
    fn now(&self) -> BootTime;
}

/// A shim that was started or found.
#[async_trait]
pub trait RunningShim: Debug + Send + Sync {
    fn pid(&self) -> i32;

    /// Waits until nothing of the agent is left. May be dropped and called again.
    async fn wait(&mut self) -> Result<Exit, ShimError>;

    /// Tells the agent to end; [`wait`](Self::wait) says when it has. Told twice, it is killed at once.
    fn stop(&self) -> io::Result<()>;
}

#[async_trait]
impl Shims for ShimProgram {
    async fn start(
        &self,
        spool: &SpoolDir,
        workspace: &Path,
        launch: &Launch,
        lease: &Path,
        limits: Limits,
    ) -> Result<Box<dyn RunningShim>, ShimError> {
        Ok(Box::new(shim::start(self, spool, workspace, launch, lease, limits).await?))
    }

    fn adopt(&self, spool: &SpoolDir) -> Result<Option<Box<dyn RunningShim>>, ShimError> {
        Ok(Shim::adopt(spool)?.map(|shim| Box::new(shim) as Box<dyn RunningShim>))
    }

    async fn sweep(&self, attempt: AttemptId) -> io::Result<()> {
        let belonging = Belonging { attempt, shim: None };
        let killing = tokio::task::spawn_blocking(move || belonging.kill(KILL_PATIENCE, || ()));
        killing.await.map_err(io::Error::other)?
    }

    fn now(&self) -> BootTime {
        BootTime::now()
    }
}

#[async_trait]
impl RunningShim for Shim {
    fn pid(&self) -> i32 {
        Self::pid(self)
    }

    async fn wait(&mut self) -> Result<Exit, ShimError> {
        Self::wait(self).await
    }

    fn stop(&self) -> io::Result<()> {
        Self::stop(self)
    }
}
