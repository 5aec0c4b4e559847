//! Any program: the prompt is on its standard input and in `FACTORY_PROMPT`, its exit code is the verdict.

use std::ffi::OsString;

use async_trait::async_trait;
use factory_domain::{AgentKind, Failure, FailureReason, Outcome, Timestamp, Usage};
use factory_proto::v1::LogStream;

use super::tail::Tail;
use super::{Agent, AgentVersion, Conclusion, Job, Launch, LaunchError, Transcript, Unavailable};
use crate::environment::Environment;
use crate::shim::Exit;

const PROMPT: &str = "FACTORY_PROMPT";
/// The kernel's bound on one `NAME=value` with its closing NUL (`MAX_ARG_STRLEN`).
const MAX_VARIABLE: usize = 128 * 1024;

#[derive(Debug)]
pub struct Command {
    environment: Environment,
}

impl Command {
    pub fn new(environment: Environment) -> Self {
        Self { environment }
    }
}

#[async_trait]
impl Agent for Command {
    fn kind(&self) -> AgentKind {
        AgentKind::Command
    }

    async fn probe(&self) -> Result<AgentVersion, Unavailable> {
        Ok(AgentVersion { version: String::new(), warning: None })
    }

    fn launch(&self, job: &Job) -> Result<Launch, LaunchError> {
        if job.spec.argv.is_empty() {
            return Err(LaunchError::NoProgram);
        }
        let mut env = self.environment.for_agent(job, &[]);
        // A program reads its task, and may ask the endpoint for what else there is to be told.
        let prompt = job.task_prompt();
        // A longer prompt is on standard input alone: with it the program could not be started.
        if PROMPT.len() + prompt.len() + 2 <= MAX_VARIABLE {
            env.insert(PROMPT.into(), prompt.into());
        }
        let argv = job.spec.argv.iter().map(OsString::from).collect();
        Ok(Launch { argv, env, stdin: prompt.as_bytes().to_vec(), files: Vec::new() })
    }

    fn words(&self, stream: LogStream, line: &[u8]) -> Vec<String> {
        match stream {
            LogStream::Stdout => vec![String::from_utf8_lossy(line).into_owned()],
            _ => Vec::new(),
        }
    }

    fn transcript(&self, job: &Job) -> Box<dyn Transcript> {
        let program = job.spec.argv.first().cloned().unwrap_or_default();
        Box::new(CommandTranscript { program, stdout: Tail::default(), stderr: Tail::default() })
    }
}

struct CommandTranscript {
    program: String,
    stdout: Tail,
    stderr: Tail,
}

impl CommandTranscript {
    fn failure(&self, exit: &Exit) -> Failure {
        let last_words = self.stderr.brief().or_else(|| self.stdout.brief());
        let last_words = last_words.map(|words| format!("; its last words: {words}")).unwrap_or_default();
        let message = format!("`{}` ended with {}{last_words}", self.program, exit.describe());
        Failure { reason: FailureReason::AgentError, message }
    }
}

impl Transcript for CommandTranscript {
    fn record(&mut self, stream: LogStream, line: &[u8]) {
        match stream {
            LogStream::Stdout => self.stdout.push(line),
            LogStream::Stderr => self.stderr.push(line),
            _ => {}
        }
    }

    fn give_up(&self) -> Option<Failure> {
        None
    }

    /// Its exit is its only result.
    fn is_done(&self) -> bool {
        false
    }

    fn conclude(self: Box<Self>, exit: &Exit, _: Timestamp) -> Conclusion {
        let outcome = match (exit.failure(), exit.code) {
            (Some(failure), _) => Outcome::Failed { failure },
            (None, Some(0)) => Outcome::Succeeded,
            (None, _) if exit.stopped => Outcome::Cancelled,
            (None, _) => Outcome::Failed { failure: self.failure(exit) },
        };
        Conclusion {
            outcome,
            result_text: self.stdout.text(),
            usage: Usage::default(),
            agent_session: None,
            structured_output: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn job(prompt: &str) -> Job {
        let mut job = fixture::job(AgentKind::Command, prompt);
        job.spec.argv = vec!["make".into(), "test".into()];
        job
    }

    fn agent() -> Command {
        Command::new(Environment::default())
    }

    #[test]
    fn the_prompt_is_on_stdin_and_in_a_variable_where_it_fits() {
        let launch = agent().launch(&job("do it")).unwrap();
        assert_eq!(launch.argv, ["make", "test"]);
        assert_eq!(launch.stdin, b"do it");
        assert_eq!(launch.env[&OsString::from(PROMPT)], "do it");
        let long = "x".repeat(MAX_VARIABLE);
        let launch = agent().launch(&job(&long)).unwrap();
        assert_eq!(launch.stdin.len(), long.len());
        assert!(!launch.env.contains_key(&OsString::from(PROMPT)));
    }

    #[test]
    fn the_exit_code_is_the_verdict() {
        let conclude = |exit: Exit| {
            let mut transcript = agent().transcript(&job("x"));
            transcript.record(LogStream::Stdout, b"42 tests");
            transcript.record(LogStream::Stderr, b"no rule to make target");
            transcript.conclude(&exit, Timestamp::default())
        };
        let ended = |code| Exit { code: Some(code), ..Exit::default() };
        let done = conclude(ended(0));
        assert_eq!((done.outcome, done.result_text.as_str()), (Outcome::Succeeded, "42 tests"));
        let Outcome::Failed { failure } = conclude(ended(2)).outcome else { panic!("it failed") };
        assert_eq!(failure.message, "`make` ended with exit code 2; its last words: no rule to make target");
        assert_eq!(conclude(Exit { stopped: true, ..ended(143) }).outcome, Outcome::Cancelled);
        let fault = Exit { fault: Some("disk full".into()), ..ended(0) };
        let Outcome::Failed { failure } = conclude(fault).outcome else { panic!("it failed") };
        assert_eq!(failure.reason, FailureReason::WorkerError);
    }
}
