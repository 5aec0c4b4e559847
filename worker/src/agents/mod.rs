//! The agents the worker can drive, one adapter a file.
//!
//! An adapter says how its agent is started and what its output means. It never
//! starts anything but a probe: the attempt's processes belong to the shim. A
//! fourth agent is one more file here, its kind in the domain, and a line in [`all`].

pub mod claude;
pub mod command;
#[cfg(test)]
mod fixture;
pub mod scripted;
pub mod stream_json;
mod tail;
mod token_meter;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::ffi::OsString;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use async_trait::async_trait;
use factory_domain::{
    AgentKind, AttemptId, Brief, Failure, Notice, Outcome, TaskId, TaskSpec, Timestamp, Usage,
};
use factory_proto::v1::LogStream;
use uuid::Uuid;

use crate::environment::Environment;
use crate::mcp::{self, Access};
use crate::shim::Exit;

/// How one kind of agent is found, started and understood.
#[async_trait]
pub trait Agent: Send + Sync {
    fn kind(&self) -> AgentKind;

    /// Is it here and usable? Cheap: nothing is spent and nothing is sent.
    async fn probe(&self) -> Result<AgentVersion, Unavailable>;

    /// What tells the login it has now from any other; `None` for an agent without one.
    async fn credential(&self) -> Option<Fingerprint> {
        None
    }

    /// The process to start for a job. `job.agent_home` and `job.workspace` exist.
    fn launch(&self, job: &Job) -> Result<Launch, LaunchError>;

    /// Reads what the agent of this job prints.
    fn transcript(&self, job: &Job) -> Box<dyn Transcript>;

    /// The agent's own words in a line that it printed; none where its lines are not understood.
    fn words(&self, _stream: LogStream, _line: &[u8]) -> Vec<String> {
        Vec::new()
    }

    /// The agent's conversations; `None`: it has none, and always begins afresh.
    fn conversations(&self) -> Option<&dyn Conversations> {
        None
    }
}

/// Where an agent keeps its conversations. All of it is blocking.
pub trait Conversations: Send + Sync {
    /// The file of the job's conversation, where there is one that can be resumed.
    fn find(&self, job: &Job) -> io::Result<Option<PathBuf>>;

    /// Where the file must lie for the job to find it: that of the conversation as it is here, if it is.
    fn place(&self, job: &Job) -> io::Result<PathBuf>;
}

/// An agent found usable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentVersion {
    /// As the program says itself; empty where it does not.
    pub version: String,
    /// Something the operator should know and may want to change.
    pub warning: Option<String>,
}

/// Tells one credential from another while this process lives, and says nothing else about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Fingerprint {
    pub fn of(credential: impl Hash) -> Self {
        /// Drawn anew with every start: a fingerprint is of no use to anyone else.
        static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        Self(KEY.hash_one(credential))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

/// An agent that cannot be offered, and why: the thing, the cause, the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// A job that cannot be turned into a process.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    #[error("the task gives the agent `command` no program to run")]
    NoProgram,
    #[error("what the agent is started with cannot be read: {0}")]
    Files(#[from] io::Error),
}

/// One attempt, as its agent's adapter sees it.
#[derive(Debug, Clone)]
pub struct Job {
    pub task: TaskId,
    pub attempt: AttemptId,
    /// Counted from 1.
    pub attempt_number: u32,
    pub spec: TaskSpec,
    /// The agent's working directory.
    pub workspace: PathBuf,
    /// A directory of this attempt's own, for the agent's settings and its session files.
    pub agent_home: PathBuf,
    pub conversation: Conversation,
    /// W3C trace context; may be empty.
    pub traceparent: String,
    /// What the coordinator adds to the task.
    pub brief: Brief,
    /// What the agent is told beside it at its start.
    pub notices: Vec<Notice>,
    /// How the agent acts beside its own work; `None`: it cannot.
    pub access: Option<Access>,
}

impl Job {
    /// The task, as its template says it where it has one.
    pub fn task_prompt(&self) -> &str {
        self.brief.prompt.as_deref().unwrap_or(&self.spec.prompt)
    }

    /// What the agent is told at its start: the task, or where it goes on with a conversation what has happened
    /// since; and behind that what else there is to tell.
    pub fn prompt(&self) -> Cow<'_, str> {
        let (first, note) = match &self.conversation {
            Conversation::New { note, .. } => (self.task_prompt(), note.as_deref()),
            // The task was told when it began.
            Conversation::Resumed { note, .. } => (note.as_str(), None),
        };
        let news = mcp::news(&self.notices);
        if note.is_none() && news.is_none() {
            return Cow::Borrowed(first);
        }
        let parts = [Some(first.trim_end()), note, news.as_deref()];
        Cow::Owned(parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n"))
    }
}

/// The conversation an agent has about its task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversation {
    New {
        /// Chosen before the start, so that it is known whatever happens.
        id: Uuid,
        /// What an earlier attempt left, where there was one; told after the task.
        note: Option<String>,
    },
    /// The one an earlier attempt had.
    Resumed {
        id: Uuid,
        /// What has happened since.
        note: String,
    },
}

impl Conversation {
    pub const fn id(&self) -> Uuid {
        match self {
            Self::New { id, .. } | Self::Resumed { id, .. } => *id,
        }
    }
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program and its arguments; never holds a secret, since anyone on the host can read it.
    pub argv: Vec<OsString>,
    /// All of the agent's environment.
    pub env: BTreeMap<OsString, OsString>,
    pub stdin: Vec<u8>,
    /// Written before the start, for this user alone.
    pub files: Vec<PrivateFile>,
}

/// A file that an agent is started with.
#[derive(Clone, PartialEq, Eq)]
pub struct PrivateFile {
    pub path: PathBuf,
    pub content: Vec<u8>,
}

/// What is in it may be secret.
impl fmt::Debug for PrivateFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrivateFile").field(&self.path).finish()
    }
}

/// Reads an agent's output line by line and says at the end what came of it.
pub trait Transcript: Send {
    /// One whole line, its pieces joined.
    fn record(&mut self, stream: LogStream, line: &[u8]);

    /// Something was seen that cannot get better: end the agent now, and this is why.
    fn give_up(&self) -> Option<Failure>;

    /// The agent has given its result and has nothing more to do: its process may end any time.
    /// It may still go on, called back by something it waited for.
    fn is_done(&self) -> bool;

    /// The model has answered: the agent's login is good.
    fn is_answered(&self) -> bool {
        false
    }

    /// The verdict, once the process has ended, at `now`. An agent that was stopped before it
    /// was done comes out as [`Outcome::Cancelled`]; who stopped it knows the true reason.
    fn conclude(self: Box<Self>, exit: &Exit, now: Timestamp) -> Conclusion;
}

/// What came of an agent's run.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    pub outcome: Outcome,
    /// The agent's closing words.
    pub result_text: String,
    pub usage: Usage,
    pub agent_session: Option<String>,
    /// Its answer by the task's schema, as JSON text.
    pub structured_output: Option<String>,
}

/// Which agents there are on this host, and what they may have of its environment.
#[derive(Debug, Clone)]
pub struct AgentsConfig {
    /// The `claude` to run; `None`: the one on PATH.
    pub claude: Option<PathBuf>,
    /// What starts the scripted agent: this program with these arguments.
    pub scripted: Vec<OsString>,
    /// What agents' environments are made from.
    pub environment: Environment,
    /// How long a usage limit is waited out where the agent does not say when it is reset.
    pub limit_pause: Duration,
}

/// For [`AgentsConfig::limit_pause`]: a key's limits are counted by the minute.
pub const DEFAULT_LIMIT_PAUSE: Duration = Duration::from_secs(300);

/// Every agent there is, found on this host or not.
pub fn all(config: &AgentsConfig) -> Vec<Arc<dyn Agent>> {
    let environment = || config.environment.clone();
    vec![
        Arc::new(claude::Claude::new(config.claude.clone(), environment(), config.limit_pause)),
        Arc::new(command::Command::new(environment())),
        Arc::new(scripted::Scripted::new(config.scripted.clone(), environment(), config.limit_pause)),
    ]
}
