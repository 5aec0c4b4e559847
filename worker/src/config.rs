//! The worker's settings: defaults, then the file, then the environment, then flags.
//!
//! Every mistake is found before anything is done, and all of them are shown at once.

mod layers;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use factory_domain::Labels;
use factory_proto::client::{DEFAULT_URL, Network, Token};
use serde::Deserialize;

use self::layers::Layers;
use crate::agents::{AgentsConfig, DEFAULT_LIMIT_PAUSE};
use crate::environment::Environment;
use crate::shim::ShimProgram;
use crate::shims::Shims;

/// Bytes that must stay free where workspaces are, unless told otherwise.
const DEFAULT_MIN_FREE_DISK: u64 = 1 << 30;
/// Bytes of one attempt's log on this host, unless told otherwise.
const DEFAULT_MAX_SPOOL: u64 = 1 << 30;
/// From asking an agent to end to killing it.
const DEFAULT_KILL_GRACE: Duration = Duration::from_secs(10);
/// From an agent's result, and from every line after it, to ending a process that stays.
const DEFAULT_LINGER_TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an agent's work the loss of a host may cost.
const DEFAULT_CHECKPOINT_INTERVAL: Duration = Duration::from_secs(120);
/// How long an agent waits for the answer to a question before it ends its turn.
const DEFAULT_ASK_WAIT: Duration = Duration::from_secs(60);
/// For kept workspaces that the next attempt could go on in.
const DEFAULT_KEEP_WORKSPACES: Duration = Duration::from_secs(24 * 3600);
/// For clones in which nothing is checked out.
const DEFAULT_KEEP_REPOSITORIES: Duration = Duration::from_secs(30 * 24 * 3600);
const MAX_SLOTS: u32 = 1000;

/// What a worker is started with, by the daemon or by a program that embeds one.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub url: String,
    pub token: Option<Token>,
    pub root: PathBuf,
    /// For people.
    pub name: String,
    pub labels: Labels,
    /// Attempts at once.
    pub slots: u32,
    /// Bytes; below it offers are declined.
    pub min_free_disk: u64,
    /// How long the workspaces of ended attempts are kept for the next one.
    pub keep_workspaces: Duration,
    /// How long clones are kept that no task uses.
    pub keep_repositories: Duration,
    /// Bytes of one attempt's log, after which lines of its agent are left out.
    pub max_spool: u64,
    /// From asking an agent to end to killing it.
    pub kill_grace: Duration,
    /// How long an agent's process may stay silent once it has given its result.
    pub linger_timeout: Duration,
    /// How often the work of a running agent is brought to the coordinator; zero: only where it ends
    /// without success.
    pub checkpoint_interval: Duration,
    /// How long a worker that was told to stop lets its work go on; `None`: until it is done.
    pub drain_timeout: Option<Duration>,
    /// How long an agent waits for the answer to a question before it ends its turn and gives its slot back.
    pub ask_wait: Duration,
    pub agents: AgentsConfig,
    /// What agents run under.
    pub shims: Arc<dyn Shims>,
    /// What the coordinator is reached over; `None`: TCP.
    pub network: Option<Arc<dyn Network>>,
}

impl WorkerConfig {
    /// The defaults for a worker of this coordinator. `shim` and `scripted` are how this
    /// program starts itself as either.
    pub fn new(
        url: impl Into<String>,
        root: impl Into<PathBuf>,
        shim: ShimProgram,
        scripted: Vec<OsString>,
    ) -> Self {
        Self {
            url: url.into(),
            token: None,
            root: root.into(),
            name: host_name(),
            labels: Labels::default(),
            slots: default_slots(),
            min_free_disk: DEFAULT_MIN_FREE_DISK,
            keep_workspaces: DEFAULT_KEEP_WORKSPACES,
            keep_repositories: DEFAULT_KEEP_REPOSITORIES,
            max_spool: DEFAULT_MAX_SPOOL,
            kill_grace: DEFAULT_KILL_GRACE,
            linger_timeout: DEFAULT_LINGER_TIMEOUT,
            checkpoint_interval: DEFAULT_CHECKPOINT_INTERVAL,
            drain_timeout: None,
            ask_wait: DEFAULT_ASK_WAIT,
            agents: AgentsConfig {
                claude: None,
                scripted,
                environment: Environment::capture(Vec::new()),
                limit_pause: DEFAULT_LIMIT_PAUSE,
            },
            shims: Arc::new(shim),
            network: None,
        }
    }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// One slot a core, but no more than four: an agent is a process of some 200 MB beside what it builds.
fn default_slots() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    u32::try_from(cores).unwrap_or(4).clamp(1, 4)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Runs tasks for a coordinator: a git worktree and an agent process for each.
#[derive(Debug, Default, Parser)]
#[command(name = "factory-worker", version)]
pub struct Flags {
    /// Coordinator to work for [env: FACTORY_URL] [default: http://127.0.0.1:8100]
    #[arg(long)]
    pub url: Option<String>,
    /// Directory for workspaces, repositories and spools [env: AGENT_FACTORY_DIRPATH] [default: ~/.agent-factory]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Name shown to people [default: the host's name]
    #[arg(long)]
    pub name: Option<String>,
    /// What tasks can ask for; may be repeated
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<String>,
    /// Attempts at once [default: one a core, at most 4]
    #[arg(long, value_name = "N")]
    pub slots: Option<u32>,
    /// Variable handed on to agents; may be repeated
    #[arg(long = "pass-env", value_name = "NAME")]
    pub pass_env: Vec<String>,
    /// Decline work below this much free disk, such as 500M or 2G [default: 1G]
    #[arg(long, value_name = "SIZE")]
    pub min_free_disk: Option<String>,
    /// How long to keep the workspaces of ended attempts for the next one, such as 90m, 24h or 7d [default: 24h]
    #[arg(long, value_name = "SPAN")]
    pub keep_workspaces: Option<String>,
    /// How long to keep clones that no task uses [default: 30d]
    #[arg(long, value_name = "SPAN")]
    pub keep_repositories: Option<String>,
    /// MiB of one attempt's log on this host; beyond it lines are left out [default: 1024]
    #[arg(long, value_name = "N")]
    pub max_spool_mib: Option<u64>,
    /// File with the bearer token [env: FACTORY_AUTH_TOKEN holds the token itself]
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Milliseconds from asking an agent to end to killing it [default: 10000]
    #[arg(long, value_name = "MS")]
    pub kill_grace_ms: Option<u64>,
    /// Milliseconds that an agent may stay silent after its result before it is ended [default: 30000]
    #[arg(long, value_name = "MS")]
    pub linger_timeout_ms: Option<u64>,
    /// Milliseconds between two checkpoints of a running agent; 0: only at ends [default: 120000]
    #[arg(long, value_name = "MS")]
    pub checkpoint_interval_ms: Option<u64>,
    /// Milliseconds from SIGTERM to handing over what still runs to other workers [default: none]
    #[arg(long, value_name = "MS")]
    pub drain_timeout_ms: Option<u64>,
    /// Milliseconds to wait out a usage limit that does not say when it is reset [default: 300000]
    #[arg(long, value_name = "MS")]
    pub limit_pause_ms: Option<u64>,
    /// Milliseconds that an agent waits for an answer before it ends its turn and is resumed later [default: 60000]
    #[arg(long, value_name = "MS")]
    pub ask_wait_ms: Option<u64>,
    /// Settings in TOML [env: FACTORY_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How to write this program's own log to stderr [default: text]
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
}

/// The file; every key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileConfig {
    url: Option<String>,
    root: Option<PathBuf>,
    name: Option<String>,
    labels: BTreeMap<String, String>,
    slots: Option<u32>,
    pass_env: Vec<String>,
    min_free_disk: Option<String>,
    keep_workspaces: Option<String>,
    keep_repositories: Option<String>,
    max_spool_mib: Option<u64>,
    token_file: Option<PathBuf>,
    kill_grace_ms: Option<u64>,
    linger_timeout_ms: Option<u64>,
    checkpoint_interval_ms: Option<u64>,
    drain_timeout_ms: Option<u64>,
    limit_pause_ms: Option<u64>,
    ask_wait_ms: Option<u64>,
    log_format: Option<LogFormat>,
    agents: FileAgents,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileAgents {
    claude: FileAgent,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileAgent {
    path: Option<PathBuf>,
}

/// Everything that is wrong with the settings.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the worker's settings cannot be used:\n  {}", .0.join("\n  "))]
pub struct ConfigErrors(Vec<String>);

/// Where settings come from besides flags: the environment, as a function so that tests have their own.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Puts the layers together and checks the result. `shim` and `scripted` are how this
/// program starts itself as either.
pub fn load(
    flags: Flags,
    env: Variables<'_>,
    shim: ShimProgram,
    scripted: Vec<OsString>,
) -> Result<(WorkerConfig, LogFormat), ConfigErrors> {
    let mut layers = Layers { env, errors: Vec::new() };
    let file = layers.read_file(flags.config.clone());
    let mut config = WorkerConfig::new(DEFAULT_URL, PathBuf::new(), shim, scripted);
    if let Some(url) = flags.url.or_else(|| layers.text("FACTORY_URL")).or(file.url) {
        config.url = url;
    }
    config.root = layers.root(flags.root.or_else(|| layers.path("AGENT_FACTORY_DIRPATH")).or(file.root));
    config.token = layers.token(flags.token_file, file.token_file);
    if let Some(name) = flags.name.or(file.name) {
        config.name = layers.name(name);
    }
    config.labels = layers.labels(file.labels, &flags.labels);
    if let Some(slots) = flags.slots.or(file.slots) {
        config.slots = layers.slots(slots);
    }
    if let Some(size) = flags.min_free_disk.or(file.min_free_disk) {
        config.min_free_disk = layers.size("min-free-disk", &size);
    }
    if let Some(span) = flags.keep_workspaces.or(file.keep_workspaces) {
        config.keep_workspaces = layers.span("keep-workspaces", &span);
    }
    if let Some(span) = flags.keep_repositories.or(file.keep_repositories) {
        config.keep_repositories = layers.span("keep-repositories", &span);
    }
    if let Some(mib) = flags.max_spool_mib.or(file.max_spool_mib) {
        config.max_spool = mib.max(1).saturating_mul(1 << 20);
    }
    if let Some(grace) = flags.kill_grace_ms.or(file.kill_grace_ms) {
        config.kill_grace = Duration::from_millis(grace);
    }
    if let Some(timeout) = flags.linger_timeout_ms.or(file.linger_timeout_ms) {
        config.linger_timeout = Duration::from_millis(timeout);
    }
    if let Some(interval) = flags.checkpoint_interval_ms.or(file.checkpoint_interval_ms) {
        config.checkpoint_interval = Duration::from_millis(interval);
    }
    config.drain_timeout = flags.drain_timeout_ms.or(file.drain_timeout_ms).map(Duration::from_millis);
    if let Some(pause) = flags.limit_pause_ms.or(file.limit_pause_ms) {
        config.agents.limit_pause = Duration::from_millis(pause);
    }
    if let Some(wait) = flags.ask_wait_ms.or(file.ask_wait_ms) {
        config.ask_wait = Duration::from_millis(wait);
    }
    config.agents.claude = layers.path("FACTORY_CLAUDE_BIN").or(file.agents.claude.path);
    config.agents.environment = Environment::capture(layers.pass_env(file.pass_env, flags.pass_env));
    let format = flags.log_format.or(file.log_format).unwrap_or_default();
    if layers.errors.is_empty() { Ok((config, format)) } else { Err(ConfigErrors(layers.errors)) }
}

#[cfg(test)]
mod tests;
