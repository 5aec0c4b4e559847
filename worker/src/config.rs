//! The worker's settings: defaults, then the file, then the environment, then flags.
//!
//! Every mistake is found before anything is done, and all of them are shown at once.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use factory_domain::Labels;
use factory_proto::client::{DEFAULT_URL, Network, Token};
use serde::Deserialize;

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
    config.agents.claude = layers.path("FACTORY_CLAUDE_BIN").or(file.agents.claude.path);
    config.agents.environment = Environment::capture(layers.pass_env(file.pass_env, flags.pass_env));
    let format = flags.log_format.or(file.log_format).unwrap_or_default();
    if layers.errors.is_empty() { Ok((config, format)) } else { Err(ConfigErrors(layers.errors)) }
}

struct Layers<'a> {
    env: Variables<'a>,
    errors: Vec<String>,
}

impl Layers<'_> {
    /// A variable that is set and not empty.
    fn path(&self, name: &str) -> Option<PathBuf> {
        (self.env)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.path(name)?.into_os_string().into_string();
        text.map_err(|_| self.errors.push(format!("{name} is not UTF-8"))).ok()
    }

    fn read_file(&mut self, flag: Option<PathBuf>) -> FileConfig {
        let Some(path) = flag.or_else(|| self.path("FACTORY_CONFIG")) else { return FileConfig::default() };
        let read = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))
            .and_then(|text| {
                // Its message names the line and shows it.
                toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))
            });
        read.unwrap_or_else(|error| {
            self.errors.push(error);
            FileConfig::default()
        })
    }

    fn root(&mut self, given: Option<PathBuf>) -> PathBuf {
        let root = given.or_else(|| self.path("HOME").map(|home| home.join(".agent-factory")));
        let Some(root) = root else {
            self.errors.push("no root: HOME is not set; name one with --root".to_owned());
            return PathBuf::new();
        };
        // Shims and agents have working directories of their own.
        std::path::absolute(&root).unwrap_or_else(|error| {
            self.errors.push(format!("root {}: {error}", root.display()));
            root
        })
    }

    fn token(&mut self, flag: Option<PathBuf>, file: Option<PathBuf>) -> Option<Token> {
        let text = match flag {
            Some(path) => self.read_token(&path)?,
            None => match (self.text("FACTORY_AUTH_TOKEN"), file) {
                (Some(token), _) => token,
                (None, Some(path)) => self.read_token(&path)?,
                (None, None) => return None,
            },
        };
        text.trim().parse().map_err(|error| self.errors.push(format!("token: {error}"))).ok()
    }

    fn read_token(&mut self, path: &Path) -> Option<String> {
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => Some(text),
            Ok(_) => {
                self.errors.push(format!("token file {} is empty", path.display()));
                None
            }
            Err(error) => {
                self.errors.push(format!("cannot read token file {}: {error}", path.display()));
                None
            }
        }
    }

    fn name(&mut self, name: String) -> String {
        if name.trim().is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
            self.errors.push(format!("name {name:?} must be one line of 1 to 100 bytes"));
        }
        name
    }

    fn labels(&mut self, file: BTreeMap<String, String>, flags: &[String]) -> Labels {
        let mut labels = Labels::default();
        let pairs = flags.iter().filter_map(|text| {
            Labels::parse_pair(text).map_err(|error| self.errors.push(error.to_string())).ok()
        });
        let pairs: Vec<_> = pairs.collect();
        for (key, value) in file.into_iter().chain(pairs) {
            if let Err(error) = labels.insert(key, value) {
                self.errors.push(error.to_string());
            }
        }
        labels
    }

    fn slots(&mut self, slots: u32) -> u32 {
        if !(1..=MAX_SLOTS).contains(&slots) {
            self.errors.push(format!("slots must be 1 to {MAX_SLOTS}, not {slots}"));
        }
        slots
    }

    fn size(&mut self, what: &str, text: &str) -> u64 {
        parse_size(text).unwrap_or_else(|| {
            self.errors.push(format!("{what} `{text}` is not a size, such as 500M, 2G or a number of bytes"));
            0
        })
    }

    fn span(&mut self, what: &str, text: &str) -> Duration {
        parse_span(text).unwrap_or_else(|| {
            self.errors.push(format!("{what} `{text}` is not a span of time, such as 30s, 90m, 24h or 7d"));
            Duration::ZERO
        })
    }

    fn pass_env(&mut self, file: Vec<String>, flags: Vec<String>) -> Vec<String> {
        let names: Vec<String> = file.into_iter().chain(flags).collect();
        for name in &names {
            if name.is_empty() || name.contains('=') || name.contains('\0') {
                self.errors.push(format!("pass-env `{name}` is not the name of a variable"));
            }
        }
        names
    }
}

/// `512`, `500K`, `500M`, `2G`, `1T`; powers of 1024.
fn parse_size(text: &str) -> Option<u64> {
    let (digits, shift) = match text.char_indices().next_back()? {
        (at, 'K' | 'k') => (&text[..at], 10),
        (at, 'M' | 'm') => (&text[..at], 20),
        (at, 'G' | 'g') => (&text[..at], 30),
        (at, 'T' | 't') => (&text[..at], 40),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `30s`, `90m`, `24h`, `7d`.
fn parse_span(text: &str) -> Option<Duration> {
    let (at, unit) = text.char_indices().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    text[..at].parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn shim() -> ShimProgram {
        ShimProgram { program: "/bin/false".into(), args: Vec::new() }
    }

    fn load_with(flags: Flags, env: &[(&str, &str)]) -> Result<WorkerConfig, ConfigErrors> {
        let env: BTreeMap<String, OsString> =
            env.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect();
        load(flags, &|name| env.get(name).cloned(), shim(), Vec::new()).map(|(config, _)| config)
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn flags_outweigh_the_environment_and_that_the_file() {
        let file = file("url = 'http://file:1'\nroot = '/file'\nname = 'file'\nlabels = { a = 'b' }\n");
        let flags = Flags {
            config: Some(file.path().to_owned()),
            url: Some("http://flag:1".into()),
            labels: vec!["c=d".into()],
            ..Flags::default()
        };
        let env = [("FACTORY_URL", "http://env:1"), ("AGENT_FACTORY_DIRPATH", "/env")];
        let config = load_with(flags, &env).expect("valid");
        assert_eq!(config.url, "http://flag:1");
        assert_eq!(config.root, Path::new("/env"));
        assert_eq!(config.name, "file");
        assert_eq!(config.labels.to_string(), "a=b,c=d");
    }

    #[test]
    fn an_unknown_key_names_its_line() {
        let file = file("slots = 2\n\nslotz = 3\n");
        let flags = Flags { config: Some(file.path().to_owned()), ..Flags::default() };
        let errors = load_with(flags, &[("HOME", "/home/x")]).expect_err("refused").to_string();
        assert!(errors.contains("line 3") && errors.contains("slotz"), "{errors}");
    }

    #[test]
    fn every_mistake_is_shown_at_once() {
        let flags = Flags {
            slots: Some(0),
            labels: vec!["nolabel".into()],
            min_free_disk: Some("lots".into()),
            pass_env: vec!["A=B".into()],
            token_file: Some("/nowhere/token".into()),
            ..Flags::default()
        };
        let ConfigErrors(errors) = load_with(flags, &[]).expect_err("refused");
        for part in ["slots", "nolabel", "lots", "A=B", "/nowhere/token", "HOME"] {
            assert!(errors.iter().any(|error| error.contains(part)), "{part} is not in {errors:?}");
        }
    }

    #[test]
    fn spans_are_read() {
        assert_eq!(parse_span("90m"), Some(Duration::from_secs(5400)));
        assert_eq!(parse_span("7d"), Some(Duration::from_secs(7 * 86400)));
        assert_eq!(parse_span("7"), None);
        assert_eq!(parse_span("d"), None);
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("2G"), Some(2 << 30));
        assert_eq!(parse_size("G"), None);
        assert_eq!(parse_size("99999999999999T"), None);
    }
}
