//! Claude Code, headless. How it is found, logged in and started; [`transcript`] has what its output means.
//!
//! A repository is not trusted unless the task says so: its `.claude` settings could run
//! hooks and send the key elsewhere, so no settings are read and its `CLAUDE.md` is handed over as text.

mod conversation;
mod files;
mod launch;
mod login;
#[cfg(test)]
mod tests;
pub mod transcript;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use factory_domain::AgentKind;
use factory_proto::v1::LogStream;

use self::login::Login;
use self::transcript::{LOG_IN, StreamTranscript};
use super::{
    Agent, AgentVersion, Conversations, Fingerprint, Job, Launch, LaunchError, Transcript, Unavailable,
    stream_json,
};
use crate::environment::Environment;

/// How long `claude --version` may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Claude {
    /// The operator's choice; `None`: the one on PATH.
    path: Option<PathBuf>,
    environment: Environment,
    /// How long a usage limit is waited out that does not say when it is reset.
    limit_pause: Duration,
}

impl Claude {
    pub fn new(path: Option<PathBuf>, environment: Environment, limit_pause: Duration) -> Self {
        Self { path, environment, limit_pause }
    }

    fn program(&self) -> Result<PathBuf, Unavailable> {
        if let Some(path) = &self.path {
            let missing = || Unavailable(format!("there is no `claude` at {}", path.display()));
            return if path.is_file() { Ok(path.clone()) } else { Err(missing()) };
        }
        let dirs = self.environment.get("PATH").map(std::env::split_paths);
        let found = dirs.into_iter().flatten().map(|dir| dir.join("claude")).find(|path| path.is_file());
        found.ok_or_else(|| {
            let how =
                "install it (npm install -g @anthropic-ai/claude-code) or name it with FACTORY_CLAUDE_BIN";
            Unavailable(format!("`claude` is not on PATH; {how}"))
        })
    }

    async fn version(&self, program: &Path) -> Result<String, Unavailable> {
        let unusable = |why: String| Unavailable(format!("{} --version {why}", program.display()));
        let running = tokio::process::Command::new(program)
            .arg("--version")
            .env_clear()
            .envs(self.environment.base())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = match tokio::time::timeout(PROBE_TIMEOUT, running).await {
            Err(_) => return Err(unusable(format!("took longer than {} s", PROBE_TIMEOUT.as_secs()))),
            Ok(Err(error)) => return Err(unusable(format!("could not be run: {error}"))),
            Ok(Ok(output)) => output,
        };
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(unusable(format!("failed ({}): {}", output.status, words.trim())));
        }
        let words = String::from_utf8_lossy(&output.stdout);
        Ok(words.split_whitespace().next().unwrap_or_default().to_owned())
    }
}

#[async_trait]
impl Agent for Claude {
    fn kind(&self) -> AgentKind {
        AgentKind::Claude
    }

    async fn probe(&self) -> Result<AgentVersion, Unavailable> {
        let program = self.program()?;
        let version = self.version(&program).await?;
        let warning = match Login::find(&self.environment) {
            None => {
                let why = format!("claude {version} is installed but not logged in; {LOG_IN}");
                return Err(Unavailable(why));
            }
            Some(Login::Environment) => None,
            Some(Login::Shared(path)) => Some(format!(
                "all agents share the login in {}, and refreshing it at the same time can log them out; {LOG_IN}",
                path.display()
            )),
        };
        Ok(AgentVersion { version, warning })
    }

    async fn credential(&self) -> Option<Fingerprint> {
        Login::fingerprint(&self.environment).await
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        let program = self.program()?;
        let (argv, files) = launch::argv(&program, job)?;
        Ok(Launch {
            argv,
            files,
            env: launch::env(&self.environment, job),
            stdin: launch::prompt(&job.prompt()),
        })
    }

    fn transcript(&self, job: &Job) -> Box<dyn Transcript> {
        Box::new(StreamTranscript::new("Claude Code", job, self.limit_pause))
    }

    fn words(&self, stream: LogStream, line: &[u8]) -> Vec<String> {
        stream_json::words(stream, line)
    }

    fn conversations(&self) -> Option<&dyn Conversations> {
        Some(self)
    }
}
