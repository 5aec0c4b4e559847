//! Bringing queued tasks to workers with free slots.

use std::sync::Arc;

use factory_domain::AttemptId;
use futures_util::future::{FutureExt, join_all};
use uuid::Uuid;

use super::fleet::Opening;
use super::{App, Error, Offered};
use crate::store::Claim;

/// Claims under way at once: enough for one commit of the store to be worth its while.
const MOST_ABREAST: usize = 64;

impl App {
    /// Offers until no worker with a free slot finds anything for it.
    pub(crate) async fn dispatch(&self) -> Result<(), Error> {
        let mut found_nothing: Vec<Opening> = Vec::new();
        // Claims made side by side, which the store commits as one group. The first is alone:
        // where the queue is empty, it has looked for all workers like it.
        let mut abreast = 1;
        loop {
            // What came since they looked is for them, too.
            if self.schedule.notified().now_or_never().is_some() {
                found_nothing.clear();
            }
            let mut round = self.fleet.round(&found_nothing, self.clock.now());
            if round.is_empty() {
                return Ok(());
            }
            round.truncate(abreast);
            abreast = (abreast * 2).min(MOST_ABREAST);
            let claims = join_all(round.iter().map(|opening| self.offer_to(opening))).await;
            for (opening, offered) in round.into_iter().zip(claims) {
                if offered? < opening.capacity.free_slots {
                    found_nothing.push(opening);
                }
            }
        }
    }

    /// Claims for one worker and sends it the offers; returns how many it was sent.
    async fn offer_to(&self, opening: &Opening) -> Result<u32, Error> {
        let claim = Claim {
            worker: opening.seat.worker,
            session: opening.session,
            capacity: opening.capacity.clone(),
            except: opening.except.clone(),
            left_to: opening.left_to.clone(),
            connected: Arc::clone(&opening.connected),
            attempt_ids: (0..opening.capacity.free_slots)
                .map(|_| AttemptId::from_uuid(Uuid::now_v7()))
                .collect(),
        };
        let now = self.clock.now();
        let lapses = now.after(self.terms.offer);
        let claimed = self.store.claim(claim, now).await?;
        if !claimed.is_empty() {
            self.due.set(lapses);
        }
        let mut sent = 0;
        // Side by side: what one of them may have to wait for, the others do not wait for after it.
        let equipped = join_all(claimed.iter().map(|offer| self.equip(offer))).await;
        for (offer, equipment) in claimed.into_iter().zip(equipped) {
            let (task, attempt, worker) = (offer.task, offer.attempt, opening.seat.worker);
            let equipment = match equipment {
                Ok(equipment) => equipment,
                Err(error) => {
                    self.return_offer(task, attempt, format!("it could not be made ready: {error}")).await?;
                    return Err(error);
                }
            };
            let offer = Offered { claimed: offer, equipment };
            if self.fleet.offer(opening.seat, offer, lapses) {
                tracing::info!(%task, %attempt, %worker, "offered");
                sent += 1;
            } else {
                self.return_offer(task, attempt, "the worker's session was lost".to_owned()).await?;
            }
        }
        Ok(sent)
    }
}
