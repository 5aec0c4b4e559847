//! What is asked about tasks, as typed: `status`, `watch`, `logs`, `result`, `diff`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use factory_domain::{Labels, TaskState};

use crate::watch::WatchCursor;

/// List the tasks, newest first, or show one in full
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl status
  factoryctl status --state running --state queued
  factoryctl status 42
  factoryctl status --parent 42
  factoryctl status --search 'flaky login*'
  factoryctl status -o jsonl | jq -r 'select(.state == \"failed\").id'")]
pub struct Status {
    /// A task's number, its id or the beginning of its id
    #[arg(value_name = "TASK", conflicts_with_all = ["states", "repo", "labels", "role", "parent", "search", "limit", "page_token"])]
    pub task: Option<String>,
    /// Only tasks in this state; repeatable
    #[arg(long = "state", value_name = "STATE", value_parser = PossibleValuesParser::new(TaskState::NAMES))]
    pub states: Vec<String>,
    /// Only tasks of this repository, named as at submit
    #[arg(long, value_name = "REPO")]
    pub repo: Option<String>,
    /// Only tasks that ask for this label; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = Labels::parse_pair)]
    pub labels: Vec<(String, String)>,
    /// Only tasks of this role
    #[arg(long, value_name = "ROLE")]
    pub role: Option<String>,
    /// Only children of this task
    #[arg(long, value_name = "TASK")]
    pub parent: Option<String>,
    /// Only tasks with these words in title, prompt, branch or issue; a word may end in `*`
    #[arg(long, value_name = "WORDS")]
    pub search: Option<String>,
    /// How many at most, up to 1000 [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

/// Follow tasks live, until they end
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl watch 42
  factoryctl watch 42 43 44
  factoryctl watch --all
  factoryctl watch 42 --raw | jq .
  factoryctl watch 42 --since 118,42=1.37   go on where an earlier watch stopped")]
pub struct Watch {
    /// Numbers, ids or beginnings of ids
    #[arg(value_name = "TASK", required_unless_present = "all", conflicts_with = "all")]
    pub tasks: Vec<String>,
    /// Every task, from now on; until interrupted
    #[arg(long)]
    pub all: bool,
    /// Print the agent's own output lines, unchanged
    #[arg(long, conflicts_with = "format")]
    pub raw: bool,
    /// Print only what came after this cursor, as an earlier watch gave it
    #[arg(long, value_name = "CURSOR")]
    pub since: Option<WatchCursor>,
}

/// Print what an agent printed
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl logs 42
  factoryctl logs 42 --tail 20 --follow
  factoryctl logs 42 --attempt 1 --raw > attempt-1.jsonl")]
pub struct Logs {
    /// A task's number, its id or the beginning of its id
    pub task: String,
    /// Which attempt, counted from 1 [default: the latest]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub attempt: Option<u32>,
    /// Only the last so many records
    #[arg(long, value_name = "N")]
    pub tail: Option<u32>,
    /// Go on until the task has ended
    #[arg(long)]
    pub follow: bool,
    /// Print the agent's own output lines, unchanged
    #[arg(long, conflicts_with = "format")]
    pub raw: bool,
}

/// Print an agent's closing words, or fetch what it left
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl result 42
  factoryctl result 42 --files                     list the files of a task without a repository
  factoryctl result 42 --files --output ./fetched  and fetch them
  factoryctl result 42 --bundle work.bundle        the commits, where the origin did not take them

Ends with 1 where the task failed or was cancelled. Files, bundles and the patch of `diff` are fetched of any
task: there 0 says that they were.")]
pub struct ResultArgs {
    /// A task's number, its id or the beginning of its id
    pub task: String,
    /// List the files that a task without a repository left
    #[arg(long, conflicts_with = "bundle")]
    pub files: bool,
    /// With --files: fetch them into this directory
    #[arg(long, value_name = "DIR", requires = "files")]
    pub output: Option<PathBuf>,
    /// Fetch the commits as a git bundle; `-` is stdout
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
}

/// Print the change an agent made
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl diff 42
  factoryctl diff 42 | git apply
  factoryctl diff 42 -o json     commits and counts alone")]
pub struct Diff {
    /// A task's number, its id or the beginning of its id
    pub task: String,
}
