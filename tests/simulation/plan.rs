//! What a seed stands for: a workload and a schedule of faults. Pure, and printed when a seed fails.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// For how long faults happen. What they left is then repaired, and let run out.
pub const FAULTS_UNTIL: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub seed: u64,
    /// Slots of each worker.
    pub workers: Vec<u32>,
    /// The longest a message travels while nothing is wrong.
    pub latency: Duration,
    pub tasks: Vec<PlannedTask>,
    pub faults: Vec<Fault>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct PlannedTask {
    pub at: Duration,
    pub script: Script,
    /// Its agent has conversations, so that another attempt can go on with it.
    pub converses: bool,
    pub max_attempts: u32,
    pub timeout: Option<Duration>,
    /// Another copy of the submit is sent, under the same key.
    pub twice: bool,
    pub cancelled_at: Option<Duration>,
}

/// What the simulated agent does: the task's prompt, as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Script {
    pub lines: u32,
    /// Between two lines, and between the last one and the end.
    pub pause: Duration,
    pub ending: Ending,
    /// How long it goes on after it was told to end. Beyond the grace it is killed.
    pub stubborn: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    Succeeds,
    Fails,
    /// On the task's first attempt; then it succeeds.
    FailsOnce,
    /// On the first attempt it meets a usage limit that is reset after a few seconds.
    LimitedOnce,
    /// On the first attempt its shim is killed with it.
    VanishesOnce,
    /// Goes on until it is told to end.
    Hangs,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub at: Duration,
    pub lasts: Duration,
    pub what: Wrong,
}

/// Workers are named by their place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wrong {
    /// Messages between coordinator and worker are dropped.
    Partition { worker: usize },
    /// Only those to the worker, or only those from it.
    OneWay { worker: usize, deaf: bool },
    /// They wait, and all arrive at the end.
    Hold { worker: usize },
    /// They take so much longer, and overtake those of other connections.
    Slow { worker: usize, latency: Duration },
    /// The coordinator reaches nobody.
    Isolation,
    /// One message in a hundred breaks its link for a while.
    Lossy { worker: usize },
    /// As by `kill -9`, and started again.
    CoordinatorDies,
    /// As by SIGTERM.
    CoordinatorStops,
    /// The daemon alone; its agents go on.
    DaemonDies { worker: usize },
    /// The daemon lets its agents be, for an upgrade.
    DaemonDetaches { worker: usize },
    /// The daemon ends its agents, reports, and is started again.
    DaemonStops { worker: usize },
    /// With its agents; the disk survives.
    HostDies { worker: usize },
    /// Someone drains the worker, and resumes it.
    Drained { worker: usize },
}

impl Plan {
    pub fn of(seed: u64) -> Self {
        let mut dice = Rng::with_seed(seed);
        let workers: Vec<u32> = (0..dice.usize(1..=3)).map(|_| dice.u32(1..=3)).collect();
        let latency = Duration::from_millis(dice.choice([5, 20, 80, 200]).unwrap_or(20));
        let tasks = (0..dice.usize(4..=14)).map(|_| task(&mut dice)).collect();
        let mut faults: Vec<_> = (0..dice.usize(1..=9)).map(|_| fault(&mut dice, workers.len())).collect();
        faults.sort_by_key(|fault| fault.at);
        Self { seed, workers, latency, tasks, faults }
    }
}

fn millis(dice: &mut Rng, range: Range<u64>) -> Duration {
    Duration::from_millis(dice.u64(range))
}

fn task(dice: &mut Rng) -> PlannedTask {
    let at = millis(dice, 500..45_000);
    let ending = match dice.u32(0..20) {
        0..10 => Ending::Succeeds,
        10..12 => Ending::Fails,
        12..15 => Ending::FailsOnce,
        15..17 => Ending::LimitedOnce,
        17..19 => Ending::VanishesOnce,
        _ => Ending::Hangs,
    };
    let script = Script {
        lines: dice.u32(0..40),
        pause: millis(dice, 10..700),
        ending,
        stubborn: millis(dice, 0..1500),
    };
    // Only such an agent speaks of limits.
    let converses = ending == Ending::LimitedOnce || dice.u32(0..4) == 0;
    // What hangs must be ended by something.
    let hangs = ending == Ending::Hangs;
    let timeout = (hangs || dice.u32(0..8) == 0).then(|| millis(dice, 3_000..15_000));
    let cancelled_at = (dice.u32(0..5) == 0).then(|| at + millis(dice, 0..20_000));
    let (max_attempts, twice) = (dice.u32(1..=3), dice.u32(0..4) == 0);
    PlannedTask { at, script, converses, max_attempts, timeout, twice, cancelled_at }
}

fn fault(dice: &mut Rng, workers: usize) -> Fault {
    let worker = dice.usize(0..workers);
    let what = match dice.u32(0..15) {
        0 => Wrong::Partition { worker },
        1 => Wrong::OneWay { worker, deaf: dice.bool() },
        2 | 3 => Wrong::Hold { worker },
        4 => Wrong::Slow { worker, latency: millis(dice, 300..3_000) },
        5 => Wrong::Isolation,
        6 => Wrong::Lossy { worker },
        7 | 8 => Wrong::CoordinatorDies,
        9 => Wrong::CoordinatorStops,
        10 | 11 => Wrong::DaemonDies { worker },
        12 => Wrong::DaemonDetaches { worker },
        13 => dice.choice([Wrong::DaemonStops { worker }, Wrong::Drained { worker }]).expect("two"),
        _ => Wrong::HostDies { worker },
    };
    // Mostly short of a lease, often beyond it, at times beyond all patience.
    let lasts = match dice.u32(0..10) {
        0..5 => millis(dice, 50..2_500),
        5..8 => millis(dice, 2_500..9_000),
        _ => millis(dice, 9_000..30_000),
    };
    let at = millis(dice, 1_000..50_000);
    Fault { at, lasts: lasts.min(FAULTS_UNTIL - at), what }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, workers, latency, tasks, faults } = self;
        writeln!(f, "seed {seed}: workers with {workers:?} slots, messages take up to {latency:?}")?;
        for (number, task) in tasks.iter().enumerate() {
            let PlannedTask { at, script, converses, max_attempts, timeout, twice, cancelled_at } = task;
            let Script { lines, pause, ending, stubborn } = script;
            write!(f, "  {at:?} task {number}: {lines} lines every {pause:?}, {ending:?}, ")?;
            write!(f, "stubborn for {stubborn:?}, {max_attempts} tries")?;
            if *converses {
                write!(f, ", converses")?;
            }
            if let Some(timeout) = timeout {
                write!(f, ", {timeout:?} at most")?;
            }
            if *twice {
                write!(f, ", submitted twice")?;
            }
            if let Some(at) = cancelled_at {
                write!(f, ", cancelled at {at:?}")?;
            }
            writeln!(f)?;
        }
        for Fault { at, lasts, what } in faults {
            writeln!(f, "  {at:?} for {lasts:?}: {what:?}")?;
        }
        Ok(())
    }
}

#[test]
fn a_seed_is_one_plan_and_its_faults_end_in_time() {
    for seed in 0..500 {
        let plan = Plan::of(seed);
        assert_eq!(plan, Plan::of(seed));
        assert!(plan.faults.iter().all(|fault| fault.at + fault.lasts <= FAULTS_UNTIL), "{plan}");
    }
}
