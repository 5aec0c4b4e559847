//! What can be typed: clap types and their help, nothing that acts.

mod batch;
mod board;
mod factory;
mod library;
mod look;
mod memory;
mod question;
mod repos;
mod task;
mod together;
mod top;
mod workers;
mod workflow;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::render::Format;

pub use batch::Batch;
pub use board::{
    CreateHandoff, FollowMessages, HandoffList, HandoffName, Handoffs, HandoffsCommand, MessageList,
    MessageName, Messages, MessagesCommand, PostMessage,
};
pub use factory::{Demo, DemoAgent, Up};
pub use library::{LibraryCommand, LibraryName, Roles, Templates};
pub use look::{Diff, Logs, ResultArgs, Status, Watch};
pub use memory::{
    Memory, MemoryAdd, MemoryCommand, MemoryList, MemoryPage, MemoryScope, MemorySearch, MemoryView,
};
pub use question::{Answer, Questions};
pub use repos::{
    AddRepo, AddWorktree, RemoveWorktree, RepoName, Repos, ReposCommand, SyncRepo, WorktreeList,
    WorktreeName, Worktrees, WorktreesCommand,
};
pub use task::{Deliver, Leftovers, MicroUsd, TaskArgs, duration, micro_usd};
pub use together::{OnConflict, OnFailedDependency, PermissionMode};
pub use top::Top;
pub use workers::{DrainWorker, WorkerName, Workers, WorkersCommand};
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
    Top(Top),
    Status(Status),
    Watch(Watch),
    Logs(Logs),
    Result(ResultArgs),
    Diff(Diff),
    Cancel(Cancel),
    Retry(Retry),
    Release(Release),
    Questions(Questions),
    Answer(Answer),
    Workers(Workers),
    Repos(Repos),
    Worktrees(Worktrees),
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

/// Let tasks go that were submitted with --hold
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  id=$(factoryctl submit 'Tag the release' --hold)
  factoryctl release $id")]
pub struct Release {
    /// Their numbers, their ids or the beginnings of their ids
    #[arg(required = true, value_name = "TASK")]
    pub tasks: Vec<String>,
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
