//! A coordinator on a root of its own, which outlives its process: it can be killed and started again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use factory_proto::client::{Client, ClientConfig};

use super::daemon::{Daemon, NotReady, Program};
use super::host::Host;
use super::{binaries, soon};

/// Leases and pauses short enough to wait for.
pub const SHORT_TERMS: &str = "\
[lease]
heartbeat_ms = 200
lease_ms = 2000
lost_after_ms = 4000
offer_ms = 2000

[retry]
base_ms = 20
cap_ms = 100
max_infrastructure_failures = 3
";

pub struct Coordinator {
    host: Host,
    root: PathBuf,
    token: Option<String>,
    url: String,
    daemon: Daemon,
}

/// How a coordinator is to be started.
pub struct CoordinatorSetup {
    pub root: PathBuf,
    pub listen: String,
    /// The text of its TOML file.
    pub config: String,
    pub token: Option<String>,
    pub args: Vec<OsString>,
}

impl CoordinatorSetup {
    pub fn new(host: &Host) -> Self {
        Self {
            root: host.path().join("coordinator"),
            listen: "127.0.0.1:0".to_owned(),
            config: SHORT_TERMS.to_owned(),
            token: None,
            args: Vec::new(),
        }
    }

    fn program(&self, host: &Host) -> Program {
        let config = host.path().join("coordinator.toml");
        std::fs::write(&config, &self.config).expect("a configuration file");
        let mut environment = host.environment();
        environment.insert("AGENT_FACTORY_DIRPATH".into(), self.root.clone().into());
        environment.insert("FACTORY_CONFIG".into(), config.into());
        if let Some(token) = &self.token {
            environment.insert("FACTORY_AUTH_TOKEN".into(), token.into());
        }
        let mut args: Vec<OsString> = vec!["--listen".into(), self.listen.clone().into()];
        args.extend(self.args.iter().cloned());
        Program {
            path: binaries::path("factory-coordinator"),
            args,
            environment,
            log: host.path().join("coordinator.log"),
        }
    }
}

impl Coordinator {
    /// With short terms, on a fresh root.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(host: &Host) -> Self {
        Self::try_start(host, CoordinatorSetup::new(host)).await.expect("the coordinator starts")
    }

    pub async fn try_start(host: &Host, setup: CoordinatorSetup) -> Result<Self, NotReady> {
        let daemon = Daemon::start(host, setup.program(host)).await?;
        let url = url_in(daemon.ready_line());
        Ok(Self { host: host.clone(), root: setup.root, token: setup.token, url, daemon })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// # Panics
    /// When nobody answers.
    pub async fn client(&self) -> Client {
        let token = self.token.as_deref().map(|token| token.parse().expect("a token"));
        let config = ClientConfig::new(self.url.clone(), token);
        soon("a connection", Client::connect(config)).await.expect("the coordinator answers")
    }

    /// `kill -9`.
    pub async fn kill9(&mut self) {
        self.daemon.kill9().await;
    }

    pub async fn terminate(&mut self) -> ExitStatus {
        self.daemon.terminate().await
    }

    /// Starts it again after its end: the same root, the same port.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        let setup = CoordinatorSetup {
            root: self.root.clone(),
            listen: self.url.trim_start_matches("http://").to_owned(),
            token: self.token.clone(),
            ..CoordinatorSetup::new(&self.host)
        };
        self.daemon =
            Daemon::start(&self.host, setup.program(&self.host)).await.expect("the coordinator starts again");
        assert_eq!(url_in(self.daemon.ready_line()), self.url);
    }
}

/// `factory-coordinator listening on URL`
fn url_in(ready: &str) -> String {
    let url = ready.strip_prefix("factory-coordinator listening on ");
    url.unwrap_or_else(|| panic!("no ready line: {ready}")).to_owned()
}
