//! `batch`, as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;
use factory_domain::AgentKind;

use super::task::duration;

/// Submit many tasks in one go, with what they wait for; prints their ids
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl batch agents.json --project my-feature     an array of {role, directory, task}
  factoryctl batch dag.yaml --dry-run                   which tasks would start when; nothing is sent
  factoryctl batch dag.yaml --idempotency-key rel-7     safe to repeat: each task is submitted once
  ./plan | factoryctl batch - --watch

A file is an array of tasks, or {defaults, tasks, parallel_groups}. A task has an `id`, by which others name it in
`after`, a `prompt`, and whatever `submit` takes. All tasks are submitted, or none. What a task says of itself goes
before these options, and they go before the file's `defaults`.")]
pub struct Batch {
    /// JSON, TOML or YAML; `-` is stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Groups the memories of the tasks
    #[arg(short = 'p', long, value_name = "NAME")]
    pub project: Option<String>,
    /// Which agent does the work [default: claude]
    #[arg(short = 't', long, visible_alias = "tool", value_name = "AGENT", value_parser = PossibleValuesParser::new(AgentKind::ALL.map(AgentKind::as_str)))]
    pub agent: Option<String>,
    /// End each agent after so long in all, such as 90s, 5m or 1h30m [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// A path, a URL, owner/name or a name that `repos list` shows [default: the repository of the current directory]
    #[arg(long, value_name = "REPO", conflicts_with = "no_repo", allow_hyphen_values = true)]
    pub repo: Option<String>,
    /// Work in empty workspaces
    #[arg(long)]
    pub no_repo: bool,
    /// Whose tasks they are; those of one submitter do not keep others' waiting [default: the user's name]
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true)]
    pub submitter: Option<String>,
    /// The same key with the same file submits its tasks once only
    #[arg(long, value_name = "PREFIX")]
    pub idempotency_key: Option<String>,
    /// Watch the tasks to their ends
    #[arg(long)]
    pub watch: bool,
    /// Print which tasks would start together, and submit nothing
    #[arg(long, conflicts_with = "watch")]
    pub dry_run: bool,
}
