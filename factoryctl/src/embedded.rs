//! A whole factory in this process: a coordinator on its own listener and
//! workers that reach it over the socket, as they would from other hosts.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_coordinator::store::instance_lock::{Holder, InstanceLock, LockError};
use factory_coordinator::{Config, Coordinator, StartError};
use factory_domain::{AgentKind, Labels};
use factory_proto::client::Token;
use factory_worker::Worker;
use factory_worker::agents::{self, AgentVersion, AgentsConfig, DEFAULT_LIMIT_PAUSE, Unavailable};
use factory_worker::config::WorkerConfig;
use factory_worker::environment::Environment;
use factory_worker::shim::ShimProgram;
use futures_util::future::join_all;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::exit::CommandError;

/// The hidden subcommand that makes this program the scripted agent.
pub const SCRIPTED_AGENT: &str = "scripted-agent";
/// The hidden subcommand that makes this program a shim.
pub const SHIM: &str = "shim";

/// How long a factory that others watch stays after its last task, for them to read how it ended.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// A worker to start beside the coordinator.
#[derive(Debug)]
pub struct LocalWorker {
    /// `None`: the host's name.
    pub name: Option<String>,
    pub root: PathBuf,
    pub slots: u32,
    pub labels: Labels,
}

/// A running coordinator with its workers.
pub struct Factory {
    coordinator: Coordinator,
    workers: Vec<Worker>,
}

impl Factory {
    pub async fn start(
        config: Config,
        token: Option<Token>,
        workers: Vec<LocalWorker>,
    ) -> Result<Self, CommandError> {
        let root = config.root.clone();
        let coordinator = Coordinator::start(config).await.map_err(|error| refusal(&root, error))?;
        let mut factory = Self { coordinator, workers: Vec::new() };
        for worker in workers {
            match start_worker(factory.url(), token.clone(), worker).await {
                Ok(worker) => factory.workers.push(worker),
                Err(error) => {
                    factory.stop().await;
                    return Err(error);
                }
            }
        }
        Ok(factory)
    }

    pub fn url(&self) -> String {
        self.coordinator.url()
    }

    /// Tasks that have not ended.
    pub async fn live_tasks(&self) -> Result<u64, CommandError> {
        self.coordinator.live_count().await.map_err(|error| CommandError::Failed(describe(&error)))
    }

    /// Starts nothing more, and returns when what runs has ended.
    pub async fn drain(&self) {
        join_all(self.workers.iter().map(Worker::drain)).await;
    }

    /// Ends what still runs, and everything else.
    pub async fn stop(self) {
        join_all(self.workers.into_iter().map(Worker::shutdown)).await;
        self.coordinator.shutdown().await;
    }
}

/// Who runs a coordinator on the default root, if anybody does.
pub fn holder(root: &Path) -> Option<Holder> {
    InstanceLock::holder(root)
}

async fn start_worker(
    url: String,
    token: Option<Token>,
    worker: LocalWorker,
) -> Result<Worker, CommandError> {
    let cannot = |error: std::io::Error| CommandError::local("cannot find this program")(error);
    let shim = ShimProgram::current_exe().map_err(cannot)?;
    let mut config = WorkerConfig::new(url, worker.root, shim.clone(), scripted(&shim));
    config.token = token;
    config.slots = worker.slots;
    config.labels = worker.labels;
    config.agents.claude = claude_named();
    if let Some(name) = worker.name {
        config.name = name;
    }
    Worker::start(config)
        .await
        .map_err(|error| CommandError::Failed(format!("the worker cannot start: {}", describe(&error))))
}

/// Lets the embedded factory's own log out on stderr from `level` on, unless `RUST_LOG` says otherwise.
pub fn show_log(level: LevelFilter) -> Result<(), CommandError> {
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .from_env()
        .map_err(|error| CommandError::Usage(format!("RUST_LOG is not a filter: {error}")))?;
    // An embedded factory is started once in a process; a second set-up would change nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .without_time()
        .with_target(false)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init();
    Ok(())
}

/// Whether a worker here could offer the agent: its version, or why not and what to do.
pub async fn probe(kind: AgentKind) -> Result<Result<AgentVersion, Unavailable>, CommandError> {
    let shim = ShimProgram::current_exe().map_err(CommandError::local("cannot find this program"))?;
    let config = AgentsConfig {
        claude: claude_named(),
        scripted: scripted(&shim),
        environment: Environment::capture(Vec::new()),
        limit_pause: DEFAULT_LIMIT_PAUSE,
    };
    match agents::all(&config).into_iter().find(|agent| agent.kind() == kind) {
        Some(agent) => Ok(agent.probe().await),
        None => Ok(Err(Unavailable(format!("this release does not drive `{kind}`")))),
    }
}

fn scripted(shim: &ShimProgram) -> Vec<OsString> {
    vec![shim.program.clone().into_os_string(), SCRIPTED_AGENT.into()]
}

fn claude_named() -> Option<PathBuf> {
    std::env::var_os("FACTORY_CLAUDE_BIN").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// An error that says who is in the way, where someone is.
fn refusal(root: &Path, error: StartError) -> CommandError {
    match error {
        StartError::Lock(LockError::Held { holder, .. }) => CommandError::Refused(format!(
            "a coordinator already runs on {} (pid {}{}); use it, stop it, or choose another root with AGENT_FACTORY_DIRPATH",
            root.display(),
            holder.pid,
            holder.url.map(|url| format!(", {url}")).unwrap_or_default(),
        )),
        error @ (StartError::Lock(_) | StartError::PortInUse { .. }) => {
            CommandError::Refused(describe(&error))
        }
        error => CommandError::Failed(describe(&error)),
    }
}

/// An error with its causes, each of which says only its own layer.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
