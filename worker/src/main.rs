//! `factory-worker`: the worker daemon, and the small programs it starts of itself.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use factory_worker::config::{self, ConfigErrors, Flags, LogFormat, WorkerConfig};
use factory_worker::shim::ShimProgram;
use factory_worker::{StartError, Worker};
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
/// The coordinator does not take this worker: a wrong token, or releases too far apart. Whoever
/// starts it again later finds out whether that has changed.
const REFUSED: u8 = 5;

fn daemon() -> ExitCode {
    match run(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("factory-worker: {error:#}");
            match error.downcast_ref::<StartError>() {
                Some(StartError::Refused { .. }) => ExitCode::from(REFUSED),
                _ if error.is::<ConfigErrors>() => ExitCode::from(USAGE),
                _ => ExitCode::FAILURE,
            }
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
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let drain_timeout = config.drain_timeout;
    let worker = Worker::launch(config).await?;
    let told = tokio::select! {
        ready = tell_when_ready(&worker) => {
            ready?;
            signals.next().await
        }
        told = signals.next() => told,
    };
    let end = match told {
        Told::Detach => End::Detach,
        Told::Stop => drain(&worker, &mut signals, drain_timeout).await?,
    };
    match end {
        End::Drained | End::HandOver => worker.shutdown().await,
        End::Detach => worker.detach().await,
    }
    Ok(())
}

async fn tell_when_ready(worker: &Worker) -> anyhow::Result<()> {
    worker.welcomed().await?;
    let (name, url, slots) = (worker.name(), worker.url(), worker.slots());
    let draining = if worker.is_drained_by_coordinator() { ", draining until it is resumed" } else { "" };
    let mut out = io::stdout();
    writeln!(out, "factory-worker {name} connected to {url} with {slots} slots{draining}")
        .and_then(|()| out.flush())
        .context("cannot say that the worker is ready")
}

/// How the daemon comes to its end.
enum End {
    /// Nothing is left to do.
    Drained,
    /// What still runs goes on elsewhere.
    HandOver,
    /// What still runs goes on here, without the daemon.
    Detach,
}

/// Lets what runs finish, until the time is over or someone is told otherwise.
async fn drain(worker: &Worker, signals: &mut Signals, timeout: Option<Duration>) -> anyhow::Result<End> {
    tracing::info!(?timeout, "draining: running work finishes; a second signal hands it over");
    let over = async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => std::future::pending().await,
        }
    };
    Ok(tokio::select! {
        () = worker.drain() => End::Drained,
        // Signalled before it was welcomed, and never to be.
        Err(error) = worker.welcomed() => return Err(error.into()),
        () = over => {
            tracing::info!("the time to drain is over; what still runs is handed over");
            End::HandOver
        }
        told = signals.next() => match told {
            Told::Stop => End::HandOver,
            Told::Detach => End::Detach,
        },
    })
}

/// What a signal asks for.
enum Told {
    /// SIGTERM or SIGINT: finish; said twice, hand over.
    Stop,
    /// SIGHUP: end, and leave the agents to the next start.
    Detach,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        let (name, told) = tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", Told::Stop),
            _ = self.interrupt.recv() => ("SIGINT", Told::Stop),
            _ = self.hang_up.recv() => ("SIGHUP", Told::Detach),
        };
        tracing::info!(signal = name, "told to end");
        told
    }
}
