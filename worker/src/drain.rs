//! A drain asked for at the coordinator, which keeps it: nothing new is offered, and what still runs
//! at its deadline, where it has one, is handed over to other workers.
//!
//! The deadline comes as a span, on each Welcome anew, and is kept by this worker's own clock.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::attempt::Cause;
use crate::roster::Roster;

#[derive(Debug, Default)]
pub struct Drain {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct State {
    draining: bool,
    /// `None`: what runs may take its time.
    hand_over_at: Option<Instant>,
}

impl Drain {
    pub fn is_on(&self) -> bool {
        self.state.borrow().draining
    }

    /// The coordinator's word on how it stands. `hand_over_after`: from now; zero for never.
    pub fn told(&self, draining: bool, hand_over_after: Duration) {
        let limited = draining && !hand_over_after.is_zero();
        let hand_over_at = limited.then(|| Instant::now().checked_add(hand_over_after)).flatten();
        let before = self.state.send_replace(State { draining, hand_over_at });
        match (before.draining, draining) {
            (false, true) => {
                let limit = limited.then_some(hand_over_after);
                tracing::info!(
                    ?limit,
                    "drained by the coordinator: nothing new is offered, running work goes on"
                );
            }
            (true, false) => tracing::info!("resumed by the coordinator: new work is offered again"),
            _ => {}
        }
    }

    /// Keeps the deadline until the token is cancelled.
    pub async fn run(&self, roster: &Roster, token: CancellationToken) {
        let mut changes = self.state.subscribe();
        loop {
            let at = changes.borrow_and_update().hand_over_at;
            let due = async {
                match at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = token.cancelled() => return,
                // Its sender is `self`: it cannot have gone.
                _ = changes.changed() => {}
                () = due => {
                    tracing::info!("the drain's time is over: what still runs is handed over");
                    roster.end_all(&Cause::HandOver);
                    self.state.send_if_modified(|state| {
                        // Not one that was set anew meanwhile.
                        let over = state.hand_over_at == at;
                        state.hand_over_at = state.hand_over_at.filter(|_| !over);
                        over
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::{Order, Phase};
    use factory_domain::{AttemptId, TaskId};
    use uuid::Uuid;

    #[tokio::test(start_paused = true)]
    async fn only_the_deadline_said_last_counts_and_only_once() {
        let (drain, roster, token) = (Drain::default(), Roster::new(1), CancellationToken::new());
        let (task, attempt) = (TaskId::from_uuid(Uuid::now_v7()), AttemptId::from_uuid(Uuid::now_v7()));
        let mut orders = roster.enter(task, attempt, Phase::Running);
        let minutes = |count: u64| Duration::from_secs(60 * count);
        let story = async {
            for (draining, after) in [(true, 1), (true, 0), (true, 2), (false, 2), (true, 5)] {
                drain.told(draining, minutes(after));
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(minutes(4)).await;
            assert!(orders.try_recv().is_err(), "the earlier ones do not count");
            tokio::time::sleep(minutes(2)).await;
            assert_eq!(orders.try_recv(), Ok(Order::End(Cause::HandOver)));
            tokio::time::sleep(minutes(60)).await;
            assert!(drain.is_on() && orders.try_recv().is_err());
            token.cancel();
        };
        tokio::join!(drain.run(&roster, token.clone()), story);
    }
}
