//! A worker on a root of its own, as on a host of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use super::binaries;
use super::coordinator::Coordinator;
use super::daemon::{Daemon, NotReady, Program};
use super::disks::Disks;
use super::host::Host;
use super::processes;

pub struct Worker {
    host: Host,
    setup: WorkerSetup,
    url: String,
    daemon: Daemon,
}

#[derive(Clone)]
pub struct WorkerSetup {
    pub name: String,
    pub slots: u32,
    pub labels: Vec<String>,
    pub token: Option<String>,
    /// Variables of the daemon's environment, handed on to agents by name.
    pub passed: Vec<(String, String)>,
    /// Variables of the daemon's environment alone.
    pub environment: Vec<(String, OsString)>,
    /// Further flags, as they are.
    pub flags: Vec<String>,
    /// Where its root is on a small disk.
    pub disks: Option<Disks>,
}

impl WorkerSetup {
    pub fn named(name: &str, slots: u32) -> Self {
        Self {
            name: name.to_owned(),
            slots,
            labels: Vec::new(),
            token: None,
            passed: Vec::new(),
            environment: Vec::new(),
            flags: Vec::new(),
            disks: None,
        }
    }

    pub fn label(mut self, pair: &str) -> Self {
        self.labels.push(pair.to_owned());
        self
    }

    pub fn pass(mut self, name: &str, value: impl Into<String>) -> Self {
        self.passed.push((name.to_owned(), value.into()));
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub fn on(mut self, disks: Option<Disks>) -> Self {
        self.disks = disks;
        self
    }

    pub fn flag(mut self, name: &str, value: impl ToString) -> Self {
        self.flags.extend([name.to_owned(), value.to_string()]);
        self
    }

    fn root(&self, host: &Host) -> PathBuf {
        host.path().join(&self.name)
    }

    fn program(&self, host: &Host, url: &str) -> Program {
        let mut environment = host.environment();
        environment.insert("AGENT_FACTORY_DIRPATH".into(), self.root(host).into());
        environment.insert("FACTORY_URL".into(), url.into());
        if let Some(token) = &self.token {
            environment.insert("FACTORY_AUTH_TOKEN".into(), token.into());
        }
        let mut args: Vec<OsString> =
            vec!["--name".into(), self.name.clone().into(), "--slots".into(), self.slots.to_string().into()];
        // What this machine happens to have free is no part of a test.
        if !self.flags.iter().any(|flag| flag == "--min-free-disk") {
            args.extend(["--min-free-disk".into(), "1M".into()]);
        }
        for pair in &self.labels {
            args.extend(["--label".into(), pair.into()]);
        }
        args.extend(self.flags.iter().map(OsString::from));
        for (name, value) in &self.passed {
            environment.insert(name.into(), value.into());
            args.extend(["--pass-env".into(), name.into()]);
        }
        for (name, value) in &self.environment {
            environment.insert(name.into(), value.clone());
        }
        let program = Program {
            path: binaries::path("factory-worker"),
            args,
            environment,
            log: host.path().join(format!("{}.log", self.name)),
        };
        match &self.disks {
            Some(disks) => disks.enter(program),
            None => program,
        }
    }
}

impl Worker {
    /// Starts it and waits until it is connected.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(host: &Host, coordinator: &Coordinator, setup: WorkerSetup) -> Self {
        Self::try_start(host, coordinator, setup).await.expect("the worker starts")
    }

    pub async fn try_start(
        host: &Host,
        coordinator: &Coordinator,
        setup: WorkerSetup,
    ) -> Result<Self, NotReady> {
        let url = coordinator.url().to_owned();
        let daemon = Daemon::start(host, setup.program(host, &url)).await?;
        Ok(Self { host: host.clone(), setup, url, daemon })
    }

    pub fn root(&self) -> PathBuf {
        self.setup.root(&self.host)
    }

    /// Its root as the test sees it, though it be on a disk of its own.
    pub fn seen_root(&self) -> PathBuf {
        self.setup.disks.as_ref().map_or_else(|| self.root(), |disks| disks.seen(&self.root()))
    }

    /// Where an attempt's worktree is, while it is.
    pub fn workspace(&self, attempt: &str) -> PathBuf {
        self.root().join(Path::new("workspaces")).join(attempt)
    }

    /// What it said when it was ready.
    pub fn ready_line(&self) -> &str {
        self.daemon.ready_line()
    }

    pub fn log(&self) -> String {
        self.daemon.log()
    }

    pub async fn kill9(&mut self) {
        self.daemon.kill9().await;
    }

    /// `kill -9` of the daemon and of everything with its root in its environment.
    pub async fn kill_host(&mut self) {
        processes::kill_all_of(&self.root());
        self.daemon.ended().await;
    }

    /// Starts it again after its end, and kills it after so long, ready or not.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_and_kill9_after(&mut self, time: Duration) {
        let program = self.setup.program(&self.host, &self.url);
        self.daemon = Daemon::spawn(&self.host, program);
        tokio::time::sleep(time).await;
        self.kill9().await;
    }

    /// One SIGTERM: it takes nothing new and finishes what it runs.
    pub fn signal_drain(&self) {
        self.daemon.signal(Signal::TERM);
    }

    pub fn signal(&self, signal: Signal) {
        self.daemon.signal(signal);
    }

    pub async fn ended(&mut self) -> ExitStatus {
        self.daemon.ended().await
    }

    /// Starts it again after its end, on the same root.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_again(&mut self) {
        let program = self.setup.program(&self.host, &self.url);
        self.daemon = Daemon::start(&self.host, program).await.expect("the worker starts again");
    }
}
