//! What a task asks for, valid from the moment it was accepted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admission::Needs;
use crate::schedule::Class;
use crate::{AgentKind, BranchName, Labels, PathPattern, RepoSource, Requirements, RevisionName, Slug};

/// A task as accepted. Every field has passed [`SpecDraft::validate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// One line for people; made from the prompt where none was given.
    pub title: String,
    pub prompt: String,
    pub agent: AgentKind,
    /// The program and its arguments, for [`AgentKind::Command`] alone.
    pub argv: Vec<String>,
    pub model: Option<String>,
    /// `None`: an empty workspace.
    pub repo: Option<RepoSource>,
    /// `None`: the remote's default branch.
    pub base: Option<RevisionName>,
    /// `None`: a name of the attempt's own.
    pub branch: Option<BranchName>,
    pub deliver: Deliver,
    pub leftovers: Leftovers,
    /// An executable in the repository, relative to its root, run before the agent.
    pub setup: Option<String>,
    pub setup_timeout: Duration,
    /// Let the repository's own agent settings (hooks, MCP servers, CLAUDE.md) take effect.
    pub trust_repo: bool,
    pub labels: Labels,
    pub priority: i32,
    pub max_attempts: u32,
    /// From the agent's start to its end.
    pub timeout: Option<Duration>,
    /// Without a line from the agent.
    pub idle_timeout: Option<Duration>,
    /// Millionths of a US dollar the agent may spend in one attempt.
    pub budget_micro_usd: Option<u64>,
    /// Tokens the agent may use in one attempt: input, output and what it writes to the cache.
    pub budget_tokens: Option<u64>,
    pub max_turns: Option<u32>,
    /// Who the agent is: its tools, its model and its system prompt come from the role where the task says nothing.
    #[serde(default)]
    pub role: Option<Slug>,
    /// Chooses the template that the prompt is put into.
    #[serde(default)]
    pub task_type: Option<Slug>,
    /// What must hold for the task to be done, for the agent and its reviewer.
    #[serde(default)]
    pub acceptance: Option<String>,
    /// Where in the repository the agent works, relative to its root.
    #[serde(default)]
    pub directory: Option<String>,
    /// Files the task will change: no two tasks of one repository hold overlapping ones at a time.
    #[serde(default)]
    pub touches: Vec<PathPattern>,
    /// Of tasks that name the same key, only so many run at a time as the key's limit says; 1 where there is none.
    #[serde(default)]
    pub keys: Vec<String>,
    /// The issue it is about, as a URL.
    #[serde(default)]
    pub issue: Option<String>,
    /// Groups memories beside the repository.
    #[serde(default)]
    pub project: Option<String>,
    /// Whose task it is: those of one submitter do not keep others' waiting.
    #[serde(default)]
    pub submitter: Option<String>,
    /// Tools the agent may use; empty: all of them.
    #[serde(default)]
    pub allowed_tools: Vec<String>,
    #[serde(default)]
    pub disallowed_tools: Vec<String>,
    /// `None`: as the role says, and without one everything is allowed.
    #[serde(default)]
    pub permission_mode: Option<PermissionMode>,
    /// A JSON Schema that the agent's answer must fit, as text. It is in the report's `structured_output`.
    #[serde(default)]
    pub output_schema: Option<String>,
    #[serde(default)]
    pub on_conflict: ConflictPolicy,
    /// The conversation is kept after a success, so that another task can go on with it.
    #[serde(default)]
    pub keep_session: bool,
    /// The session elsewhere that dispatched it, as that calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

impl TaskSpec {
    pub fn requirements(&self) -> Requirements {
        Requirements { agent: self.agent, labels: self.labels.clone() }
    }

    pub fn class(&self) -> Class {
        Class {
            requirements: self.requirements(),
            repo: self.repo.as_ref().map(RepoSource::identity),
            role: self.role.clone(),
            submitter: self.submitter.clone(),
            exclusive: !self.touches.is_empty() || !self.keys.is_empty(),
        }
    }

    /// What it has for itself while it runs.
    pub fn needs(&self) -> Needs {
        Needs {
            repo: self.repo.as_ref().map(RepoSource::identity),
            files: self.touches.clone(),
            keys: self.keys.clone(),
        }
    }
}

/// What becomes of the agent's commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deliver {
    /// The branch is pushed to the origin.
    #[default]
    Branch,
    /// Nothing is pushed; the commits are kept as a bundle.
    None,
}

/// What becomes of changes the agent did not commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leftovers {
    /// Committed on the branch, as one commit that says so.
    #[default]
    Commit,
    /// Left in the worktree, which is kept.
    Keep,
    Discard,
}

/// What an agent may do without being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PermissionMode {
    /// Everything: the workspace is the agent's own, and there is nobody to ask.
    Bypass,
    /// Edit files; what else would need asking is refused.
    AcceptEdits,
    /// Read and plan; nothing is changed.
    Plan,
}

/// What becomes of a task whose dependencies' branches do not merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictPolicy {
    /// It fails, and says which files are in conflict.
    #[default]
    Fail,
    /// Its agent begins in the unfinished merge, and is told to settle it first.
    Agent,
}
