//! The built-in agent, for demos, tests and load: it follows the steps in its prompt, really
//! edits, runs programs and commits, and prints what Claude Code would print about it.

mod run;
mod steps;

use std::ffi::OsString;
use std::time::Duration;

use async_trait::async_trait;
use factory_domain::AgentKind;

use super::claude::transcript::StreamTranscript;
use super::{Agent, AgentVersion, Job, Launch, LaunchError, Transcript, Unavailable};
use crate::environment::Environment;

pub use run::main;

/// The attempt's number, counted from 1, in every agent's environment.
pub const ATTEMPT_NUMBER: &str = "FACTORY_ATTEMPT_NUMBER";

#[derive(Debug)]
pub struct Scripted {
    /// What starts [`main`].
    argv: Vec<OsString>,
    environment: Environment,
    limit_pause: Duration,
}

impl Scripted {
    pub fn new(argv: Vec<OsString>, environment: Environment, limit_pause: Duration) -> Self {
        Self { argv, environment, limit_pause }
    }
}

#[async_trait]
impl Agent for Scripted {
    fn kind(&self) -> AgentKind {
        AgentKind::Scripted
    }

    async fn probe(&self) -> Result<AgentVersion, Unavailable> {
        if self.argv.is_empty() {
            return Err(Unavailable("this worker was built without the scripted agent".to_owned()));
        }
        Ok(AgentVersion { version: env!("CARGO_PKG_VERSION").to_owned(), warning: None })
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        let mut argv = self.argv.clone();
        argv.extend(["--session-id".into(), job.session.to_string().into()]);
        let env = self.environment.for_agent(job, &[]);
        Ok(Launch { argv, env, stdin: job.spec.prompt.clone().into_bytes() })
    }

    fn transcript(&self, job: &Job) -> Box<dyn Transcript> {
        Box::new(StreamTranscript::new("the scripted agent", job, self.limit_pause))
    }
}
