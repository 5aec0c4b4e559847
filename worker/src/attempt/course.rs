//! An attempt's machine, its orders, and its entry in the roster: what is in common to every step.

use std::pin::pin;
use std::sync::Arc;

use factory_domain::{AttemptId, Outcome};
use tokio::sync::mpsc;

use super::machine::{Cause, Input, Machine, Phase, Reaction, Step};
use crate::roster::Roster;

/// What the coordinator, or the worker's own loops, want of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// The acceptance is durable: go ahead.
    Confirmed,
    End(Cause),
}

pub struct Course {
    roster: Arc<Roster>,
    attempt: AttemptId,
    machine: Machine,
    orders: mpsc::UnboundedReceiver<Order>,
}

impl Course {
    /// The attempt must be in the roster, where `orders` come from.
    pub fn new(
        roster: Arc<Roster>,
        attempt: AttemptId,
        machine: Machine,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        Self { roster, attempt, machine, orders }
    }

    pub fn outcome(&self) -> Outcome {
        self.machine.outcome()
    }

    fn apply(&mut self, input: Input) -> Reaction {
        let before = self.machine.phase();
        let reaction = self.machine.apply(input);
        let after = self.machine.phase();
        if after != before {
            tracing::debug!(phase = ?after, "attempt moved on");
            self.roster.moved(self.attempt, after);
        }
        reaction
    }

    /// Does a step's work while taking orders, and says which step is next; `None` after the last.
    pub async fn attend(&mut self, work: impl Future<Output = Input>, interrupt: impl Fn()) -> Option<Step> {
        let mut work = pin!(work);
        if self.machine.is_ending() && self.machine.phase() == Phase::Running {
            // The order came while the agent was being started.
            interrupt();
        }
        loop {
            let (input, is_result) = tokio::select! {
                // Orders first: a start looks whether one has come before it.
                biased;
                Some(order) = self.orders.recv() => {
                    tracing::info!(?order, "attempt ordered");
                    (order.into(), false)
                }
                input = &mut work => (input, true),
            };
            match self.apply(input) {
                Reaction::Next(step) => return Some(step),
                Reaction::Interrupt => interrupt(),
                Reaction::Nothing if is_result => return None,
                Reaction::Nothing => {}
            }
        }
    }
}

impl From<Order> for Input {
    fn from(order: Order) -> Self {
        match order {
            Order::Confirmed => Self::Confirmed,
            Order::End(cause) => Self::End(cause),
        }
    }
}

impl Drop for Course {
    fn drop(&mut self) {
        // Also when the attempt's task is aborted, or panics: nobody speaks for it any more.
        self.roster.remove(self.attempt);
    }
}
