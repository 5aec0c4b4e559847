//! No-op tasks through the worker protocol: every offer, acceptance, start and report, and no process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use factory_proto::client::Client;
use factory_proto::v1;
use factory_proto::v1::session_request::Message as Say;
use factory_proto::v1::session_response::Message as Heard;
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::load::{Seat, submit};
use crate::servers::Server;

pub const TASKS: usize = 20_000;
pub const WORKERS: usize = 10;
pub const SLOTS: u32 = 32;
/// Tasks in each submit.
const BATCH: usize = 500;

/// Tasks ended in a second, from the moment the first worker asks for one.
pub async fn run(server: &Server) -> f64 {
    let client = server.client().await;
    for _ in 0..TASKS / BATCH {
        submit(&client, BATCH).await;
    }
    let mut seats = Vec::with_capacity(WORKERS);
    for _ in 0..WORKERS {
        seats.push(Seat::take(server, SLOTS).await);
    }
    let (left, drained) = (Arc::new(AtomicU64::new(TASKS as u64)), CancellationToken::new());
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for seat in seats {
        let work = work(seat, Arc::clone(&left), drained.clone());
        workers.spawn(drained.clone().run_until_cancelled_owned(work));
    }
    while let Some(ended) = workers.join_next().await {
        ended.expect("a worker that does not panic");
    }
    TASKS as f64 / start.elapsed().as_secs_f64()
}

/// One worker: takes what it is offered, starts what is confirmed, and reports it at once.
async fn work(mut seat: Seat, left: Arc<AtomicU64>, drained: CancellationToken) {
    let mut free = SLOTS;
    let mut reports = JoinSet::new();
    seat.say(Say::Credits(v1::Credits { free_slots: free, stopping: false })).await;
    loop {
        tokio::select! {
            message = seat.heard.next() => match message.expect("the session goes on").expect("a message").message {
                Some(Heard::Offer(v1::Offer { task_id, attempt_id, .. })) => {
                    free -= 1;
                    seat.say(Say::Credits(v1::Credits { free_slots: free, stopping: false })).await;
                    seat.tasks.insert(attempt_id.clone(), task_id.clone());
                    seat.say(Say::Accept(v1::Accept { task_id, attempt_id })).await;
                }
                Some(Heard::Confirm(v1::Confirm { attempt_id })) => {
                    let task_id = seat.tasks.remove(&attempt_id).expect("it was offered");
                    let started = v1::Started { task_id: task_id.clone(), attempt_id: attempt_id.clone() };
                    seat.say(Say::Started(started)).await;
                    reports.spawn(report(seat.client.clone(), seat.worker.clone(), task_id, attempt_id));
                }
                other => panic!("an idle coordinator has nothing else to say: {other:?}"),
            },
            Some(reported) = reports.join_next() => {
                reported.expect("a report that does not panic");
                if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                    drained.cancel();
                }
                free += 1;
                seat.say(Say::Credits(v1::Credits { free_slots: free, stopping: false })).await;
            }
        }
    }
}

async fn report(client: Client, worker_id: String, task_id: String, attempt_id: String) {
    let report = v1::Report { outcome: v1::OutcomeKind::Succeeded.into(), ..Default::default() };
    // The coordinator knows a repeated report by this and reads no meaning into it.
    let digest = vec![0; 32];
    let request = v1::ReportRequest { worker_id, task_id, attempt_id, digest, report: Some(report) };
    let verdict = client.worker().report(request).await.expect("an answer").into_inner().verdict();
    assert_eq!(verdict, v1::ReportVerdict::Accepted);
}
