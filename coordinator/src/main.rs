//! The coordinator daemon: configuration, start, ready line, first signal, second signal.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use factory_coordinator::config::Options;
use factory_coordinator::{Config, Coordinator, telemetry};
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
    match run(config) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(FAILURE)
        }
    }
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<ExitCode> {
    telemetry::init(config.log_format)?;
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let mut coordinator = Coordinator::start(config).await?;
    println!("factory-coordinator listening on {}", coordinator.url());

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
