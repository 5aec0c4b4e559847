//! The worker's loops, against a coordinator of the tests' own over a real socket, with real shims and processes.

mod agents;
mod checkpoint;
mod coordinator;
mod daemon;
mod lease;
mod limit;
mod mcp;
mod repos;
mod resume;
mod skew;
mod takeover;
mod telling;
mod work;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use factory_proto::v1;
use factory_worker::process::Belonging;
use factory_worker::shim::ShimProgram;
use factory_worker::{Worker, WorkerConfig};

use coordinator::Coordinator;

const PROGRAM: &str = env!("CARGO_BIN_EXE_factory-worker");

fn config(coordinator: &Coordinator, root: &Path) -> WorkerConfig {
    let shim = ShimProgram { program: PROGRAM.into(), args: vec!["shim".into()] };
    let scripted = vec![OsString::from(PROGRAM), "scripted-agent".into()];
    let mut config = WorkerConfig::new(coordinator.url.as_str(), root, shim, scripted);
    config.name = "tester".into();
    config.slots = 2;
    config.min_free_disk = 0;
    config.kill_grace = Duration::from_millis(500);
    config.agents.claude = Some("/nowhere/claude".into());
    config
}

async fn start(coordinator: &Coordinator, root: &Path) -> Worker {
    Worker::start(config(coordinator, root)).await.expect("a worker")
}

/// A task for the agent `command`: a few lines of shell, in an empty workspace.
fn shell(script: &str) -> v1::TaskSpec {
    v1::TaskSpec {
        title: "A test".into(),
        agent: "command".into(),
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        ..v1::TaskSpec::default()
    }
}

/// A task for the scripted agent.
fn scripted(steps: &str) -> v1::TaskSpec {
    v1::TaskSpec {
        title: "A test".into(),
        agent: "scripted".into(),
        prompt: steps.into(),
        ..v1::TaskSpec::default()
    }
}

/// A program that waits until the file `go` is there, beside it.
fn waiter(directory: &Path) -> std::path::PathBuf {
    let program = directory.join("wait");
    std::fs::write(&program, format!("#!/bin/sh\n{}\n", wait_for(&directory.join("go")))).expect("written");
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");
    program
}

/// Shell that waits until the file is there, without spinning.
fn wait_for(file: &Path) -> String {
    format!("while [ ! -e '{}' ]; do sleep 0.02; done", file.display())
}

/// Processes of an attempt that are alive now.
fn processes(attempt: &str) -> usize {
    let belonging = Belonging { attempt: attempt.parse().expect("an id"), shim: None };
    belonging.find().expect("a process table").len()
}

fn entries(directory: &Path) -> usize {
    std::fs::read_dir(directory).map_or(0, Iterator::count)
}
