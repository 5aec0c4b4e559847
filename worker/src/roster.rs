//! The attempts this worker holds, and what it may still take on. Shared by all loops.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use factory_domain::{AttemptId, TaskId};
use factory_proto::v1;
use tokio::sync::{mpsc, watch};

use crate::attempt::{Cause, Order, Phase};

/// Why an offer cannot be taken on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    NoSlot,
    Draining,
    /// The attempt is here already: its offer came twice.
    Held,
}

/// One attempt, as the other loops see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldAttempt {
    pub task: TaskId,
    pub attempt: AttemptId,
    pub phase: Phase,
    /// Its agent's process has run.
    pub started: bool,
}

struct Entry {
    task: TaskId,
    phase: Phase,
    started: bool,
    /// Whatever keeps the host's lease keeps this attempt's, too; see [`Roster::covered`].
    covered: bool,
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Default)]
struct Held {
    draining: bool,
    attempts: BTreeMap<AttemptId, Entry>,
}

impl Held {
    fn enter(&mut self, task: TaskId, attempt: AttemptId, phase: Phase) -> mpsc::UnboundedReceiver<Order> {
        let (orders, receiver) = mpsc::unbounded_channel();
        let (started, covered) = (phase == Phase::Running, phase != Phase::Accepted);
        self.attempts.insert(attempt, Entry { task, phase, started, covered, orders });
        receiver
    }
}

pub struct Roster {
    slots: u32,
    held: Mutex<Held>,
    changes: watch::Sender<u64>,
}

impl Roster {
    pub fn new(slots: u32) -> Self {
        Self { slots, held: Mutex::default(), changes: watch::Sender::new(0) }
    }

    /// Changes with every attempt that comes, goes or moves on, and when draining begins.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while it holds the lock, and the map would be whole if it did.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }

    /// Offers the worker would take now.
    pub fn free_slots(&self) -> u32 {
        let held = self.lock();
        if held.draining { 0 } else { self.slots.saturating_sub(busy(&held)) }
    }

    /// Takes a slot for an attempt that was offered; its orders come out at the returned end.
    pub fn reserve(&self, task: TaskId, attempt: AttemptId) -> Result<mpsc::UnboundedReceiver<Order>, Full> {
        let mut held = self.lock();
        if held.attempts.contains_key(&attempt) {
            return Err(Full::Held);
        }
        if held.draining {
            return Err(Full::Draining);
        }
        if busy(&held) >= self.slots {
            return Err(Full::NoSlot);
        }
        let orders = held.enter(task, attempt, Phase::Accepted);
        if let Some(entry) = held.attempts.get_mut(&attempt) {
            // Its own lease begins after this, and so after every heartbeat so far.
            entry.covered = true;
        }
        drop(held);
        self.changed();
        Ok(orders)
    }

    /// Enters an attempt found on disk, whether or not there is a slot for it.
    pub fn enter(&self, task: TaskId, attempt: AttemptId, phase: Phase) -> mpsc::UnboundedReceiver<Order> {
        let orders = self.lock().enter(task, attempt, phase);
        self.changed();
        orders
    }

    pub fn moved(&self, attempt: AttemptId, phase: Phase) {
        if let Some(entry) = self.lock().attempts.get_mut(&attempt) {
            entry.phase = phase;
            entry.started |= phase == Phase::Running;
        }
        self.changed();
    }

    pub fn remove(&self, attempt: AttemptId) {
        self.lock().attempts.remove(&attempt);
        self.changed();
    }

    /// Gives an attempt an order; one that is not held needs none.
    pub fn order(&self, attempt: AttemptId, order: Order) {
        if let Some(entry) = self.lock().attempts.get(&attempt) {
            // A closed end is an attempt that has just ended.
            let _ = entry.orders.send(order);
        }
    }

    pub fn end_all(&self, cause: &Cause) {
        for entry in self.lock().attempts.values() {
            // As above.
            let _ = entry.orders.send(Order::End(cause.clone()));
        }
    }

    /// No more offers are taken from here on.
    pub fn drain(&self) {
        self.lock().draining = true;
        self.changed();
    }

    pub fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// Whether anything of the attempt is still under way here, its removal included.
    pub fn holds(&self, attempt: AttemptId) -> bool {
        self.lock().attempts.contains_key(&attempt)
    }

    /// Whether another attempt of the same task is here.
    pub fn holds_another_of(&self, task: TaskId, attempt: AttemptId) -> bool {
        self.lock().attempts.iter().any(|(id, entry)| *id != attempt && entry.task == task)
    }

    /// Every attempt the coordinator is still to hear of. One that is done only waits for its logs.
    pub fn held(&self) -> Vec<HeldAttempt> {
        let held = self.lock();
        let live = held.attempts.iter().filter(|(_, entry)| entry.phase != Phase::Done);
        live.map(|(attempt, entry)| {
            let Entry { task, phase, started, .. } = *entry;
            HeldAttempt { task, attempt: *attempt, phase, started }
        })
        .collect()
    }

    /// What a heartbeat that begins now has to name. It passes over what is not confirmed yet, which is
    /// the session's to settle: the call could overtake its Accept.
    pub fn for_heartbeat(&self) -> Vec<HeldAttempt> {
        for entry in self.lock().attempts.values_mut().filter(|entry| entry.phase == Phase::Accepted) {
            entry.covered = false;
        }
        self.held().into_iter().filter(|held| held.phase != Phase::Accepted).collect()
    }

    /// A heartbeat that named the attempt kept its lease.
    pub fn kept(&self, attempt: AttemptId) {
        let kept = self
            .lock()
            .attempts
            .get_mut(&attempt)
            .is_some_and(|entry| !std::mem::replace(&mut entry.covered, true));
        if kept {
            self.changed();
        }
    }

    /// Waits until the host's lease is no longer than this attempt's own. It is, where a heartbeat
    /// passed the attempt over while its confirmation was under way: that one moved the host's lease on
    /// and kept no lease of the attempt's, so that an agent started by it could run on after the task was
    /// given to another.
    pub async fn covered(&self, attempt: AttemptId) {
        let mut changes = self.changes();
        let waits = || self.lock().attempts.get(&attempt).is_some_and(|entry| !entry.covered);
        while waits() && changes.changed().await.is_ok() {}
    }

    /// Whether nothing but reports and logs is left to do.
    pub fn is_saved(&self) -> bool {
        self.lock().attempts.values().all(|entry| entry.phase.is_saved())
    }

    /// Whether an attempt is on its way from its confirmation to its agent's start.
    pub fn is_preparing(&self) -> bool {
        self.lock().attempts.values().any(|entry| matches!(entry.phase, Phase::Preparing | Phase::Starting))
    }

    pub fn is_empty(&self) -> bool {
        self.lock().attempts.is_empty()
    }
}

fn busy(held: &Held) -> u32 {
    let busy = held.attempts.values().filter(|entry| entry.phase.holds_slot()).count();
    u32::try_from(busy).unwrap_or(u32::MAX)
}

pub fn on_the_wire<'a>(held: impl IntoIterator<Item = &'a HeldAttempt>) -> Vec<v1::HeldAttempt> {
    held.into_iter()
        .map(|held| v1::HeldAttempt {
            task_id: held.task.to_string(),
            attempt_id: held.attempt.to_string(),
            phase: held.phase.on_the_wire().into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn ids() -> (TaskId, AttemptId) {
        (TaskId::from_uuid(Uuid::now_v7()), AttemptId::from_uuid(Uuid::now_v7()))
    }

    #[test]
    fn an_attempt_gives_its_slot_back_once_its_report_is_taken() {
        let roster = Roster::new(1);
        let (task, attempt) = ids();
        let _orders = roster.reserve(task, attempt).expect("a slot");
        assert_eq!(roster.reserve(task, attempt).expect_err("twice"), Full::Held);
        let (other_task, other) = ids();
        assert_eq!(roster.reserve(other_task, other).expect_err("full"), Full::NoSlot);
        roster.moved(attempt, Phase::Reporting);
        assert_eq!((roster.free_slots(), roster.is_saved()), (0, true));
        roster.moved(attempt, Phase::Done);
        assert_eq!(roster.free_slots(), 1);
        assert!(roster.reserve(other_task, other).is_ok());
    }

    #[tokio::test]
    async fn an_attempt_that_a_heartbeat_passed_over_waits_for_one_that_names_it() {
        let roster = Roster::new(2);
        let (task, attempt) = ids();
        let _orders = roster.reserve(task, attempt).expect("a slot");
        roster.covered(attempt).await;
        assert_eq!(roster.for_heartbeat(), []);
        roster.moved(attempt, Phase::Preparing);
        let mut waiting = std::pin::pin!(roster.covered(attempt));
        let waits = std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending()));
        assert!(waits.await, "the host's lease may be longer than the attempt's");
        assert_eq!(roster.for_heartbeat().len(), 1);
        roster.kept(attempt);
        waiting.await;
        // Found on disk, it is not known when its lease began.
        let (task, found) = ids();
        let _orders = roster.enter(task, found, Phase::Accepted);
        assert!(futures_util::FutureExt::now_or_never(roster.covered(found)).is_none());
    }

    #[test]
    fn a_draining_worker_takes_nothing_on() {
        let roster = Roster::new(3);
        roster.drain();
        let (task, attempt) = ids();
        assert_eq!((roster.free_slots(), roster.reserve(task, attempt).err()), (0, Some(Full::Draining)));
    }
}
