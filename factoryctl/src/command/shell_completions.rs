//! `completions`: a script for the shell to load.

use clap::CommandFactory;

use crate::cli::{Cli, Completions};
use crate::exit::{CommandError, Exit};
use crate::render::Console;

pub fn run(console: Console, args: &Completions) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "factoryctl", &mut script);
    console.bytes(&script)?;
    Ok(Exit::Done)
}
