//! What happens to a fleet, and when: decided by the seed alone.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    CoordinatorKilled,
    CoordinatorStopped,
    CoordinatorDiskFull,
    WorkerKilled,
    /// Again while it takes up what the kill before left.
    WorkerKilledTwice,
    /// As an upgrade does it: its agents go on without it.
    WorkerDetached,
    /// By two signals: what runs is handed over.
    WorkerStopped,
    WorkerDrained,
    WorkerFrozen,
    WorkerDiskFull,
    /// The daemon and all that runs there.
    HostKilled,
    ConnectionsCut,
    NetworkStalled,
    /// What the worker says arrives, and it never hears so.
    AnswersLost,
    ShimKilled,
    ShimFrozen,
    AgentKilled,
    AgentFrozen,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CoordinatorKilled => "coordinator killed",
            Self::CoordinatorStopped => "coordinator stopped",
            Self::CoordinatorDiskFull => "coordinator's disk full",
            Self::WorkerDiskFull => "worker's disk full",
            Self::WorkerKilled => "worker killed",
            Self::WorkerKilledTwice => "worker killed, and while it starts",
            Self::WorkerDetached => "worker detached",
            Self::WorkerStopped => "worker stopped, work handed over",
            Self::WorkerDrained => "worker drained and resumed",
            Self::WorkerFrozen => "worker frozen",
            Self::HostKilled => "all of a worker's host killed",
            Self::ConnectionsCut => "connections cut",
            Self::NetworkStalled => "network stalled",
            Self::AnswersLost => "answers lost",
            Self::ShimKilled => "shim killed",
            Self::ShimFrozen => "shim frozen",
            Self::AgentKilled => "agent killed",
            Self::AgentFrozen => "agent frozen",
        })
    }
}

/// One fault: after `pause` it begins, and lasts.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub pause: Duration,
    pub kind: Kind,
    pub lasts: Duration,
}

/// The faults of one target, one after the other.
#[derive(Debug)]
pub struct Schedule {
    rng: Rng,
    kinds: &'static [Kind],
    /// The longest pause before a fault, in milliseconds.
    calm_ms: u64,
}

impl Schedule {
    pub fn of_coordinator(seed: u64) -> Self {
        Self::new(
            seed,
            0,
            &[Kind::CoordinatorKilled, Kind::CoordinatorStopped, Kind::CoordinatorDiskFull],
            7000,
        )
    }

    /// Shims are struck in turn with their daemon: with both gone or frozen at once nobody is left on
    /// the host to end an agent.
    pub fn of_worker(seed: u64, index: u64) -> Self {
        let kinds = &[
            Kind::WorkerKilled,
            Kind::WorkerKilledTwice,
            Kind::WorkerDetached,
            Kind::WorkerStopped,
            Kind::WorkerDrained,
            Kind::WorkerFrozen,
            Kind::WorkerDiskFull,
            Kind::HostKilled,
            Kind::ConnectionsCut,
            Kind::NetworkStalled,
            Kind::AnswersLost,
            Kind::ShimKilled,
            Kind::ShimKilled,
            Kind::ShimFrozen,
        ];
        Self::new(seed, 10 + index, kinds, 2500)
    }

    pub fn of_agents(seed: u64) -> Self {
        Self::new(seed, 1, &[Kind::AgentKilled, Kind::AgentKilled, Kind::AgentFrozen], 1200)
    }

    fn new(seed: u64, target: u64, kinds: &'static [Kind], calm_ms: u64) -> Self {
        Self { rng: Rng::with_seed(seed.wrapping_mul(1000).wrapping_add(target)), kinds, calm_ms }
    }

    /// One of those there are at this moment.
    pub fn choose<T>(&mut self, targets: Vec<T>) -> Option<T> {
        let index = self.rng.usize(..targets.len().max(1));
        targets.into_iter().nth(index)
    }

    pub fn next(&mut self) -> Fault {
        let rng = &mut self.rng;
        let pause = rng.u64(self.calm_ms / 5..self.calm_ms);
        let kind = self.kinds[rng.usize(..self.kinds.len())];
        let lasts = match kind {
            Kind::CoordinatorKilled
            | Kind::CoordinatorStopped
            | Kind::WorkerKilled
            | Kind::WorkerDetached
            | Kind::HostKilled => rng.u64(0..1500),
            // From the start of the new process on.
            Kind::WorkerKilledTwice => rng.u64(10..400),
            Kind::CoordinatorDiskFull | Kind::WorkerDiskFull => rng.u64(200..4000),
            Kind::AnswersLost => rng.u64(50..1000),
            Kind::WorkerDrained => rng.u64(0..2000),
            // Around the lease's end, its loss, and past both.
            Kind::WorkerFrozen | Kind::NetworkStalled => rng.u64(500..7000),
            Kind::ShimFrozen | Kind::AgentFrozen => rng.u64(100..4000),
            Kind::WorkerStopped | Kind::ConnectionsCut | Kind::ShimKilled | Kind::AgentKilled => 0,
        };
        Fault { pause: Duration::from_millis(pause), kind, lasts: Duration::from_millis(lasts) }
    }
}
