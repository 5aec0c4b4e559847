//! A coordinator on a root of its own, which outlives its process: it can be killed and started again.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use factory_proto::client::{Client, ClientConfig};

use super::daemon::{Daemon, NotReady, Program};
use super::disks::Disks;
use super::host::Host;
use super::{binaries, mounts, soon};

/// Heartbeats and pauses short enough to wait for, and leases that no loaded machine loses.
const SOON: &str = "\
[lease]
heartbeat_ms = 200
lease_ms = 30000
lost_after_ms = 60000

[retry]
base_ms = 20
cap_ms = 100
max_infrastructure_failures = 3
";

/// Leases short enough to see them lost.
pub const SHORT_LEASES: &str = "\
[lease]
heartbeat_ms = 200
lease_ms = 3000
lost_after_ms = 5000

[retry]
base_ms = 20
cap_ms = 100
";

pub struct Coordinator {
    host: Host,
    setup: CoordinatorSetup,
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
    /// Options of a tmpfs to put at its root, such as `ro` or `size=64k`.
    pub mount: Option<String>,
    /// Where its root is on a small disk.
    pub disks: Option<Disks>,
}

impl CoordinatorSetup {
    pub fn new(host: &Host) -> Self {
        Self {
            root: host.path().join("coordinator"),
            listen: "127.0.0.1:0".to_owned(),
            config: SOON.to_owned(),
            token: None,
            mount: None,
            disks: None,
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
        let program = Program {
            path: binaries::path("factory-coordinator"),
            args: vec!["--listen".into(), self.listen.clone().into()],
            environment,
            log: host.path().join("coordinator.log"),
        };
        match (&self.mount, &self.disks) {
            (Some(options), _) => mounts::with_tmpfs(program, &self.root, options),
            (None, Some(disks)) => disks.enter(program),
            (None, None) => program,
        }
    }
}

impl Coordinator {
    /// On a fresh root.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(host: &Host) -> Self {
        Self::try_start(host, CoordinatorSetup::new(host)).await.expect("the coordinator starts")
    }

    pub async fn try_start(host: &Host, setup: CoordinatorSetup) -> Result<Self, NotReady> {
        let daemon = Daemon::start(host, setup.program(host)).await?;
        let url = url_in(daemon.ready_line());
        // The port that was free is kept for the next start.
        let setup = CoordinatorSetup { listen: url.trim_start_matches("http://").to_owned(), ..setup };
        Ok(Self { host: host.clone(), setup, url, daemon })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn root(&self) -> &Path {
        &self.setup.root
    }

    /// The root from outside, also where it is mounted for this coordinator alone.
    pub fn root_seen_from_here(&self) -> PathBuf {
        self.daemon.sees(&self.setup.root)
    }

    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// # Panics
    /// When its token cannot be sent.
    pub fn client_config(&self) -> ClientConfig {
        let token = self.setup.token.as_deref().map(|token| token.parse().expect("a token"));
        ClientConfig::new(self.url.clone(), token)
    }

    /// # Panics
    /// When nobody answers.
    pub async fn client(&self) -> Client {
        let connect = Client::connect(self.client_config());
        soon("a connection", connect).await.expect("the coordinator answers")
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
        let program = self.setup.program(&self.host);
        self.daemon = Daemon::start(&self.host, program).await.expect("the coordinator starts again");
        assert_eq!(url_in(self.daemon.ready_line()), self.url);
    }
}

/// `factory-coordinator listening on URL`
fn url_in(ready: &str) -> String {
    let url = ready.strip_prefix("factory-coordinator listening on ");
    url.unwrap_or_else(|| panic!("no ready line: {ready}")).to_owned()
}
