//! What can be typed: clap types and their help, nothing that acts.

mod batch;
mod board;
mod library;
mod memory;
mod question;
mod task;
mod together;
mod workflow;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use factory_coordinator::config::LimitsOptions;
use factory_domain::{Labels, TaskState};

use crate::render::Format;
use crate::watch::WatchCursor;

pub use batch::Batch;
pub use board::{
    CreateHandoff, FollowMessages, HandoffList, HandoffName, Handoffs, HandoffsCommand, MessageList,
    MessageName, Messages, MessagesCommand, PostMessage,
};
pub use library::{LibraryCommand, LibraryName, Roles, Templates};
pub use memory::{
    Memory, MemoryAdd, MemoryCommand, MemoryList, MemoryPage, MemoryScope, MemorySearch, MemoryView,
};
pub use question::{Answer, Questions};
pub use task::{Deliver, Leftovers, MicroUsd, TaskArgs, duration, micro_usd};
pub use together::{OnConflict, OnFailedDependency, PermissionMode};
pub use workflow::{ListWorkflows, ShowWorkflow, StartWorkflow, Workflow, WorkflowCommand, WorkflowName};

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    a task ended failed or cancelled, or the command itself failed
  2    wrong usage, or input that was refused
  3    not found
  4    the coordinator is unreachable
  5    refused: token, or a conflict with the present state
  130  interrupted";

/// Hands coding tasks to agents on many hosts, and shows what becomes of them.
#[derive(Debug, Parser)]
#[command(name = "factoryctl", version, after_help = EXIT_CODES, arg_required_else_help = true, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The coordinator [default: http://127.0.0.1:8100]
    #[arg(long, global = true, env = "FACTORY_URL", value_name = "URL")]
    pub url: Option<String>,
    /// Bearer token; other users of this host can read it in the process list, so prefer the variable or --token-file
    #[arg(long, global = true, env = "FACTORY_AUTH_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// A file whose first line is the bearer token
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// How data is printed on stdout: for people, as one JSON value, or one JSON object a line
    #[arg(short = 'o', long = "format", global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Color {
    /// On a terminal that takes colours, unless NO_COLOR is set
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Demo(Demo),
    Up(Up),
    Run(Box<Run>),
    Submit(Box<Submit>),
    Batch(Box<Batch>),
    Status(Status),
    Watch(Watch),
    Logs(Logs),
    Result(ResultArgs),
    Diff(Diff),
    Cancel(Cancel),
    Retry(Retry),
    Questions(Questions),
    Answer(Answer),
    Workers(Workers),
    Messages(Box<Messages>),
    Handoffs(Box<Handoffs>),
    Roles(Roles),
    Templates(Templates),
    Memory(Memory),
    #[command(visible_alias = "workflows")]
    Workflow(Workflow),
    Completions(Completions),
    /// Print the version
    Version,
}

/// See the whole factory at work: a scratch repository, two workers, six tasks at once
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl demo                    with Claude Code where it is installed and logged in
  factoryctl demo --agent scripted   without any model: nothing is spent
  factoryctl demo --keep             keep the scratch repository and look at its branches")]
pub struct Demo {
    /// Who does the work [default: claude where it is installed and logged in, else scripted]
    #[arg(long, value_name = "AGENT", value_enum)]
    pub agent: Option<DemoAgent>,
    /// Keep the scratch directory, and say where it is
    #[arg(long)]
    pub keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DemoAgent {
    /// Claude Code; costs a few cents
    Claude,
    /// The built-in agent that follows a script
    Scripted,
}

/// Run a coordinator and a worker here, in one process, until ctrl-c
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl up                              then, in another terminal: factoryctl submit \"…\"
  factoryctl up --slots 4 --label gpu=no
  AGENT_FACTORY_DIRPATH=/srv/factory factoryctl up --listen 127.0.0.1:0

The first ctrl-c drains: no new task starts, running ones finish. The second stops at once.")]
pub struct Up {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8100")]
    pub listen: String,
    /// Listen beyond this host without a token
    #[arg(long)]
    pub insecure: bool,
    /// How many tasks run at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub slots: u32,
    #[command(flatten)]
    pub limits: LimitsOptions,
    /// A label of the worker, which tasks can ask for; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = Labels::parse_pair)]
    pub labels: Vec<(String, String)>,
}

/// Submit a task and watch it to its end, with an embedded factory where none runs
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl run \"Fix the flaky login test\"
  factoryctl run --base develop --timeout 30m -f task.md
  factoryctl run --no-repo --agent command -- cargo --version

Where no coordinator was named and none answers at the default address, a factory runs in this
process for as long as the task does. Ctrl-c then cancels the task; with a coordinator of its own,
it only stops watching.")]
pub struct Run {
    #[command(flatten)]
    pub task: TaskArgs,
    /// Print the agent's own output lines, unchanged
    #[arg(long)]
    pub raw: bool,
}

/// Submit a task; prints its id
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl submit \"Fix the flaky login test\"
  factoryctl submit -f task.md --repo octo/app --base develop --label gpu=no
  git log -1 --format=%B | factoryctl submit - --title \"Finish what this commit began\"
  factoryctl submit --agent command --timeout 10m -- make test")]
pub struct Submit {
    #[command(flatten)]
    pub task: TaskArgs,
    /// Watch the task to its end
    #[arg(long)]
    pub watch: bool,
}

/// List the tasks, newest first, or show one in full
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl status
  factoryctl status --state running --state queued
  factoryctl status 42
  factoryctl status --parent 42
  factoryctl status -o jsonl | jq -r 'select(.state == \"failed\").id'")]
pub struct Status {
    /// A task's number, its id or the beginning of its id
    #[arg(value_name = "TASK", conflicts_with_all = ["states", "repo", "labels", "role", "parent", "limit", "page_token"])]
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

/// End tasks, whatever they are doing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl cancel 42 43
  factoryctl cancel 42 --children
  factoryctl cancel 42 --wait")]
pub struct Cancel {
    /// Numbers, ids or beginnings of ids
    #[arg(required = true, value_name = "TASK")]
    pub tasks: Vec<String>,
    /// Also what was submitted for them, as far down as it goes; on a terminal it is asked for
    #[arg(long)]
    pub children: bool,
    /// Them alone, without being asked
    #[arg(long, conflicts_with = "children")]
    pub no_children: bool,
    /// Return only when they have ended
    #[arg(long)]
    pub wait: bool,
}

/// Submit an ended task again, as a new one; prints its id
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl retry 42
  factoryctl retry 42 --watch")]
pub struct Retry {
    /// A task's number, its id or the beginning of its id
    pub task: String,
    /// Watch the new task to its end
    #[arg(long)]
    pub watch: bool,
}

/// The hosts that run agents
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl workers list -o jsonl | jq -r 'select(.connected).name'
  factoryctl workers show anvil      what it holds, and what it says of its agents
  factoryctl workers drain anvil     before its host is taken down: running work finishes, nothing new starts
  factoryctl workers resume anvil")]
pub struct Workers {
    #[command(subcommand)]
    pub command: Option<WorkersCommand>,
}

#[derive(Debug, Default, Subcommand)]
pub enum WorkersCommand {
    /// List the workers: whether they are connected, how busy, what they offer
    #[default]
    List,
    /// Show one worker in full: what it holds now, and what it says of its agents
    #[command(after_help = "\
Examples:
  factoryctl workers show anvil
  factoryctl workers show anvil -o json | jq '.attempts[].task_number'")]
    Show(WorkerName),
    /// Give a worker no new work; what it runs goes on, or is handed over at a deadline
    #[command(after_help = "\
Examples:
  factoryctl workers drain anvil
  factoryctl workers show anvil      `drained` once it holds nothing any more
  factoryctl workers drain anvil --hand-over-after 10m
  factoryctl workers drain anvil --hand-over-after 0s     hand over what it runs now

What is handed over is saved and goes on at another worker, in the same conversation, at no cost to its tries.
Asking again sets the deadline anew; without the option there is none.

A drain lasts until `factoryctl workers resume`, through restarts of the worker and the coordinator.")]
    Drain(DrainWorker),
    /// End a drain: the worker is offered work again
    #[command(after_help = "\
Examples:
  factoryctl workers resume anvil")]
    Resume(WorkerName),
}

#[derive(Debug, Args)]
pub struct WorkerName {
    /// A worker's name, its id, or the beginning of either
    pub worker: String,
}

#[derive(Debug, Args)]
pub struct DrainWorker {
    #[command(flatten)]
    pub name: WorkerName,
    /// End, save and give to other workers what still runs after so long, such as 10m [default: let it finish]
    #[arg(long, value_name = "DURATION", value_parser = task::duration)]
    pub hand_over_after: Option<Duration>,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl completions bash > ~/.local/share/bash-completion/completions/factoryctl
  factoryctl completions zsh > ~/.zfunc/_factoryctl
  factoryctl completions fish > ~/.config/fish/completions/factoryctl.fish")]
pub struct Completions {
    #[arg(value_enum)]
    pub shell: Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("factoryctl").chain(line.split(' ')))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_help_with_a_line_about_it() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        }
    }

    #[test]
    fn help_is_a_verb_too_and_what_is_shown_where_nothing_is_said() {
        for (line, shown) in
            [("help", "Exit codes"), ("help submit", "Examples:"), ("help workers list", "busy")]
        {
            let help = parse(line).expect_err(line);
            assert_eq!(help.exit_code(), 0, "{line}");
            assert!(help.to_string().contains(shown), "{line}: {help}");
        }
        let nothing = Cli::try_parse_from(["factoryctl"]).expect_err("nothing was asked for");
        assert_eq!(nothing.exit_code(), 2);
        assert!(nothing.to_string().contains("submit"), "{nothing}");
    }

    #[test]
    fn a_command_agents_argv_follows_two_dashes() {
        let Ok(Cli { command: Command::Submit(submit), .. }) =
            parse("submit --agent command the prompt -- make -j 4 test")
        else {
            panic!("not a submit");
        };
        assert_eq!(submit.task.prompt, ["the", "prompt"]);
        assert_eq!(submit.task.argv, ["make", "-j", "4", "test"]);
    }

    #[test]
    fn hostile_names_reach_the_checks_instead_of_being_taken_for_options() {
        let Ok(Cli { command: Command::Submit(submit), .. }) =
            parse("submit x --base --upload-pack=x --branch -D")
        else {
            panic!("not a submit");
        };
        assert_eq!(submit.task.base.as_deref(), Some("--upload-pack=x"));
        assert_eq!(submit.task.branch.as_deref(), Some("-D"));
    }

    #[test]
    fn unknown_states_agents_and_labels_are_usage_errors_that_list_what_is_known() {
        for (line, listed) in [
            ("status --state bogus", "queued, leased, running"),
            ("submit x --agent nobody", "claude, command, scripted"),
            ("submit x --label gpu", "KEY=VALUE"),
            ("watch", "<TASK>"),
            ("watch 1 --since x", "cursor"),
        ] {
            let error = parse(line).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(listed), "{line}: {error}");
        }
    }

    #[test]
    fn workers_alone_lists_them() {
        let Ok(Cli { command: Command::Workers(workers), .. }) = parse("workers") else {
            panic!("not workers");
        };
        assert!(workers.command.is_none());
    }
}
