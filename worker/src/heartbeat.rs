//! The heartbeat: keeps the leases, brings verdicts, and fences this worker off when it goes unheard.
//!
//! It has a connection of its own, so that no log and no upload can delay it.

use std::sync::Arc;
use std::time::Duration;

use factory_domain::{AttemptId, Failure, FailureReason, LeaseTerms};
use factory_proto::client::Client;
use factory_proto::v1;
use futures_util::future::{BoxFuture, FutureExt};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::agent_host::Shared;
use crate::attempt::{Cause, Order};
use crate::host_lease::BootTime;
use crate::roster;
use crate::uplink::{Trouble, Uplink};

/// How long after the last acknowledged heartbeat this worker ends its attempts: so that
/// they are dead, kill grace included, before the coordinator can give them to another.
/// The coordinator waits for the lease's end and `lost_after` on top. Where this worker cannot,
/// being frozen or dead, [`host_lease`](crate::host_lease) ends its agents.
pub fn fence_after(terms: &LeaseTerms, kill_grace: Duration) -> Duration {
    let spare = kill_grace + terms.heartbeat;
    terms.lost_after.saturating_sub(spare).max(terms.lost_after / 2)
}

/// When this worker was heard last.
///
/// A heartbeat that is answered was received, and it was received after it was begun: however late
/// the answer comes, it says that the coordinator keeps the leases for a full term from a moment no
/// earlier than the beginning. So an answer counts from its heartbeat's beginning, a late one is as
/// good as its beginning is recent, and to give up on one early only throws away what it would say.
#[derive(Debug, Clone, Copy)]
struct Contact {
    /// The latest beginning of a heartbeat that was answered.
    heard: Instant,
    fenced: bool,
}

impl Contact {
    fn at(now: Instant) -> Self {
        Self { heard: now, fenced: false }
    }

    /// A heartbeat begun then was answered; whether that is news. Answers may overtake each other.
    fn answered(&mut self, begun: Instant) -> bool {
        let news = begun >= self.heard;
        if news {
            *self = Self::at(begun);
        }
        news
    }

    fn fence_at(&self, terms: &LeaseTerms, kill_grace: Duration) -> Instant {
        self.heard + fence_after(terms, kill_grace)
    }
}

/// How long a heartbeat may go unanswered before the next is sent over a connection of its own:
/// often enough for a few to be tried before the lease runs out.
fn patience(terms: &LeaseTerms) -> Duration {
    terms.heartbeat.max(terms.lease / 4)
}

type Answer = Result<Vec<v1::HeldVerdict>, Trouble>;

/// A heartbeat under way.
struct Beat {
    begun: Instant,
    /// The same by the clock of the host's lease.
    begun_here: BootTime,
    /// Counts the connections there were.
    connection: u64,
}

/// Runs until the token is cancelled. A heartbeat is begun every interval, whether or not those
/// before it are answered yet, and each is waited for as long as its answer is of any use.
pub async fn run(shared: Arc<Shared>, mut uplink: Uplink, token: CancellationToken) {
    // Until a coordinator was heard its terms are not known; the usual ones stand in,
    // for attempts found alive at the start.
    let mut contact = Contact::at(Instant::now());
    let mut under_way: FuturesUnordered<BoxFuture<'_, (Beat, Answer)>> = FuturesUnordered::new();
    let mut next = Instant::now();
    let mut connection = 0;
    // The beginning of the oldest heartbeat that the present connection owes an answer to.
    let mut owed: Option<Instant> = None;
    loop {
        let (terms, kill_grace) = (shared.terms(), shared.config.kill_grace);
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep_until(contact.fence_at(&terms, kill_grace)), if !contact.fenced => {
                contact.fenced = true;
                fence(&shared);
            }
            Some((beat, answer)) = under_way.next() => match answer {
                Ok(verdicts) => {
                    uplink.worked();
                    owed = None;
                    heard(&shared, &mut contact, &beat, verdicts);
                }
                // The rest of a connection that is given up.
                Err(_) if beat.connection != connection => {}
                Err(error) => {
                    tracing::warn!(error = %error.full(), "heartbeat failed");
                    (connection, owed) = (connection + 1, None);
                    pause(&mut uplink, &terms, &token).await;
                    next = Instant::now();
                }
            },
            () = tokio::time::sleep_until(next) => {
                next = Instant::now() + terms.heartbeat;
                if !shared.was_welcomed() {
                    // The session says what is wrong.
                    pause(&mut uplink, &terms, &token).await;
                    next = Instant::now();
                    continue;
                }
                if owed.is_some_and(|begun| begun.elapsed() >= patience(&terms)) {
                    tracing::warn!("heartbeats are not answered; trying another connection");
                    uplink.renew();
                    (connection, owed) = (connection + 1, None);
                }
                let beat = Beat { begun: Instant::now(), begun_here: shared.config.shims.now(), connection };
                match connect(&mut uplink, &terms).await {
                    Ok(client) => {
                        owed = owed.or(Some(beat.begun));
                        let useful = fence_after(&terms, kill_grace);
                        under_way.push(send(request(&shared), client, beat, useful).boxed());
                    }
                    Err(error) => {
                        tracing::warn!(error = %error.full(), "heartbeat failed");
                        pause(&mut uplink, &terms, &token).await;
                        next = Instant::now();
                    }
                }
            }
        }
    }
}

fn heard(shared: &Shared, contact: &mut Contact, beat: &Beat, verdicts: Vec<v1::HeldVerdict>) {
    // Before the lease goes on: no attempt that is given up may start by it.
    let kept = verdicts.iter().filter(|verdict| verdict.verdict() == v1::Verdict::CarryOn);
    kept.filter_map(|verdict| verdict.attempt_id.parse().ok())
        .for_each(|attempt| shared.roster.kept(attempt));
    obey(shared, verdicts);
    if !contact.answered(beat.begun) {
        return;
    }
    if let Err(error) = shared.lease.extend(beat.begun_here, &shared.terms(), shared.config.kill_grace) {
        tracing::error!(%error, path = %shared.lease.path().display(), "the lease cannot be written; agents end with the last one");
    }
}

/// No longer than an interval: leases do not wait for a connection to be worth trying again.
async fn pause(uplink: &mut Uplink, terms: &LeaseTerms, token: &CancellationToken) {
    tokio::select! {
        () = token.cancelled() => {}
        () = uplink.pause() => {}
        () = tokio::time::sleep(terms.heartbeat) => {}
    }
}

/// A heartbeat is the margin that [`fence_after`] leaves for this.
async fn connect(uplink: &mut Uplink, terms: &LeaseTerms) -> Result<Client, Trouble> {
    match tokio::time::timeout(terms.heartbeat, uplink.client()).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(Status::deadline_exceeded("the coordinator could not be reached in time").into()),
    }
}

fn request(shared: &Shared) -> v1::HeartbeatRequest {
    v1::HeartbeatRequest {
        worker_id: shared.worker.to_string(),
        session_id: shared.session.to_string(),
        held: roster::on_the_wire(&shared.roster.for_heartbeat()),
        free_disk_bytes: shared.free_disk(),
        load: shared.host_load(),
    }
}

/// Past `useful` its answer could not keep this worker from its fence.
async fn send(request: v1::HeartbeatRequest, client: Client, beat: Beat, useful: Duration) -> (Beat, Answer) {
    let answer = tokio::time::timeout(useful, async {
        let reply = client.worker().heartbeat(client.request(request)).await?;
        Ok(reply.into_inner().verdicts)
    });
    let answer = answer.await.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer came").into()));
    (beat, answer)
}

/// Hands each attempt its verdict, where it changes anything.
pub fn obey(shared: &Shared, verdicts: Vec<v1::HeldVerdict>) {
    for verdict in verdicts {
        let Ok(attempt) = verdict.attempt_id.parse::<AttemptId>() else {
            tracing::warn!(attempt = verdict.attempt_id, "a verdict names no attempt");
            continue;
        };
        let order = match verdict.verdict() {
            // One that this release does not know ends nothing: what must end does so by its lease.
            v1::Verdict::CarryOn | v1::Verdict::Unspecified => continue,
            v1::Verdict::Cancel => Order::End(Cause::Cancelled),
            v1::Verdict::Superseded => Order::End(Cause::Superseded),
        };
        shared.roster.order(attempt, order);
    }
}

fn fence(shared: &Shared) {
    tracing::error!("the coordinator was not heard of for too long: this worker's attempts are ended");
    shared.roster.end_all(&Cause::Failed(Failure {
        reason: FailureReason::WorkerLost,
        message: "the worker lost contact with the coordinator and ended the attempt".to_owned(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn terms(heartbeat: u64, lost_after: u64) -> LeaseTerms {
        LeaseTerms {
            heartbeat: Duration::from_millis(heartbeat),
            lost_after: Duration::from_millis(lost_after),
            ..LeaseTerms::default()
        }
    }

    /// When the worker is fenced, where the heartbeat begun at the n-th interval is answered after
    /// the n-th delay, or never; `None`: not while these heartbeats last.
    fn fenced(terms: &LeaseTerms, grace: Duration, delays: &[Option<u64>]) -> Option<Duration> {
        let start = Instant::now();
        let begun = (0u32..).map(|n| start + terms.heartbeat * n);
        let answers = begun.zip(delays);
        let mut answers: Vec<(Instant, Instant)> = answers
            .filter_map(|(begun, delay)| Some((begun + Duration::from_millis((*delay)?), begun)))
            .collect();
        answers.sort();
        let mut contact = Contact::at(start);
        let end = start + terms.heartbeat * u32::try_from(delays.len()).expect("few");
        for (at, begun) in answers.into_iter().chain([(end, start)]) {
            let fence = contact.fence_at(terms, grace);
            if fence < at.min(end) {
                return Some(fence - start);
            }
            contact.answered(begun);
        }
        None
    }

    proptest! {
        #[test]
        fn fenced_attempts_are_dead_before_they_can_be_lost(
            heartbeat in 1u64..60_000, lost_after in 1u64..1_000_000, grace in 0u64..500_000,
        ) {
            prop_assume!(grace <= lost_after / 2);
            let (terms, grace) = (terms(heartbeat, lost_after), Duration::from_millis(grace));
            prop_assert!(fence_after(&terms, grace) + grace <= terms.lost_after);
        }

        #[test]
        fn late_answers_fence_nobody(
            heartbeat in 1u64..1000, grace in 0u64..1000,
            delays in prop::collection::vec(0u64..1000, 1..60),
        ) {
            // However slow the answers are, as long as each comes before its heartbeat is too old.
            let slowest = delays.iter().max().copied().unwrap_or(0);
            let terms = terms(heartbeat, 2 * (slowest + 2 * heartbeat + grace));
            let delays: Vec<_> = delays.into_iter().map(Some).collect();
            prop_assert_eq!(fenced(&terms, Duration::from_millis(grace), &delays), None);
        }

        #[test]
        fn whatever_is_answered_when_the_fence_comes_before_the_loss(
            heartbeat in 1u64..1000, lost_after in 1u64..10_000, share in 0u64..=50,
            delays in prop::collection::vec(prop::option::of(0u64..20_000), 1..60),
        ) {
            let (terms, grace) = (terms(heartbeat, lost_after), Duration::from_millis(lost_after * share / 100));
            if let Some(fence) = fenced(&terms, grace, &delays) {
                // What was answered by then was received, and no sooner than it was begun.
                let by_then = |n: u64, delay: u64| Duration::from_millis(n * heartbeat + delay) <= fence;
                let answered = (0u64..).zip(&delays).filter(|(n, delay)| delay.is_some_and(|d| by_then(*n, d)));
                let received = answered.map(|(n, _)| n * heartbeat).max().unwrap_or(0);
                let lost = Duration::from_millis(received) + terms.lease + terms.lost_after;
                prop_assert!(fence + grace <= lost, "fenced at {:?}, lost at {:?}", fence, lost);
            }
        }
    }
}
