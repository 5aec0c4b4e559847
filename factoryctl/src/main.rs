//! The factory's command line.
//!
//! Parse, run, exit with the documented code. Data goes to stdout, everything
//! else to stderr.

mod artifact;
mod batch;
mod cli;
mod command;
mod connect;
mod demo;
mod embedded;
mod exit;
mod family;
mod interrupt;
mod render;
mod repository;
mod top;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::exit::{CommandError, Exit};
use crate::render::Console;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    // Before anything starts a thread: what this program starts of itself stays small.
    match args.next().as_deref().and_then(|name| name.to_str()) {
        Some(embedded::SHIM) => return factory_worker::shim::main(args),
        Some(embedded::SCRIPTED_AGENT) => return factory_worker::agents::scripted::main(args),
        _ => {}
    }
    let cli = Cli::parse();
    let console = Console::new(cli.global.format, cli.global.color);
    let ended = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(command::dispatch(cli, console)),
        Err(error) => Err(CommandError::Local { what: "cannot start".to_owned(), source: error }),
    };
    ended.unwrap_or_else(|error| complain(console, &error)).into()
}

/// Says what went wrong, why, and what to do.
fn complain(console: Console, error: &CommandError) -> Exit {
    let red = render::console::style(anstyle::AnsiColor::Red);
    if !matches!(error, CommandError::OutputClosed | CommandError::Interrupted) {
        console.note(format_args!("{red}error:{red:#} {error}"));
        if let Some(hint) = error.hint() {
            console.note(format_args!("  {hint}"));
        }
    }
    error.exit()
}
