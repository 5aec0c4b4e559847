//! The heartbeat: keeps the leases, brings verdicts, and fences this worker off when it goes unheard.
//!
//! It has a connection of its own, so that no log and no upload can delay it.

use std::sync::Arc;
use std::time::Duration;

use factory_domain::{AttemptId, Failure, FailureReason, LeaseTerms};
use factory_proto::v1;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::agent_host::Shared;
use crate::attempt::{Cause, Order};
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

/// Runs until the token is cancelled.
pub async fn run(shared: Arc<Shared>, mut uplink: Uplink, token: CancellationToken) {
    // Until a coordinator was heard its terms are not known; the usual ones stand in,
    // for attempts found alive at the start.
    let mut acknowledged = Instant::now();
    let mut fenced = false;
    loop {
        let terms = shared.terms();
        let (begun, begun_here) = (Instant::now(), shared.config.shims.now());
        let beaten = tokio::select! {
            () = token.cancelled() => return,
            beaten = tokio::time::timeout(terms.heartbeat, beat(&shared, &mut uplink)) => beaten,
        };
        match beaten {
            Ok(Ok(verdicts)) => {
                uplink.worked();
                (acknowledged, fenced) = (begun, false);
                // Before the lease goes on: no attempt that is given up may start by it.
                let kept = verdicts.iter().filter(|verdict| verdict.verdict() == v1::Verdict::CarryOn);
                kept.filter_map(|verdict| verdict.attempt_id.parse().ok())
                    .for_each(|attempt| shared.roster.kept(attempt));
                obey(&shared, verdicts);
                if let Err(error) = shared.lease.extend(begun_here, &terms, shared.config.kill_grace) {
                    tracing::error!(%error, path = %shared.lease.path().display(), "the lease cannot be written; agents end with the last one");
                }
                tokio::select! {
                    () = token.cancelled() => return,
                    () = tokio::time::sleep_until(begun + terms.heartbeat) => {}
                }
            }
            failed => {
                match failed {
                    // The session says what is wrong.
                    Ok(Err(Trouble::NotWelcomed)) => {}
                    Ok(Err(error)) => tracing::warn!(error = %error.full(), "heartbeat failed"),
                    _ => tracing::warn!("heartbeat not answered in time"),
                }
                if !fenced && acknowledged.elapsed() >= fence_after(&terms, shared.config.kill_grace) {
                    fenced = true;
                    fence(&shared);
                }
                tokio::select! {
                    () = token.cancelled() => return,
                    () = uplink.pause() => {}
                }
            }
        }
    }
}

async fn beat(shared: &Shared, uplink: &mut Uplink) -> Result<Vec<v1::HeldVerdict>, Trouble> {
    if !shared.was_welcomed() {
        return Err(Trouble::NotWelcomed);
    }
    let request = v1::HeartbeatRequest {
        worker_id: shared.worker.to_string(),
        session_id: shared.session.to_string(),
        held: roster::on_the_wire(&shared.roster.for_heartbeat()),
        free_disk_bytes: shared.free_disk(),
    };
    let client = uplink.client().await?;
    let reply = client.worker().heartbeat(client.request(request)).await?;
    Ok(reply.into_inner().verdicts)
}

/// Hands each attempt its verdict, where it changes anything.
pub fn obey(shared: &Shared, verdicts: Vec<v1::HeldVerdict>) {
    for verdict in verdicts {
        let Ok(attempt) = verdict.attempt_id.parse::<AttemptId>() else {
            tracing::warn!(attempt = verdict.attempt_id, "a verdict names no attempt");
            continue;
        };
        let order = match verdict.verdict() {
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

    proptest! {
        #[test]
        fn fenced_attempts_are_dead_before_they_can_be_lost(
            heartbeat in 1u64..60_000, lost_after in 1u64..1_000_000, grace in 0u64..500_000,
        ) {
            prop_assume!(grace <= lost_after / 2);
            let terms = LeaseTerms {
                heartbeat: Duration::from_millis(heartbeat),
                lost_after: Duration::from_millis(lost_after),
                ..LeaseTerms::default()
            };
            let grace = Duration::from_millis(grace);
            prop_assert!(fence_after(&terms, grace) + grace <= terms.lost_after);
        }
    }
}
