//! A seeded storm: many tasks on one coordinator and several workers, while everything that can
//! die dies, freezes or is cut off. Then all is let run out, and looked at.
//!
//! The seed decides the tasks and the faults; the machine decides what each fault hits. A
//! short storm is a test like any other. A long one:
//!
//! ```sh
//! CHAOS_SECONDS=300 CHAOS_TASKS=400 CHAOS_SEED=7 \
//!   cargo test -p factory-tests --test chaos -- --ignored --nocapture long
//! ```
//!
//! Each variable may be left out: a storm of two minutes, 200 tasks, and a seed of the moment's. It
//! prints a table of what was done and what was found; all of the latter must be 0. A storm that fails
//! prints the command that repeats it and keeps its folder.

mod audit;
mod faults;
mod fleet;
mod notes;
mod observer;
pub mod proxy;
mod replay;
mod strikes;
mod table;
mod workload;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use factory_tests::harness::host::Host;
use fleet::Fleet;
use observer::Observer;
use workload::Workload;

/// What a storm is made of.
#[derive(Debug, Clone, Copy)]
struct Storm {
    seed: u64,
    tasks: usize,
    /// For how long faults happen; what they left is then let run out.
    faults_for: Duration,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_storm_loses_nothing_and_runs_nothing_twice() {
    blow(Storm { seed: 3, tasks: 40, faults_for: Duration::from_secs(10) }).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; run by command, see the module's words"]
async fn a_long_storm_loses_nothing_and_runs_nothing_twice() {
    let moment = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    blow(Storm {
        seed: setting("CHAOS_SEED").unwrap_or_else(moment),
        tasks: usize::try_from(setting("CHAOS_TASKS").unwrap_or(200)).expect("a number of tasks"),
        faults_for: Duration::from_secs(setting("CHAOS_SECONDS").unwrap_or(120)),
    })
    .await;
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a whole number, not `{text}`")))
}

async fn blow(storm: Storm) {
    let Storm { seed, tasks, faults_for } = storm;
    let repeat = format!(
        "CHAOS_SEED={seed} CHAOS_TASKS={tasks} CHAOS_SECONDS={} \
         cargo test -p factory-tests --test chaos -- --ignored --nocapture long",
        faults_for.as_secs()
    );
    println!("a storm of seed {seed}; again: {repeat}");
    let host = Host::new();
    let workload = Workload::new(&host, storm);
    let mut fleet = Fleet::start(&host, seed).await;
    let observer = Observer::of(host.path());
    let endured = fleet.endure(&host, &workload, faults_for).await;
    let found = audit::look(&host, &mut fleet, observer, &workload, &endured).await;
    println!("{}", table::of(&endured, &found));
    if !found.is_clean() {
        println!("{}", found.details());
        fleet.keep_disks(&host);
        println!("what is left of it: {}", host.keep().display());
        panic!("the storm of seed {seed} did harm; again: {repeat}");
    }
}
