//! Workflows, as typed.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use factory_domain::Labels;
use factory_domain::workflow::WorkflowState;

/// Steps by several agents, one after the other, with conditions and loops
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl workflow definitions
  factoryctl workflow start code_review \"Add Redis caching for API responses\" --title \"Implement caching layer\"
  factoryctl workflow show 3 --watch
  factoryctl workflow cancel 3

Definitions of your own lie beside the coordinator's state, in ROOT/workflows: NAME.toml or NAME.yaml.")]
pub struct Workflow {
    #[command(subcommand)]
    pub command: Option<WorkflowCommand>,
}

#[derive(Debug, Subcommand)]
pub enum WorkflowCommand {
    /// List the workflows, newest first
    List(ListWorkflows),
    /// Start a workflow; prints its id
    Start(Box<StartWorkflow>),
    /// Show a workflow: its steps, what each handed to the next, how it stands
    Show(ShowWorkflow),
    /// Begin no further step, and cancel the task of the present one
    Cancel(WorkflowName),
    /// List what can be started
    Definitions,
}

impl Default for WorkflowCommand {
    fn default() -> Self {
        Self::List(ListWorkflows::default())
    }
}

#[derive(Debug, Default, Args)]
pub struct ListWorkflows {
    /// Only those in this state; repeatable
    #[arg(long = "state", value_name = "STATE", value_parser = PossibleValuesParser::new(WorkflowState::NAMES))]
    pub states: Vec<String>,
    /// How many at most, up to 1000 [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: Option<u32>,
    /// Go on where an earlier list ended
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  factoryctl workflow start code_review \"Add Redis caching for API responses\"
  factoryctl workflow start mine --definition workflows.yaml \"Port the parser\" --watch")]
pub struct StartWorkflow {
    /// Of a built-in definition, of one of yours, or of one in the file of --definition
    pub name: String,
    /// What is to be done
    #[arg(required = true, value_name = "DESCRIPTION")]
    pub description: Vec<String>,
    /// A file with the definition, in TOML or YAML
    #[arg(long, value_name = "FILE")]
    pub definition: Option<PathBuf>,
    /// One line for people [default: the beginning of the description]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// A path, a URL, owner/name or a name that `repos list` shows [default: the repository of the current directory]
    #[arg(long, value_name = "REPO", allow_hyphen_values = true)]
    pub repo: Option<String>,
    /// Without a repository
    #[arg(long, conflicts_with_all = ["repo", "base"])]
    pub no_repo: bool,
    /// Branch, tag or commit to start from [default: the remote's default branch]
    #[arg(long, value_name = "REV", allow_hyphen_values = true)]
    pub base: Option<String>,
    /// Who does the work: claude, command, scripted [default: claude]
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<String>,
    /// The model [default: the role's, or the agent's own]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// How often its loop is gone through again at most [default: as the definition says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub max_iterations: Option<u32>,
    /// A label that each step's worker must have; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = Labels::parse_pair)]
    pub labels: Vec<(String, String)>,
    /// Groups memories beside the repository
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Whose it is [default: the user's name]
    #[arg(long, value_name = "NAME", env = "USER", hide_env = true)]
    pub submitter: Option<String>,
    /// Higher goes first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub priority: Option<i32>,
    /// Let the repository's own agent settings take effect
    #[arg(long)]
    pub trust_repo: bool,
    /// Start it at most once under this key
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// Follow it to its end
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub struct ShowWorkflow {
    #[command(flatten)]
    pub name: WorkflowName,
    /// Follow it to its end; the exit code says how it ended
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub struct WorkflowName {
    /// A workflow's number, its id or the beginning of its id
    pub workflow: String,
}
