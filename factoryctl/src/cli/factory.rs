//! A factory of one's own, as typed: `demo` and `up`.

use clap::{Args, ValueEnum};
use factory_coordinator::config::LimitsOptions;
use factory_domain::Labels;

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
