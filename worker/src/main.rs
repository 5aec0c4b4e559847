//! `factory-worker`: the worker daemon, and the small programs it starts of itself.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use factory_worker::Worker;
use factory_worker::config::{self, ConfigErrors, Flags, LogFormat, WorkerConfig};
use factory_worker::shim::ShimProgram;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|name| name.to_str()) {
        // Before anything that starts a thread: a shim stays small.
        Some("shim") => factory_worker::shim::main(args),
        Some("scripted-agent") => factory_worker::agents::scripted::main(args),
        _ => daemon(),
    }
}

/// The settings cannot be used; the same code as for flags that cannot be read.
const USAGE: u8 = 2;

fn daemon() -> ExitCode {
    match run(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("factory-worker: {error:#}");
            if error.is::<ConfigErrors>() { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(flags: Flags) -> anyhow::Result<()> {
    let shim = ShimProgram::current_exe().context("this program cannot find itself")?;
    let scripted = vec![shim.program.clone().into_os_string(), OsString::from("scripted-agent")];
    let (config, format) = config::load(flags, &|name| std::env::var_os(name), shim, scripted)?;
    init_log(format);
    serve(config)
}

fn init_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

#[tokio::main]
async fn serve(config: WorkerConfig) -> anyhow::Result<()> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let url = config.url.clone();
    let worker = Worker::launch(config).await?;
    tokio::select! {
        welcomed = worker.welcomed() => welcomed?,
        name = signals.next() => {
            tracing::info!(signal = name, "stopping before the coordinator was reached");
            worker.shutdown().await;
            return Ok(());
        }
    }
    let mut out = io::stdout();
    let draining = if worker.is_drained_by_coordinator() { ", draining until it is resumed" } else { "" };
    writeln!(
        out,
        "factory-worker {} connected to {url} with {} slots{draining}",
        worker.name(),
        worker.slots()
    )
    .and_then(|()| out.flush())
    .context("cannot say that the worker is ready")?;

    let name = signals.next().await;
    tracing::info!(signal = name, "draining: running work finishes; a second signal stops it");
    tokio::select! {
        () = worker.drain() => {}
        name = signals.next() => tracing::info!(signal = name, "stopping now"),
    }
    worker.shutdown().await;
    Ok(())
}

/// SIGTERM and SIGINT, which mean the same here.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
