//! The workers whose session is open now: what each could take, and how to reach it.
//!
//! Nothing here is durable, and nothing durable hangs on it: a session that
//! closes ends no lease, it only stops offers.

mod keepers;
mod kept;
mod load;
mod reasons;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use factory_domain::{AgentKind, AttemptId, Capacity, SessionId, TaskId, Timestamp, WorkerId};
pub use keepers::Keeper;
use kept::Kept;
pub use load::HostLoad;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Drain, Error, Offered, RepoJob, Welcome};
use crate::store::WorkerEntry;

/// What the coordinator says on a session.
#[derive(Debug)]
pub enum ToWorker {
    Welcome(Welcome),
    Offer(Box<Offered>),
    Confirm(AttemptId),
    Withdraw {
        attempt: AttemptId,
        why: String,
    },
    Stop(AttemptId),
    /// It is offered nothing new from here on; `None`: it is again.
    Drain(Option<Drain>),
    RepoJob(RepoJob),
}

/// Where a session's messages go; an error is its last one.
pub type Outbox = mpsc::Sender<Result<ToWorker, Error>>;

/// No worker is offered more at once, however many it would take.
const MAX_CREDITS: u32 = 512;

/// Names one open stream: a worker that reconnects has a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seat {
    pub worker: WorkerId,
    stream: u64,
}

/// A worker that could take something, and how much of it in this round.
#[derive(Debug)]
pub struct Opening {
    pub seat: Seat,
    pub session: SessionId,
    /// `free_slots` is the share of this round.
    pub capacity: Capacity,
    /// Tasks it declined lately.
    pub except: Vec<TaskId>,
    /// Others that could take something now, and are left the tasks that prefer them.
    pub left_to: Vec<(WorkerId, Capacity)>,
    /// What all who take tasks offer.
    pub connected: Arc<[Capacity]>,
}

impl Opening {
    /// Whether whatever suits `other` would suit this one as well.
    fn covers(&self, worker: WorkerId, other: &Connected) -> bool {
        self.left_to.iter().all(|(left_to, _)| *left_to != worker)
            && other.capacity.agents.is_subset(&self.capacity.agents)
            && other.capacity.labels.missing_from(&self.capacity.labels).next().is_none()
            && self.except.iter().all(|task| other.cool_downs.contains_key(task))
    }
}

#[derive(Debug, Default)]
pub struct Fleet {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    seats: HashMap<WorkerId, Connected>,
    kept: Kept,
    streams: u64,
}

#[derive(Debug)]
struct Connected {
    stream: u64,
    session: SessionId,
    name: String,
    /// The version spoken with it; 0 until its welcome.
    protocol: u32,
    /// As the worker said last.
    capacity: Capacity,
    /// Agents it knows and cannot offer, and why.
    unusable: HashMap<AgentKind, String>,
    /// Offers not answered yet, and when each lapses.
    offered: HashMap<AttemptId, Timestamp>,
    /// Offers accepted on this stream whose start it has not told yet.
    accepted: HashSet<AttemptId>,
    cool_downs: HashMap<TaskId, CoolDown>,
    /// By its newest heartbeat.
    load: Option<HostLoad>,
    /// Someone asked it to take nothing new. Read from the store at the welcome.
    draining: bool,
    /// It says itself that it takes nothing new: it is about to stop.
    stopping: bool,
    /// The welcome is in the outbox, so that other words may follow.
    welcomed: bool,
    outbox: Outbox,
    over: CancellationToken,
}

/// A task that a worker declined, and is not offered again for a while.
#[derive(Debug)]
struct CoolDown {
    until: Timestamp,
    /// For people.
    why: String,
}

impl Inner {
    /// What those offer that take tasks at all, each kind of them once.
    fn kinds(&self) -> Arc<[Capacity]> {
        let mut kinds: Vec<Capacity> = Vec::new();
        for connected in self.seats.values().filter(|connected| !connected.is_draining()) {
            let Capacity { agents, labels, .. } = &connected.capacity;
            if !kinds.iter().any(|kind| kind.agents == *agents && kind.labels == *labels) {
                kinds.push(connected.capacity());
            }
        }
        kinds.into()
    }
}

impl Connected {
    /// The worker counts offers it has not answered as free; the coordinator does not. (A worker
    /// says its fewer credits before it accepts, so that no slot is counted free in between.)
    fn free(&self) -> u32 {
        let offered = u32::try_from(self.offered.len()).unwrap_or(u32::MAX);
        self.capacity.free_slots.saturating_sub(offered)
    }

    fn capacity(&self) -> Capacity {
        Capacity { free_slots: self.free(), draining: self.is_draining(), ..self.capacity.clone() }
    }

    /// Whether it would take something now.
    fn takes(&self) -> bool {
        self.free() > 0 && !self.is_draining()
    }

    fn is_draining(&self) -> bool {
        self.draining || self.stopping
    }

    fn opening(&self, worker: WorkerId, connected: &Arc<[Capacity]>) -> Opening {
        Opening {
            seat: Seat { worker, stream: self.stream },
            session: self.session,
            capacity: self.capacity(),
            except: self.cool_downs.keys().copied().collect(),
            left_to: Vec::new(),
            connected: Arc::clone(connected),
        }
    }

    fn forget_past(&mut self, now: Timestamp) {
        self.offered.retain(|_, lapses| *lapses > now);
        self.cool_downs.retain(|_, cool_down| cool_down.until > now);
    }
}

impl Fleet {
    /// Seats a worker with no free slot yet. A stream it had before is told to end;
    /// a process started before the one that is seated is refused.
    pub fn connect(&self, worker: &WorkerEntry, outbox: Outbox) -> Result<(Seat, CancellationToken), Error> {
        let mut inner = self.lock();
        if inner.seats.get(&worker.id).is_some_and(|seated| seated.session > worker.session) {
            return Err(Error::SessionOver);
        }
        inner.streams += 1;
        let stream = inner.streams;
        let over = CancellationToken::new();
        let connected = Connected {
            stream,
            session: worker.session,
            name: worker.name.clone(),
            protocol: 0,
            unusable: worker
                .agents
                .iter()
                .filter_map(|agent| Some((agent.kind, agent.unusable.clone()?)))
                .collect(),
            capacity: Capacity {
                agents: worker
                    .agents
                    .iter()
                    .filter(|agent| agent.unusable.is_none())
                    .map(|agent| agent.kind)
                    .collect(),
                labels: worker.labels.clone(),
                free_slots: 0,
                draining: false,
            },
            draining: false,
            stopping: false,
            welcomed: false,
            offered: HashMap::new(),
            accepted: HashSet::new(),
            cool_downs: HashMap::new(),
            load: None,
            outbox,
            over: over.clone(),
        };
        if let Some(before) = inner.seats.insert(worker.id, connected) {
            before.over.cancel();
        }
        Ok((Seat { worker: worker.id, stream }, over))
    }

    /// Empties the seat, unless a newer stream has taken it.
    pub fn disconnect(&self, seat: Seat) {
        let mut inner = self.lock();
        if inner.seats.get(&seat.worker).is_some_and(|seated| seated.stream == seat.stream)
            && let Some(gone) = inner.seats.remove(&seat.worker)
        {
            // Whoever waits for a word of that session hears none.
            gone.over.cancel();
        }
    }

    /// The first word on a stream. `false`: the seat was taken by another, or nobody reads this one.
    pub fn welcome(&self, seat: Seat, welcome: Welcome) -> bool {
        let sent = self.with(seat, |connected| {
            connected.draining = welcome.drain.is_some();
            connected.protocol = welcome.protocol;
            connected.welcomed = true;
            connected.outbox.try_send(Ok(ToWorker::Welcome(welcome))).is_ok()
        });
        sent.unwrap_or(false)
    }

    /// The worker drains from here on, or no longer, and is told. One that is not welcomed
    /// yet hears it with its welcome.
    pub fn set_drain(&self, worker: WorkerId, drain: Option<Drain>) {
        let mut inner = self.lock();
        let Some(connected) = inner.seats.get_mut(&worker).filter(|connected| connected.welcomed) else {
            return;
        };
        connected.draining = drain.is_some();
        if connected.outbox.try_send(Ok(ToWorker::Drain(drain))).is_err() {
            // Nobody reads it; the next welcome says the same.
            connected.over.cancel();
        }
    }

    pub fn set_credits(&self, seat: Seat, free_slots: u32, stopping: bool) {
        let free_slots = free_slots.min(MAX_CREDITS);
        self.with(seat, |connected| {
            connected.capacity.free_slots = free_slots;
            connected.stopping = stopping;
        });
    }

    /// Sends an offer that stands until `lapses`. `false`: the session is gone, or nobody
    /// reads it; it is over then, or the same offer would go round and round.
    pub fn offer(&self, seat: Seat, offered: Offered, lapses: Timestamp) -> bool {
        let sent = self.with(seat, |connected| {
            let attempt = offered.claimed.attempt;
            let sent = connected.outbox.try_send(Ok(ToWorker::Offer(Box::new(offered)))).is_ok();
            if sent {
                connected.offered.insert(attempt, lapses);
            } else {
                connected.over.cancel();
            }
            sent
        });
        if sent == Some(false) {
            self.disconnect(seat);
        }
        sent.unwrap_or(false)
    }

    /// The offer was accepted. `false`: no such offer was made on this stream.
    pub fn accepted(&self, seat: Seat, attempt: AttemptId) -> bool {
        let accepted = self.with(seat, |connected| {
            connected.offered.remove(&attempt).is_some() && connected.accepted.insert(attempt)
        });
        accepted.unwrap_or(false)
    }

    /// The attempt was started. `false`: it was not accepted on this stream, or told before.
    pub fn started(&self, seat: Seat, attempt: AttemptId) -> bool {
        self.with(seat, |connected| connected.accepted.remove(&attempt)).unwrap_or(false)
    }

    /// The offer was declined: not this task for this worker before `until`.
    pub fn declined(&self, seat: Seat, task: TaskId, attempt: AttemptId, until: Timestamp, why: String) {
        self.with(seat, |connected| {
            connected.offered.remove(&attempt);
            connected.cool_downs.insert(task, CoolDown { until, why });
        });
    }

    /// Tells a worker to end an attempt; `false`: it is not connected, or does not read.
    pub fn stop(&self, worker: WorkerId, attempt: AttemptId) -> bool {
        let inner = self.lock();
        let seated = inner.seats.get(&worker);
        seated.is_some_and(|connected| connected.outbox.try_send(Ok(ToWorker::Stop(attempt))).is_ok())
    }

    /// Who is asked next, and for how much: those with the most free slots, so that a
    /// burst spreads over the fleet instead of filling one worker after the other.
    /// Each round lowers the highest counts to one level.
    /// Passed over is who could only find what one of `found_nothing` would have found.
    pub fn round(&self, found_nothing: &[Opening], now: Timestamp) -> Vec<Opening> {
        let mut inner = self.lock();
        inner.kept.forget_past(now);
        let able = inner.kept.able(&inner.seats);
        let found_nothing: Vec<_> =
            found_nothing.iter().filter(|opening| opening.leaves_it_to(&able)).collect();
        let (kinds, mut openings) = (inner.kinds(), Vec::new());
        for (worker, connected) in &mut inner.seats {
            connected.forget_past(now);
            let covered = || found_nothing.iter().any(|other| other.covers(*worker, connected));
            let open = connected.takes() && !covered();
            if open {
                openings.push(connected.opening(*worker, &kinds));
            }
        }
        let Some(highest) = openings.iter().map(|opening| opening.capacity.free_slots).max() else {
            return Vec::new();
        };
        // An eighth at a time: even to the slot where slots are few, and not a round for each where they are many.
        let level = highest - (highest / 8).max(1);
        openings.retain(|opening| opening.capacity.free_slots > level);
        for opening in &mut openings {
            opening.capacity.free_slots -= level;
            let others = able.iter().filter(|(worker, _)| *worker != opening.seat.worker);
            opening.left_to = others.cloned().collect();
        }
        openings
    }

    /// When someone may next take what it may not now: a cool-down ends, or a task is kept no longer.
    pub fn next_change(&self) -> Option<Timestamp> {
        let inner = self.lock();
        let cool_downs = inner.seats.values().flat_map(|connected| connected.cool_downs.values());
        cool_downs.map(|cool_down| cool_down.until).chain(inner.kept.next_end()).min()
    }

    /// What each connected worker offers, with the slots it has free.
    pub fn capacities(&self) -> Vec<Capacity> {
        self.lock().seats.values().map(Connected::capacity).collect()
    }

    /// What those offer that take tasks at all, each kind of them once.
    pub fn kinds(&self) -> Arc<[Capacity]> {
        self.lock().kinds()
    }

    /// Whether the worker is connected and says that it is about to stop.
    pub fn is_stopping(&self, worker: WorkerId) -> bool {
        self.lock().seats.get(&worker).is_some_and(|connected| connected.stopping)
    }

    pub fn is_connected(&self, worker: WorkerId) -> bool {
        self.lock().seats.contains_key(&worker)
    }

    fn with<T>(&self, seat: Seat, act: impl FnOnce(&mut Connected) -> T) -> Option<T> {
        let mut inner = self.lock();
        let connected = inner.seats.get_mut(&seat.worker)?;
        (connected.stream == seat.stream).then(|| act(connected))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
