//! How a task stands to others and who its agent is, as typed.

use clap::{Args, ValueEnum};
use serde::Deserialize;

#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Working with others")]
pub struct TogetherArgs {
    /// Who the agent is: its prompt, tools, timeouts and model; `factoryctl roles` lists them
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// Choose the template the prompt is put into; `factoryctl templates` lists them
    #[arg(long = "type", value_name = "TYPE")]
    pub task_type: Option<String>,
    /// Start once this task has succeeded, from its branch; repeatable
    #[arg(long, value_name = "TASK")]
    pub after: Vec<String>,
    /// Do not start it until `factoryctl release`
    #[arg(long)]
    pub hold: bool,
    /// What to do when one of those does not succeed [default: cancel]
    #[arg(long, value_enum, value_name = "HOW")]
    pub on_failed_dependency: Option<OnFailedDependency>,
    /// What to do when their branches do not merge [default: fail]
    #[arg(long, value_enum, value_name = "HOW")]
    pub on_conflict: Option<OnConflict>,
    /// A path or glob that no other task may hold meanwhile; repeatable
    #[arg(long, value_name = "PATH")]
    pub touches: Vec<String>,
    /// Run at most so many tasks with this key at once as its limit says, or one; repeatable
    #[arg(long = "key", value_name = "KEY")]
    pub keys: Vec<String>,
    /// The task this one is a child of: it is told when this one ends
    #[arg(long, value_name = "TASK")]
    pub parent: Option<String>,
    /// URL of the issue it is about
    #[arg(long, value_name = "URL")]
    pub issue: Option<String>,
    /// Groups memories beside the repository
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// What must hold for the task to be done
    #[arg(long, value_name = "TEXT")]
    pub acceptance: Option<String>,
    /// Where in the repository the agent works, relative to its root
    #[arg(long, value_name = "PATH", allow_hyphen_values = true)]
    pub directory: Option<String>,
    /// A tool the agent may use; repeatable [default: the role's, or all]
    #[arg(long = "allow-tool", value_name = "TOOL")]
    pub allowed_tools: Vec<String>,
    /// A tool the agent may not use; repeatable
    #[arg(long = "deny-tool", value_name = "TOOL")]
    pub disallowed_tools: Vec<String>,
    /// What the agent may do without being asked [default: the role's, or bypass]
    #[arg(long, value_enum, value_name = "MODE")]
    pub permission_mode: Option<PermissionMode>,
    /// Whose task it is; those of one submitter do not keep others' waiting [default: the user's name]
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true)]
    pub submitter: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailedDependency {
    /// Cancel it, and what waits for it
    Cancel,
    /// Leave it out: what waits for it goes on
    Skip,
    /// Run it all the same
    Run,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// Fail, and name the files in conflict
    Fail,
    /// Let its agent settle the merge first
    Agent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionMode {
    /// Everything
    Bypass,
    /// Edit files; what else would need asking is refused
    #[serde(alias = "accept_edits")]
    AcceptEdits,
    /// Read and plan
    Plan,
}
