//! What is asked of the fleet, as typed.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::task::duration;

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
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub hand_over_after: Option<Duration>,
}
