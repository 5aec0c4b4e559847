//! The host of a worker's loops: starts them, owns them, and ends them, by draining or at once.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use factory_domain::{LeaseTerms, SessionId, WorkerId};
use factory_proto::client::ClientConfig;
use factory_proto::protocol::{AGENTS_ACT, KEEPS_REPOS};
use factory_proto::v1;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::attempt::assignment::Assignment;
use crate::attempt::{Attempt, Cause, Order};
use crate::blocking;
use crate::by_hand::{ByHand, take};
use crate::config::WorkerConfig;
use crate::crew::Crew;
use crate::drain::Drain;
use crate::host_lease::HostLease;
use crate::identity::{Identity, IdentityError};
use crate::inventory::Inventory;
use crate::logs::{LogFeed, LogLoop};
use crate::mcp::{self, Endpoint};
use crate::outbox::{Outbox, OutboxLoop};
use crate::repo;
use crate::repo_jobs::{RepoJobLoop, RepoJobs};
use crate::roster::Roster;
use crate::spool::SpoolDir;
use crate::spool_watch::SpoolWatch;
use crate::uplink::Uplink;
use crate::{disk, heartbeat, host_load, inventory, session};

/// How long reports and logs have to leave after a stop; what is left goes after the next start.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// On top of the kill grace: for saving what the agents did.
const SAVING: Duration = Duration::from_secs(20);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("cannot use {path} for the worker's spools")]
    Spools {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot use {path} for the lease of this host's agents")]
    Lease {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot open the agents' endpoint on loopback")]
    Endpoint(#[source] io::Error),
    #[error("the coordinator at {url} does not take this worker: {why}")]
    Refused { url: String, why: String },
    #[error("the worker was stopped before it was welcomed")]
    Stopped,
}

/// How this worker stands with its coordinator.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    Connecting,
    /// A session was opened, under these terms. It may have been lost since.
    Welcomed(LeaseTerms),
    /// The coordinator will not have this worker.
    Refused(String),
}

/// What the loops of one worker have in common.
pub struct Shared {
    pub config: WorkerConfig,
    pub worker: WorkerId,
    /// Of this start.
    pub session: SessionId,
    pub crew: Crew,
    pub roster: Arc<Roster>,
    pub lease: HostLease,
    pub repos: repo::Cache,
    pub by_hand: ByHand,
    pub repo_jobs: RepoJobs,
    pub inventory: Inventory,
    /// Has the disk looked through now.
    pub disk_poked: Notify,
    pub watch: Arc<SpoolWatch>,
    pub logs: LogFeed,
    pub outbox: Outbox,
    pub standing: watch::Sender<Standing>,
    /// The version of the protocol that was settled on last; 0 until then.
    pub protocol: watch::Sender<u32>,
    /// Counts sessions opened.
    pub welcomed: watch::Sender<u64>,
    pub drain: Drain,
    /// What agents act through; `None` in a simulation, where nothing but the coordinator is on the network.
    pub endpoint: Option<Arc<Endpoint>>,
    begun: mpsc::UnboundedSender<Attempt>,
}

impl Shared {
    pub fn was_welcomed(&self) -> bool {
        matches!(*self.standing.borrow(), Standing::Welcomed(_))
    }

    /// What the coordinator dictates; the usual terms until it has.
    pub fn terms(&self) -> LeaseTerms {
        match *self.standing.borrow() {
            Standing::Welcomed(terms) => terms,
            Standing::Connecting | Standing::Refused(_) => LeaseTerms::default(),
        }
    }

    /// How the coordinator is reached.
    pub fn coordinator(&self) -> ClientConfig {
        coordinator(&self.config)
    }

    /// Whether the coordinator knows agents that act beside their own work.
    pub fn agents_act(&self) -> bool {
        *self.protocol.borrow() >= AGENTS_ACT
    }

    /// Whether the coordinator wants to know what lies on this host.
    pub fn keeps_repos(&self) -> bool {
        *self.protocol.borrow() >= KEEPS_REPOS
    }

    pub fn spools(&self) -> PathBuf {
        self.config.root.join("spool")
    }

    /// Bytes free under the root; 0 where that cannot be known, so that nothing is taken on.
    pub fn free_disk(&self) -> u64 {
        match rustix::fs::statvfs(&self.config.root) {
            Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
            Err(error) => {
                tracing::warn!(%error, root = %self.config.root.display(), "free disk is not known");
                0
            }
        }
    }

    /// How busy this host is; `None` where it does not tell, and in a simulation, which has no host.
    pub fn host_load(&self) -> Option<v1::HostLoad> {
        if self.config.network.is_some() {
            return None;
        }
        let disk = rustix::fs::statvfs(&self.config.root);
        host_load::read(disk.map_or(0, |disk| disk.f_blocks.saturating_mul(disk.f_frsize)))
    }

    /// Why there is not enough disk to take anything on; `None`: there is.
    pub fn disk_shortage(&self) -> Option<String> {
        disk::shortage(self.free_disk(), self.config.min_free_disk, &self.config.root)
    }

    /// Looks whether there is disk to take anything on, and offers agents accordingly.
    pub fn look_at_disk(&self) {
        let shortage = self.disk_shortage();
        let is_short = shortage.is_some();
        if self.crew.set_obstacle(shortage) && is_short {
            self.disk_poked.notify_one();
        }
    }

    /// Puts an attempt on disk and hands it to its own task.
    pub async fn begin(
        self: &Arc<Self>,
        assignment: Assignment,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> io::Result<()> {
        let host = Arc::clone(self);
        let attempt = blocking::run(move || Attempt::accept(&host, assignment, orders)).await?;
        // The host takes no more only while it stops, when the attempt stays on disk as it is.
        let _ = self.begun.send(attempt);
        Ok(())
    }

    /// Everything earlier starts left in the spool directory. What cannot be taken up is left alone, and said.
    fn take_up(self: &Arc<Self>) -> io::Result<()> {
        std::fs::create_dir_all(self.spools())?;
        for entry in std::fs::read_dir(self.spools())? {
            let path = entry?.path();
            let taken = SpoolDir::open(&path).and_then(|spool| {
                if !spool.assignment_path().exists() {
                    // A crash came before the offer was accepted: nothing was promised.
                    return std::fs::remove_dir_all(spool.path());
                }
                let workspace = self.config.root.join("workspaces").join(spool.attempt().to_string());
                if let Err(error) = take::settle_interrupted(&spool, &workspace) {
                    tracing::error!(path = %path.display(), %error, "a worktree made by hand that the attempt had taken cannot be found");
                }
                let attempt = Attempt::take_up(self, spool)?;
                // As above: without the host it stays on disk as it is.
                let _ = self.begun.send(attempt);
                Ok(())
            });
            if let Err(error) = taken {
                tracing::error!(path = %path.display(), %error, "a spool cannot be taken up");
            }
        }
        Ok(())
    }
}

/// A worker at work. Dropped, its loops end at once, and its agents go on under their shims.
pub struct Worker {
    shared: Arc<Shared>,
    /// Ends every loop.
    token: CancellationToken,
    loops: JoinSet<()>,
    /// Keeps the root this worker's own.
    _identity: Identity,
}

impl Worker {
    /// Starts a worker and waits until its coordinator has welcomed it.
    ///
    /// # Errors
    /// Where the root cannot be used, or the coordinator refuses this worker. One that is only
    /// not there yet is waited for.
    pub async fn start(config: WorkerConfig) -> Result<Self, StartError> {
        let worker = Self::launch(config).await?;
        worker.welcomed().await?;
        Ok(worker)
    }

    /// Starts the loops and takes up what earlier starts left. The coordinator may not be there yet.
    pub async fn launch(config: WorkerConfig) -> Result<Self, StartError> {
        let identity = Identity::claim(&config.root).await?;
        let lease = HostLease::open(&config.root)
            .map_err(|source| StartError::Lease { path: config.root.join("lease"), source })?;
        let crew = Crew::muster(&config.agents).await;
        let (logs, log_loop) = LogFeed::new();
        let (outbox, outbox_loop) = Outbox::new();
        let (repo_jobs, repo_job_loop) = RepoJobs::new();
        let (begun, beginnings) = mpsc::unbounded_channel();
        let welcomed = watch::Sender::new(0);
        let (endpoint, listener) = open_endpoint(&config, &welcomed).await?.unzip();
        let shared = Arc::new(Shared {
            worker: identity.worker,
            session: SessionId::from_uuid(Uuid::now_v7()),
            crew,
            roster: Arc::new(Roster::new(config.slots)),
            lease,
            repos: repo::Cache::new(&config.root),
            by_hand: ByHand::new(&config.root),
            repo_jobs,
            inventory: Inventory::default(),
            disk_poked: Notify::new(),
            watch: SpoolWatch::new(),
            logs,
            outbox,
            standing: watch::Sender::new(Standing::Connecting),
            protocol: watch::Sender::new(0),
            welcomed,
            drain: Drain::default(),
            endpoint,
            begun,
            config,
        });
        // Before anyone is told what is offered here.
        shared.look_at_disk();
        let spools = shared.spools();
        // It may have to end what a half-made start left behind, and wait for that.
        let taking_up = Arc::clone(&shared);
        tokio::task::spawn_blocking(move || taking_up.take_up())
            .await
            .map_err(io::Error::other)
            .and_then(std::convert::identity)
            .map_err(|source| StartError::Spools { path: spools, source })?;
        let token = CancellationToken::new();
        let mut worker = Self { shared, token, loops: JoinSet::new(), _identity: identity };
        // Attempts that were taken up have their seats: no agent of theirs is turned away.
        if let Some((endpoint, listener)) = worker.shared.endpoint.clone().zip(listener) {
            worker.loops.spawn(mcp::serve(endpoint, listener, worker.token.clone()));
        }
        worker.spawn_loops(log_loop, outbox_loop, repo_job_loop, beginnings);
        Ok(worker)
    }

    fn spawn_loops(
        &mut self,
        log_loop: LogLoop,
        outbox_loop: OutboxLoop,
        repo_job_loop: RepoJobLoop,
        beginnings: mpsc::UnboundedReceiver<Attempt>,
    ) {
        let shared = &self.shared;
        let token = || self.token.clone();
        let patient = || Uplink::new(shared.coordinator(), shared.welcomed.subscribe());
        self.loops.spawn(attempts(beginnings, token()));
        self.loops.spawn(log_loop.run(shared.worker, patient(), token()));
        let protocol = shared.protocol.subscribe();
        self.loops.spawn(outbox_loop.run(shared.worker, protocol, patient(), token()));
        self.loops.spawn(repo_job_loop.run(Arc::clone(shared), patient(), token()));
        self.loops.spawn(inventory::run(Arc::clone(shared), patient(), token()));
        let (host, ending) = (Arc::clone(shared), token());
        self.loops.spawn(async move {
            let recovery = host.by_hand.recover(&host.repos, &*host.config.shims);
            ending.run_until_cancelled(recovery).await;
        });
        self.loops.spawn(heartbeat::run(Arc::clone(shared), patient(), token()));
        // Its own welcome must not hurry the session on.
        let session = Uplink::new(shared.coordinator(), watch::Sender::new(0).subscribe());
        self.loops.spawn(session::run(Arc::clone(shared), session, token()));
        self.loops.spawn(disk::run(Arc::clone(shared), token()));
        self.loops.spawn(disk::keep_floor(Arc::clone(shared), token()));
        let (watch, ending) = (Arc::clone(&shared.watch), token());
        self.loops.spawn(async move { watch.run(ending).await });
        let (host, ending) = (Arc::clone(shared), token());
        self.loops.spawn(async move { host.crew.run(ending).await });
        let (host, ending) = (Arc::clone(shared), token());
        self.loops.spawn(async move { host.drain.run(&host.roster, ending).await });
    }

    /// Waits for the first welcome.
    pub async fn welcomed(&self) -> Result<(), StartError> {
        let mut standing = self.shared.standing.subscribe();
        let decided = standing.wait_for(|standing| *standing != Standing::Connecting).await;
        match decided.map_err(|_| StartError::Stopped)?.clone() {
            Standing::Refused(why) => Err(StartError::Refused { url: self.shared.config.url.clone(), why }),
            Standing::Connecting | Standing::Welcomed(_) => Ok(()),
        }
    }

    pub fn name(&self) -> &str {
        &self.shared.config.name
    }

    /// The coordinator it works for.
    pub fn url(&self) -> &str {
        &self.shared.config.url
    }

    pub fn id(&self) -> WorkerId {
        self.shared.worker
    }

    pub fn slots(&self) -> u32 {
        self.shared.config.slots
    }

    /// Whether the coordinator, when last heard, gave this worker nothing new because someone asked for that.
    pub fn is_drained_by_coordinator(&self) -> bool {
        self.shared.drain.is_on()
    }

    /// Takes no more work, and comes back once all that runs has ended and been reported.
    /// May be dropped: the worker goes on draining.
    pub async fn drain(&self) {
        self.shared.roster.drain();
        self.settled(Roster::is_empty).await;
    }

    /// Stops now: agents are ended, their work is saved, and other workers go on with it. Bounded: what
    /// the coordinator could not be told in a few seconds waits in the outbox for the next start.
    pub async fn shutdown(mut self) {
        self.shared.roster.drain();
        self.shared.roster.end_all(&Cause::HandOver);
        let patience = self.shared.config.kill_grace + SAVING;
        let ended = self.settled(Roster::is_saved);
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::error!("agents could not be ended in time; the next start takes them up");
        }
        if tokio::time::timeout(LAST_WORDS, self.settled(Roster::is_empty)).await.is_err() {
            tracing::warn!("not everything could be told to the coordinator; the rest waits on disk");
        }
        self.end_loops().await;
    }

    /// Ends, and no agent with it: they go on under their shims, and the next start takes them up.
    /// Until then they live by the host's lease alone. An attempt that is just being prepared gets
    /// a moment to begin, since that cannot be gone on with.
    pub async fn detach(mut self) {
        self.shared.roster.drain();
        if tokio::time::timeout(LAST_WORDS, self.settled(|roster| !roster.is_preparing())).await.is_err() {
            tracing::warn!("an attempt is still being prepared; it will be tried again");
        }
        self.end_loops().await;
    }

    async fn end_loops(&mut self) {
        self.token.cancel();
        let ended = async { while self.loops.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, ended).await.is_err() {
            tracing::error!("a loop did not end; it is aborted");
            self.loops.shutdown().await;
        }
    }

    async fn settled(&self, settled: impl Fn(&Roster) -> bool) {
        let mut changes = self.shared.roster.changes();
        while !settled(&self.shared.roster) && changes.changed().await.is_ok() {}
    }
}

fn coordinator(config: &WorkerConfig) -> ClientConfig {
    let network = config.network.clone();
    ClientConfig { network, ..ClientConfig::new(config.url.clone(), config.token.clone()) }
}

async fn open_endpoint(
    config: &WorkerConfig,
    welcomed: &watch::Sender<u64>,
) -> Result<Option<(Arc<Endpoint>, TcpListener)>, StartError> {
    if config.network.is_some() {
        return Ok(None);
    }
    let uplink = Uplink::new(coordinator(config), welcomed.subscribe());
    let opened = Endpoint::bind(&config.root, uplink, config.ask_wait).await;
    let (endpoint, listener) = opened.map_err(StartError::Endpoint)?;
    Ok(Some((Arc::new(endpoint), listener)))
}

/// Owns every attempt's task.
async fn attempts(mut beginnings: mpsc::UnboundedReceiver<Attempt>, token: CancellationToken) {
    let mut attempts = JoinSet::new();
    loop {
        tokio::select! {
            () = token.cancelled() => break,
            Some(attempt) = beginnings.recv() => { attempts.spawn(attempt.run()); }
            Some(ended) = attempts.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "an attempt's task failed; the coordinator will find it lost");
                }
            }
        }
    }
    attempts.shutdown().await;
}
