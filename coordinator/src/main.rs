//! The coordinator daemon: configuration, start, ready line, first signal, second signal.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use factory_coordinator::config::Options;
use factory_coordinator::{Config, Coordinator, telemetry};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The command line or the configuration cannot be used.
const USAGE: u8 = 2;
/// Ended by a second signal, or because a part of it died.
const FAILURE: u8 = 1;

fn main() -> ExitCode {
    let options = Options::parse();
    let token = std::env::var("FACTORY_AUTH_TOKEN").ok();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let config = match Config::load(options, token, home) {
        Ok(config) => config,
        Err(error) => {
            for problem in &error.problems {
                eprintln!("error: {problem}");
            }
            return ExitCode::from(USAGE);
        }
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let code = runtime.block_on(run(config)).unwrap_or_else(|error| fail(&error));
    // A second signal waits for nothing, not even for a disk that hangs.
    runtime.shutdown_background();
    code
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::from(FAILURE)
}

async fn run(config: Config) -> anyhow::Result<ExitCode> {
    telemetry::init(config.log_format)?;
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let mut coordinator = Coordinator::start(config).await?;
    if let Err(error) = writeln!(io::stdout(), "factory-coordinator listening on {}", coordinator.url()) {
        tracing::debug!(%error, "nobody reads the ready line");
    }

    tokio::select! {
        () = signals.next() => tracing::info!("stopping; a second signal stops at once"),
        error = coordinator.failed() => return Err(error).context("a part of the coordinator died"),
    }
    tokio::select! {
        () = coordinator.shutdown() => Ok(ExitCode::SUCCESS),
        () = signals.next() => Ok(ExitCode::from(FAILURE)),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
