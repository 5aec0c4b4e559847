//! Coordinator and workers in a simulated world: one seed, one history of faults.
//!
//! The real coordinator (gRPC services, use cases, background loops, SQLite) and the real loops of
//! workers (session, heartbeat, logs, outbox, attempts) run in one process over turmoil's network, in
//! simulated time. Not real are the network, the clocks, the user, and the agents with their shims,
//! which outlive a daemon as real ones do; there is no git. A seed stands for a workload and a schedule of
//! faults: partitions, delays, lost messages, crashes and restarts of either side, hosts that go down with
//! their agents. At every moment no task may have two live attempts or two live agents; at the end
//! every task has ended as it could, with one accepted result where it succeeded, events that lead
//! through the domain's rules to the rows, and logs that have every line once.
//!
//! A few dozen seeds are a test like any other. Many of them, and one again:
//!
//! ```sh
//! SIMULATION_SEEDS=1000..3000 cargo test -p factory-tests --test simulation -- --ignored --nocapture many
//! SIMULATION_SEED=1234 RUST_LOG=info cargo test -p factory-tests --test simulation -- --ignored --nocapture one_seed
//! ```
//!
//! A replay by the same build has the same plan, the same dice and the same clocks, for which each seed
//! has a process of its own (see `sealed`). Most go the same way event for event, as `replays_are_compared`
//! measures. Some part at an instant where file work that a worker leaves to other threads ends in another
//! order than before; then a failure may take a second replay to be seen again.

mod agents;
mod audit;
mod child;
mod network;
mod plan;
mod rows;
mod run;
mod sealed;
mod store;
mod user;
mod world;

use std::ops::Range;

use plan::Plan;

/// Those of the test run.
const FEW: Range<u64> = 0..32;
/// Those of the long run, where nobody says otherwise.
const MANY: Range<u64> = 0..2000;

#[test]
fn a_few_dozen_seeds_break_no_promise() {
    child::run_all(FEW);
}

#[test]
#[ignore = "takes an hour; run by command, see the module's words"]
fn many_seeds_break_no_promise() {
    let seeds = std::env::var("SIMULATION_SEEDS").ok().map(|text| {
        let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
        range.unwrap_or_else(|| panic!("SIMULATION_SEEDS is a range such as 0..1000, not `{text}`"))
    });
    child::run_all(seeds.unwrap_or(MANY));
}

#[test]
#[ignore = "replays the seed that SIMULATION_SEED names"]
fn one_seed() {
    let Ok(seed) = std::env::var("SIMULATION_SEED") else { return };
    let ended = child::start(seed.parse().expect("SIMULATION_SEED is a whole number")).wait();
    assert!(ended.expect("it ends").success(), "seed {seed} broke a promise");
}

#[test]
#[ignore = "measures how exact a replay is; run by command"]
fn replays_are_compared() {
    let seeds = 0..20;
    let same = seeds.clone().filter(|seed| child::output(*seed) == child::output(*seed)).count();
    println!("of the seeds {seeds:?}, {same} went the same way twice, event for event");
    assert!(same * 2 > seeds.count(), "most replays are exact");
}

/// What a process of its own does; see `child`.
#[test]
#[ignore = "started by the others"]
fn simulate() {
    let Some(seed) = child::seed() else { return };
    if std::env::var_os("RUST_LOG").is_some() {
        tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_writer(std::io::stderr)
            .init();
    }
    let plan = Plan::of(seed);
    let run = run::run(&plan);
    println!("{}\n{plan}\nall of it took {:?} of simulated time", run.story, run.took);
    assert!(run.broken.is_empty(), "seed {seed} broke a promise:\n  {}", run.broken.join("\n  "));
}
