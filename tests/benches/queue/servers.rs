//! The two servers that are compared, each a process on a fresh root.

use std::path::Path;

use factory_proto::client::{Client, ClientConfig, Token};
use factory_tests::harness::coordinator::{Coordinator, CoordinatorSetup};
use factory_tests::harness::daemon::{Daemon, Program};
use factory_tests::harness::host::Host;

use crate::limit;

pub struct Server {
    host: Host,
    url: String,
    token: Option<&'static str>,
    _process: Process,
}

enum Process {
    Coordinator(#[expect(dead_code, reason = "held until the row is taken")] Coordinator),
    Limit(#[expect(dead_code, reason = "held until the row is taken")] Daemon),
}

/// The factory is measured as it is used on a network: with a token.
const TOKEN: &str = "bench-token";

impl Server {
    pub async fn coordinator() -> Self {
        let host = Host::new();
        let mut setup = CoordinatorSetup::new(&host);
        setup.config = String::new();
        setup.token = Some(TOKEN.to_owned());
        let coordinator = Coordinator::try_start(&host, setup).await.expect("the coordinator starts");
        Self {
            url: coordinator.url().to_owned(),
            host,
            token: Some(TOKEN),
            _process: Process::Coordinator(coordinator),
        }
    }

    pub async fn limit() -> Self {
        let host = Host::new();
        let program = Program {
            path: std::env::current_exe().expect("this bench has a path"),
            args: limit::command_line(host.path()),
            environment: host.environment(),
            log: host.path().join("limit.log"),
        };
        let daemon = Daemon::start(&host, program).await.expect("the limit starts");
        Self { url: daemon.ready_line().to_owned(), host, token: None, _process: Process::Limit(daemon) }
    }

    pub fn root(&self) -> &Path {
        self.host.path()
    }

    /// A connection of its own.
    pub async fn client(&self) -> Client {
        let token = self.token.map(|token| token.parse::<Token>().expect("a token"));
        Client::connect(ClientConfig::new(self.url.clone(), token)).await.expect("the server answers")
    }
}
