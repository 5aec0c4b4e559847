//! What the coordinator is told: defaults, then the file, then the environment, then flags.
//!
//! Everything is checked once, here, and everything wrong is said at once.

mod limits;
mod memory;
mod repos;
mod retention;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use factory_domain::{Backoff, LeaseTerms, Limits, RepoNames, Retention};
use serde::Deserialize;
use sha2::{Digest, Sha512};
use subtle::ConstantTimeEq;

use crate::embeddings::EndpointConfig;
use crate::store::Rules;
pub use limits::LimitsOptions;
use limits::LimitsSection;
pub use memory::MemoryOptions;
use memory::MemorySection;
pub use repos::ReposOptions;
use repos::ReposSection;
pub use retention::RetentionOptions;
use retention::RetentionSection;

pub const DEFAULT_LISTEN: &str = "127.0.0.1:8100";
const DEFAULT_ROOT: &str = ".agent-factory";

/// A coordinator's configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the database, the logs and the artifacts are.
    pub root: PathBuf,
    /// Port 0 takes any free one.
    pub listen: SocketAddr,
    /// What callers must present; `None`: nothing.
    pub token: Option<AuthToken>,
    /// The network itself keeps strangers out, so that nothing is asked of callers without a token.
    pub insecure: bool,
    pub rules: Rules,
    pub retention: Retention,
    /// What makes the vectors of memories; `None`: they are found by words alone.
    pub embeddings: Option<EndpointConfig>,
    pub repos: RepoNames,
    pub log_format: LogFormat,
}

/// The bearer token. It does not print itself, and is compared in constant time.
#[derive(Clone)]
pub struct AuthToken(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The coordinator of the agent factory: a durable task queue, workers, an event feed and logs.
#[derive(Debug, Clone, Default, Parser)]
#[command(name = "factory-coordinator", version)]
pub struct Options {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "FACTORY_CONFIG")]
    pub config: Option<PathBuf>,
    /// Address to listen on; port 0 takes any free one [default: 127.0.0.1:8100]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Directory of the database, logs and artifacts [default: ~/.agent-factory]
    #[arg(long, value_name = "DIR", env = "AGENT_FACTORY_DIRPATH")]
    pub root: Option<PathBuf>,
    /// File that holds the token callers must present (or set FACTORY_AUTH_TOKEN)
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Without a token, listen beyond this host, and by any name
    #[arg(long)]
    pub insecure: bool,
    #[command(flatten)]
    pub limits: LimitsOptions,
    #[command(flatten)]
    pub retention: RetentionOptions,
    #[command(flatten)]
    pub memory: MemoryOptions,
    #[command(flatten)]
    pub repos: ReposOptions,
    /// How to write the log on standard error [default: text]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// Everything that is wrong with the configuration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<String>,
    root: Option<PathBuf>,
    token_file: Option<PathBuf>,
    insecure: Option<bool>,
    log_format: Option<LogFormat>,
    #[serde(default)]
    lease: LeaseSection,
    #[serde(default)]
    retry: RetrySection,
    #[serde(default)]
    limits: LimitsSection,
    #[serde(default)]
    retention: RetentionSection,
    #[serde(default)]
    memory: MemorySection,
    #[serde(default)]
    repos: ReposSection,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseSection {
    heartbeat_ms: Option<u64>,
    lease_ms: Option<u64>,
    lost_after_ms: Option<u64>,
    offer_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RetrySection {
    base_ms: Option<u64>,
    cap_ms: Option<u64>,
    max_infrastructure_failures: Option<u32>,
}

impl Config {
    /// The defaults with a root and an address, for those that embed a coordinator.
    pub fn new(root: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            root: root.into(),
            listen,
            token: None,
            insecure: false,
            rules: Rules::default(),
            retention: Retention::default(),
            embeddings: None,
            repos: RepoNames::default(),
            log_format: LogFormat::default(),
        }
    }

    /// Puts the layers together. `token` and `home` are `FACTORY_AUTH_TOKEN` and `HOME`.
    pub fn load(options: Options, token: Option<String>, home: Option<PathBuf>) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let file = match options.config.as_deref().map(read_file).transpose() {
            Ok(file) => file.unwrap_or_default(),
            Err(problem) => {
                problems.push(problem);
                File::default()
            }
        };
        let given_root = options.root.or(file.root).filter(|root| !root.as_os_str().is_empty());
        let root = given_root.or_else(|| home.map(|home| home.join(DEFAULT_ROOT)));
        if root.is_none() {
            problems.push("there is no root: set --root or AGENT_FACTORY_DIRPATH (HOME is not set)".into());
        }
        let listen = options.listen.or(file.listen).unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
        let listen = listen.parse::<SocketAddr>().map_err(|_| {
            problems
                .push(format!("listen: `{listen}` is not an address and a port, such as {DEFAULT_LISTEN}"));
        });
        let token =
            read_token(token, options.token_file.or(file.token_file).as_deref()).unwrap_or_else(|problem| {
                problems.push(problem);
                None
            });
        let insecure = options.insecure || file.insecure.unwrap_or(false);
        if let Ok(listen) = listen
            && !listen.ip().is_loopback()
            && token.is_none()
            && !insecure
        {
            problems.push(format!(
                "listen: {listen} can be reached from other hosts, and no token is set; set FACTORY_AUTH_TOKEN \
                 or --token-file (or --insecure, where the network itself keeps strangers out)"
            ));
        }
        let repos = repos::read(options.repos, file.repos, &mut problems);
        let limits = limits::read(&options.limits, file.limits, &repos, &mut problems);
        let rules = read_rules(&file.lease, &file.retry, limits, &mut problems);
        let variable = |name: &str| std::env::var(name).ok();
        let embeddings = memory::read(options.memory, file.memory, variable, &mut problems);
        match (root, listen) {
            (Some(root), Ok(listen)) if problems.is_empty() => Ok(Self {
                root,
                listen,
                token,
                insecure,
                rules,
                retention: retention::read(&options.retention, &file.retention),
                embeddings,
                repos,
                log_format: options.log_format.or(file.log_format).unwrap_or_default(),
            }),
            _ => Err(ConfigError { problems }),
        }
    }
}

fn read_file(path: &Path) -> Result<File, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read the configuration file {}: {error}", path.display()))?;
    // The parser's message names the line and the key, and lists the keys there are.
    toml::from_str(&text).map_err(|error| format!("{}: {}", path.display(), error.to_string().trim_end()))
}

/// The environment goes before the file.
fn read_token(token: Option<String>, file: Option<&Path>) -> Result<Option<AuthToken>, String> {
    let (origin, text) = match (token.filter(|token| !token.is_empty()), file) {
        (Some(token), _) => ("FACTORY_AUTH_TOKEN".to_owned(), token),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("cannot read the token file {}: {error}", path.display()))?;
            (format!("the token file {}", path.display()), text)
        }
        (None, None) => return Ok(None),
    };
    AuthToken::new(text.trim())
        .map(Some)
        .ok_or_else(|| format!("{origin} must hold one word of visible ASCII characters"))
}

fn read_rules(
    lease: &LeaseSection,
    retry: &RetrySection,
    limits: Limits,
    problems: &mut Vec<String>,
) -> Rules {
    let default = Rules::default();
    let span = |given: Option<u64>, default: Duration| given.map_or(default, Duration::from_millis);
    let terms = LeaseTerms {
        heartbeat: span(lease.heartbeat_ms, default.terms.heartbeat),
        lease: span(lease.lease_ms, default.terms.lease),
        lost_after: span(lease.lost_after_ms, default.terms.lost_after),
        offer: span(lease.offer_ms, default.terms.offer),
    };
    let backoff = Backoff {
        base: span(retry.base_ms, default.backoff.base),
        cap: span(retry.cap_ms, default.backoff.cap),
    };
    if [terms.heartbeat, terms.lease, terms.lost_after, terms.offer].iter().any(Duration::is_zero) {
        problems.push("lease: every duration must be longer than nothing".to_owned());
    }
    if terms.lease < terms.heartbeat * 2 {
        problems.push(
            "lease: lease_ms must be at least twice heartbeat_ms, or one late heartbeat costs contact"
                .to_owned(),
        );
    }
    if backoff.cap < backoff.base {
        problems.push("retry: cap_ms must not be smaller than base_ms".to_owned());
    }
    let max_infrastructure_failures =
        retry.max_infrastructure_failures.unwrap_or(default.max_infrastructure_failures);
    if max_infrastructure_failures == 0 {
        problems.push("retry: max_infrastructure_failures must be at least 1".to_owned());
    }
    Rules { terms, backoff, max_infrastructure_failures, limits }
}

impl AuthToken {
    /// `None` where `text` could not be sent in a header.
    pub fn new(text: &str) -> Option<Self> {
        let sendable = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        sendable.then(|| Self(text.to_owned()))
    }

    pub fn matches(&self, presented: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(presented).into()
    }

    /// A key made from it, another one for each purpose. The token cannot be read from any.
    pub fn key_for(&self, purpose: &str) -> [u8; 64] {
        Sha512::new().chain_update(purpose).chain_update([0]).chain_update(&self.0).finalize().into()
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Option<PathBuf> {
        Some(PathBuf::from("/home/someone"))
    }

    fn problems(options: Options, token: Option<&str>) -> Vec<String> {
        Config::load(options, token.map(str::to_owned), home()).err().map_or(Vec::new(), |e| e.problems)
    }

    fn with_file(text: &str, options: Options) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("factory.toml");
        std::fs::write(&path, text).expect("written");
        Config::load(Options { config: Some(path), ..options }, None, home())
    }

    #[test]
    fn nothing_given_means_loopback_and_the_home_directory() {
        let config = Config::load(Options::default(), None, home()).expect("valid");
        assert_eq!(config.listen.to_string(), DEFAULT_LISTEN);
        assert_eq!(config.root, Path::new("/home/someone/.agent-factory"));
        assert!(config.token.is_none());
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_defaults() {
        let file = "root = \"/srv/a\"\nlisten = \"127.0.0.1:1\"\n[lease]\nheartbeat_ms = 5\nlease_ms = 20\n";
        let options = Options { listen: Some("127.0.0.1:2".into()), ..Options::default() };
        let config = with_file(file, options).expect("valid");
        assert_eq!((config.listen.port(), config.root.as_path()), (2, Path::new("/srv/a")));
        assert_eq!(config.rules.terms.heartbeat, Duration::from_millis(5));
        assert_eq!(config.rules.terms.offer, LeaseTerms::default().offer);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error =
            with_file("listen = \"127.0.0.1:0\"\nlissten = 1\n", Options::default()).expect_err("refused");
        assert!(error.to_string().contains("line 2") && error.to_string().contains("lissten"), "{error}");
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let file = "listen = \"nowhere\"\ntoken_file = \"/does/not/exist\"\n[lease]\nlease_ms = 1\n[retry]\ncap_ms = 1\n";
        let error = with_file(file, Options::default()).expect_err("refused");
        assert_eq!(error.problems.len(), 4, "{error}");
    }

    #[test]
    fn a_listener_others_can_reach_needs_a_token_or_a_word_that_it_does_not() {
        let open = || Options { listen: Some("0.0.0.0:8100".into()), ..Options::default() };
        assert!(problems(open(), None)[0].contains("FACTORY_AUTH_TOKEN"));
        assert!(problems(open(), Some("")).len() == 1, "an empty token is none");
        assert!(problems(open(), Some("s3cret")).is_empty());
        assert!(problems(Options { insecure: true, ..open() }, None).is_empty());
    }

    #[test]
    fn a_token_is_compared_whole_and_does_not_print_itself() {
        let token = AuthToken::new("s3cret").expect("a token");
        assert!(token.matches(b"s3cret") && !token.matches(b"s3cre") && !token.matches(b"s3cretx"));
        assert!(!format!("{token:?}").contains("s3cret"));
        assert!(AuthToken::new("two words").is_none());
    }
}
