//! Bringing queued tasks to workers with free slots.

use factory_domain::AttemptId;
use futures_util::future::join_all;
use uuid::Uuid;

use super::fleet::Opening;
use super::{App, Error};
use crate::store::Claim;

impl App {
    /// Offers until no worker with a free slot finds anything for it.
    pub(crate) async fn dispatch(&self) -> Result<(), Error> {
        let mut passed_over = Vec::new();
        loop {
            let round = self.fleet.round(&passed_over, self.clock.now());
            if round.is_empty() {
                return Ok(());
            }
            // Side by side, so that the store commits them as one group.
            let claims = join_all(round.iter().map(|opening| self.offer_to(opening))).await;
            for (opening, offered) in round.iter().zip(claims) {
                if offered? < opening.capacity.free_slots {
                    passed_over.push(opening.seat);
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
            attempt_ids: (0..opening.capacity.free_slots)
                .map(|_| AttemptId::from_uuid(Uuid::now_v7()))
                .collect(),
        };
        let now = self.clock.now();
        let lapses = now.after(self.terms.offer);
        let claimed = self.store.claim(claim, now).await?;
        let mut sent = 0;
        for offer in claimed {
            let (task, attempt, worker) = (offer.task, offer.attempt, opening.seat.worker);
            self.due.set(lapses);
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
