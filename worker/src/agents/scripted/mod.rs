//! The built-in agent, for demos, tests and load: it follows the steps in its prompt, really
//! edits, runs programs and commits, and prints what Claude Code would print about it.

mod conversation;
mod run;
mod steps;
mod tools;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use factory_domain::AgentKind;
use factory_proto::v1::LogStream;

use super::claude::transcript::StreamTranscript;
use super::{
    Agent, AgentVersion, Conversation, Conversations, Job, Launch, LaunchError, Transcript, Unavailable,
    stream_json,
};
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
        let id = match &job.conversation {
            Conversation::New { .. } => run::NEW,
            Conversation::Resumed { .. } => run::RESUMED,
        };
        argv.extend([id.into(), job.conversation.id().to_string().into()]);
        argv.extend([run::HOME.into(), job.agent_home.clone().into()]);
        let env = self.environment.for_agent(job, &[]);
        Ok(Launch { argv, env, stdin: job.prompt().into_owned().into_bytes(), files: Vec::new() })
    }

    fn transcript(&self, job: &Job) -> Box<dyn Transcript> {
        Box::new(StreamTranscript::new("the scripted agent", job, self.limit_pause))
    }

    fn words(&self, stream: LogStream, line: &[u8]) -> Vec<String> {
        stream_json::words(stream, line)
    }

    fn conversations(&self) -> Option<&dyn Conversations> {
        Some(self)
    }
}

/// How many steps a prompt has.
#[cfg(test)]
pub(crate) fn steps_in(prompt: &str) -> usize {
    steps::parse(prompt).len()
}

impl Conversations for Scripted {
    fn find(&self, job: &Job) -> io::Result<Option<PathBuf>> {
        let path = self.place(job)?;
        Ok(conversation::is_there(&path)?.then_some(path))
    }

    fn place(&self, job: &Job) -> io::Result<PathBuf> {
        Ok(conversation::path(&job.agent_home, &job.conversation.id().to_string()))
    }
}
