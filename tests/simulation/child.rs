//! A process for each seed: what a process counts, and what it once drew at random, is part of a run.

use std::collections::VecDeque;
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;

const WHOLE: &str = "no thread panics with the lock";
const SEED: &str = "SIMULATION_OF_SEED";

/// In a process that [`start`] started.
pub fn seed() -> Option<u64> {
    std::env::var(SEED).ok()?.parse().ok()
}

pub fn start(seed: u64) -> Child {
    command(seed).spawn().expect("this program starts")
}

fn command(seed: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--exact", "simulate", "--ignored", "--nocapture", "--test-threads=1"]);
    // Simulated hosts have no programs.
    command.env("PATH", "/nonexistent").env(SEED, seed.to_string());
    command
}

/// What the process of a seed says of its run, without what the harness says of the process.
pub fn output(seed: u64) -> String {
    let output = command(seed).stderr(Stdio::null()).output().expect("this program starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| !line.starts_with("test ")).collect::<Vec<_>>().join("\n")
}

/// Runs every seed, as many at once as there are processors; fails once all have run.
pub fn run_all(seeds: Range<u64>) {
    let waiting: Mutex<VecDeque<u64>> = Mutex::new(seeds.clone().collect());
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(seed) = waiting.lock().expect(WHOLE).pop_front() else { return };
                    let output = command(seed).output().expect("this program starts");
                    if !output.status.success() {
                        println!("{}", String::from_utf8_lossy(&output.stdout));
                        println!("{}", String::from_utf8_lossy(&output.stderr));
                        println!(
                            "seed {seed} again: SIMULATION_SEED={seed} RUST_LOG=info cargo test -p factory-tests \
                             --test simulation -- --ignored --nocapture one_seed"
                        );
                        failed.lock().expect(WHOLE).push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect(WHOLE);
    assert!(failed.is_empty(), "of the seeds {seeds:?} these broke a promise: {failed:?}");
}
