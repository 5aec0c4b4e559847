//! `factoryctl`, run as a person or a script would.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::coordinator::Coordinator;
use super::host::Host;
use super::{binaries, soon};

#[derive(Clone)]
pub struct Ctl {
    host: Host,
    /// `None`: nobody says where a coordinator is.
    url: Option<String>,
    token: Option<String>,
    folder: PathBuf,
    environment: Vec<(String, OsString)>,
}

/// What came of one call.
#[derive(Debug)]
pub struct Said {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ctl {
    pub fn new(host: &Host, coordinator: &Coordinator) -> Self {
        Self::at(host, coordinator.url())
    }

    pub fn at(host: &Host, url: &str) -> Self {
        Self { url: Some(url.to_owned()), ..Self::alone(host) }
    }

    /// With no coordinator named.
    pub fn alone(host: &Host) -> Self {
        Self { host: host.clone(), url: None, token: None, folder: host.home(), environment: Vec::new() }
    }

    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Runs it in another folder than the home.
    pub fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Runs one command to its end.
    ///
    /// # Panics
    /// When it cannot be started or does not end.
    pub async fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Said {
        self.run_with_input(args, &[]).await
    }

    pub async fn run_with_input<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Said {
        let mut child = self.start(args);
        let mut stdin = child.stdin.take().expect("piped");
        // It may end without reading: a refusal does.
        let _ = stdin.write_all(input).await;
        drop(stdin);
        let output = soon("factoryctl", child.wait_with_output()).await.expect("a child");
        Said {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts one command with its three streams piped; it is killed when dropped.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Child {
        let mut environment = self.host.environment();
        if let Some(url) = &self.url {
            environment.insert("FACTORY_URL".into(), url.into());
        }
        if let Some(token) = &self.token {
            environment.insert("FACTORY_AUTH_TOKEN".into(), token.into());
        }
        for (name, value) in &self.environment {
            environment.insert(name.into(), value.clone());
        }
        let args: Vec<OsString> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        Command::new(binaries::path("factoryctl"))
            .args(args)
            .env_clear()
            .envs(environment)
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("factoryctl starts")
    }
}
