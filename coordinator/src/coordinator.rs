//! A running coordinator, as its owner holds it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::app::{App, RepoBook};
use crate::artifacts::{ArtifactError, ArtifactStore};
use crate::auth::Auth;
use crate::clock::Clock;
use crate::config::Config;
use crate::embeddings::{EmbedError, Embedder};
use crate::library::Library;
use crate::logs::{LogError, LogStore};
use crate::server::Listener;
use crate::store::instance_lock::{InstanceLock, LockError};
use crate::store::sqlite::{OpenError, SqliteStore};
use crate::store::{Store, StoreError};
use crate::{background, grpc, http, server};

/// How long open calls and loops may take to end.
const SHUTDOWN: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "the factory's root {} cannot be written; choose another with --root or AGENT_FACTORY_DIRPATH",
        path.display()
    )]
    Root {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the disk of the factory's root {} is full; free some space and start again", path.display())]
    Full { path: PathBuf },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(
        "port {} is in use on {}; stop what listens there, or choose another with --listen {}:PORT",
        address.port(), address.ip(), address.ip()
    )]
    PortInUse { address: SocketAddr },
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error("the database could not be brought up to date")]
    Recover(#[from] StoreError),
    #[error("cannot open the log store")]
    Logs(#[from] LogError),
    #[error("memories cannot be found by meaning")]
    Embeddings(#[from] EmbedError),
    #[error("cannot open the artifact store")]
    Artifacts(#[from] ArtifactError),
}

/// What a coordinator stands on: brought by its owner where the host's own will not do, as in a simulation.
pub struct Footing<L> {
    pub listener: L,
    /// Where `listener` listens.
    pub address: SocketAddr,
    pub store: Arc<dyn Store>,
    pub clock: Clock,
}

/// A coordinator that listens and works until it is shut down. It owns all its tasks.
pub struct Coordinator {
    app: Arc<App>,
    address: SocketAddr,
    stopping: CancellationToken,
    /// The listener and the loops: none of them ends by itself.
    loops: JoinSet<()>,
    /// Given back last.
    _lock: InstanceLock,
}

impl Coordinator {
    /// Opens the root, recovers what is in it, and listens. When this returns, it serves.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let clock = Clock::start();
        prepare(&config.root)?;
        let lock = InstanceLock::acquire(&config.root).await?;
        let (listener, address) = bind(config.listen).await?;
        let store = SqliteStore::open(&config.root.join("agent-factory.db"), config.rules.clone()).await?;
        let footing = Footing { listener, address, store: Arc::new(store), clock };
        Self::recover(config, footing, lock).await
    }

    /// As [`start`](Self::start), on what the caller brings; logs and artifacts are in the root.
    pub async fn start_on<L: Listener>(config: Config, footing: Footing<L>) -> Result<Self, StartError> {
        prepare(&config.root)?;
        let lock = InstanceLock::acquire(&config.root).await?;
        Self::recover(config, footing, lock).await
    }

    async fn recover<L: Listener>(
        config: Config,
        footing: Footing<L>,
        lock: InstanceLock,
    ) -> Result<Self, StartError> {
        let Footing { listener, address, store, clock } = footing;
        let logs = LogStore::open(config.root.join("logs"))?;
        let artifacts = ArtifactStore::open(config.root.join("artifacts")).await?;
        let library = Library::open(&config.root);
        // Nobody could renew a lease while we were away.
        store.grant_full_term(clock.now()).await?;

        let stopping = CancellationToken::new();
        let mut app = App::new(store, logs, artifacts, library, clock, config.rules, stopping.clone());
        app.repos = RepoBook::new(config.repos, app.store.added_repos().await?);
        app.embedder = config.embeddings.map(Embedder::new).transpose()?.map(Arc::new);
        let app = Arc::new(app);
        let health = tonic_health::server::HealthReporter::new();
        let auth = Arc::new(Auth::new(config.token, address, config.insecure, clock));
        let pages = http::routes(Arc::clone(&app), Arc::clone(&auth));
        let router = server::router(grpc::routes(&app, &health).await, pages, auth);
        let mut loops = JoinSet::new();
        loops.spawn(background::dispatch::run(Arc::clone(&app)));
        loops.spawn(background::due::run(Arc::clone(&app)));
        loops.spawn(background::disk::run(Arc::clone(&app), config.root.clone()));
        loops.spawn(background::remember::run(Arc::clone(&app)));
        loops.spawn(background::report_back::run(Arc::clone(&app)));
        if let Some(embedder) = &app.embedder {
            loops.spawn(background::embed::run(Arc::clone(&app), Arc::clone(embedder)));
        }
        loops.spawn(background::retention::run(Arc::clone(&app), config.retention));
        loops.spawn(background::workflows::run(Arc::clone(&app)));
        loops.spawn(server::serve(listener, router, stopping.clone()));
        let coordinator = Self { app, address, stopping, loops, _lock: lock };
        coordinator._lock.announce(&coordinator.url())?;
        tracing::info!(%address, root = %config.root.display(), "listening");
        Ok(coordinator)
    }

    /// The address really bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Tasks that have not ended.
    pub async fn live_count(&self) -> Result<u64, StoreError> {
        self.app.store.live_count().await
    }

    /// Returns only if a loop of the coordinator died, which is a defect; it serves no further then.
    pub async fn failed(&mut self) -> JoinError {
        loop {
            match self.loops.join_next().await {
                Some(Err(error)) => return error,
                Some(Ok(())) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Stops accepting, ends every stream, and closes the stores. Leases stay as they
    /// are: workers go on, and find the next coordinator on this root.
    pub async fn shutdown(mut self) {
        self.stopping.cancel();
        self.app.tasks.close();
        let all_ended = async {
            while self.loops.join_next().await.is_some() {}
            self.app.tasks.wait().await;
        };
        if tokio::time::timeout(SHUTDOWN, all_ended).await.is_err() {
            tracing::warn!("some calls did not end in time and were cut off");
            self.loops.shutdown().await;
        }
        self.app.logs.close().await;
        self.app.store.close().await;
        tracing::info!("stopped");
    }
}

/// Makes the root, and finds out now whether it can be written.
fn prepare(root: &Path) -> Result<(), StartError> {
    let probe = root.join(".write-probe");
    let written = fs::create_dir_all(root)
        .and_then(|()| fs::write(&probe, [0; 4096]))
        .and_then(|()| fs::remove_file(&probe));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            // Best effort: what could not be written is not worth another error.
            let _ = fs::remove_file(&probe);
            StartError::Full { path: root.to_owned() }
        }
        _ => StartError::Root { path: root.to_owned(), source },
    })
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listening = match TcpListener::bind(address).await {
        Ok(listener) => listener.local_addr().map(|bound| (listener, bound)),
        Err(error) => Err(error),
    };
    listening.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::PortInUse { address },
        _ => StartError::Listen { address, source },
    })
}
