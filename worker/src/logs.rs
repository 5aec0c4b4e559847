//! The log loop: brings every attempt's records from its spool to the coordinator.
//!
//! One push is on the way at a time, with what all attempts have by then: alone, a line
//! travels at once; under load, batches grow by themselves. The coordinator's word on
//! what it has is final: this loop goes back, or skips, to the offset it names.

use std::collections::BTreeMap;
use std::io;

use factory_domain::{AttemptId, TaskId, WorkerId};
use factory_proto::v1;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::spool::{RecordReader, SpoolDir};
use crate::spool_watch::{Growth, SpoolWatch};
use crate::uplink::{Trouble, Uplink};

/// Bytes of records in one push. The wire allows 1 MiB; the last record may go over by 64 KiB.
const PUSH: usize = 768 * 1024;

/// How far the coordinator has an attempt's log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Progress {
    /// Everything before this offset survives a crash of the coordinator.
    acknowledged: u64,
    /// It wants nothing more.
    closed: bool,
}

/// Where attempts enter their logs.
#[derive(Clone)]
pub struct LogFeed {
    tails: mpsc::UnboundedSender<Tail>,
}

/// An attempt's own view of how its log travels. Dropped, the log is no longer sent.
pub struct Shipment {
    progress: watch::Receiver<Progress>,
}

impl Shipment {
    /// Waits until the coordinator has the first `records`, or wants no more.
    pub async fn arrived(&mut self, records: u64) {
        let enough = |progress: &Progress| progress.closed || progress.acknowledged >= records;
        if self.progress.wait_for(enough).await.is_err() {
            // The loop has ended before: the worker stops, and sends the rest after its next start.
            std::future::pending::<()>().await;
        }
    }
}

/// One attempt's log on its way.
struct Tail {
    task: TaskId,
    attempt: AttemptId,
    reader: RecordReader,
    growth: Growth,
    progress: watch::Sender<Progress>,
    /// There is more to read, whether or not the file grows.
    more: bool,
    /// What the coordinator has is not known: ask with one record first.
    probing: bool,
}

impl LogFeed {
    pub fn new() -> (Self, LogLoop) {
        let (tails, entering) = mpsc::unbounded_channel();
        (Self { tails }, LogLoop { entering, tails: BTreeMap::new(), last_served: None })
    }

    /// Begins to send an attempt's log, from its first record on. `probing`: the coordinator may
    /// have some of it from before a restart of the worker.
    pub fn follow(
        &self,
        task: TaskId,
        spool: &SpoolDir,
        watch: &SpoolWatch,
        probing: bool,
    ) -> io::Result<Shipment> {
        let path = spool.records_path();
        let growth = watch.follow(&path);
        let reader = RecordReader::open(&path, 0)?;
        let (sender, progress) = watch::channel(Progress::default());
        let tail =
            Tail { task, attempt: spool.attempt(), reader, growth, progress: sender, more: true, probing };
        // Without a loop the worker is stopping: `arrived` then waits, as it should.
        let _ = self.tails.send(tail);
        Ok(Shipment { progress })
    }
}

pub struct LogLoop {
    entering: mpsc::UnboundedReceiver<Tail>,
    tails: BTreeMap<AttemptId, Tail>,
    /// The next push begins after it, so that a chatty attempt does not starve the others.
    last_served: Option<AttemptId>,
}

impl LogLoop {
    /// Runs until the token is cancelled.
    pub async fn run(mut self, worker: WorkerId, mut uplink: Uplink, token: CancellationToken) {
        loop {
            while let Ok(tail) = self.entering.try_recv() {
                self.tails.insert(tail.attempt, tail);
            }
            self.tails.retain(|_, tail| !tail.progress.is_closed() && !tail.progress.borrow().closed);
            let batches = self.gather();
            if batches.is_empty() {
                tokio::select! {
                    () = token.cancelled() => return,
                    Some(tail) = self.entering.recv() => { self.tails.insert(tail.attempt, tail); }
                    () = any_growth(&mut self.tails) => {}
                }
                continue;
            }
            let pushed = tokio::select! {
                () = token.cancelled() => return,
                pushed = push(worker, &mut uplink, batches.clone()) => pushed,
            };
            match pushed {
                Ok(acks) => {
                    uplink.worked();
                    self.acknowledge(&batches, acks);
                }
                Err(error) => {
                    tracing::warn!(error = %error.full(), "logs could not be pushed; they wait in the spool");
                    self.go_back(&batches);
                    tokio::select! {
                        () = token.cancelled() => return,
                        () = uplink.pause() => {}
                    }
                }
            }
        }
    }

    /// What there is to send now, of each attempt in turn, up to one push.
    fn gather(&mut self) -> Vec<v1::LogBatch> {
        let last = self.last_served;
        let after = self.tails.keys().copied().filter(|attempt| Some(*attempt) > last);
        let before = self.tails.keys().copied().filter(|attempt| Some(*attempt) <= last);
        let order: Vec<_> = after.chain(before).collect();
        let mut batches = Vec::new();
        let mut room = PUSH;
        for attempt in order {
            if room == 0 {
                break;
            }
            let Some(tail) = self.tails.get_mut(&attempt) else { continue };
            let records = tail.read(room);
            if records.is_empty() {
                continue;
            }
            room = room.saturating_sub(records.iter().map(|record| record.data.len() + 32).sum());
            self.last_served = Some(attempt);
            batches.push(v1::LogBatch {
                task_id: tail.task.to_string(),
                attempt_id: attempt.to_string(),
                records,
            });
        }
        batches
    }

    fn acknowledge(&mut self, sent: &[v1::LogBatch], acks: Vec<v1::LogAck>) {
        for ack in acks {
            let Some(tail) = ack.attempt_id.parse().ok().and_then(|id| self.tails.get_mut(&id)) else {
                continue;
            };
            tail.probing = false;
            if tail.reader.next_offset() != ack.next_offset && !ack.closed {
                tracing::info!(
                    task = %tail.task, attempt = %tail.attempt, offset = ack.next_offset,
                    "the coordinator's log ends elsewhere: going on from there"
                );
                tail.go_to(ack.next_offset);
            }
            tail.progress.send_replace(Progress {
                acknowledged: ack.next_offset,
                closed: ack.closed || tail.is_broken(),
            });
        }
        // A batch that got no word was not taken.
        let unanswered: Vec<_> = sent
            .iter()
            .filter(|batch| self.end_of(batch).is_some_and(|(end, known)| known < end))
            .cloned()
            .collect();
        self.go_back(&unanswered);
    }

    /// Where a batch ends, and how far its attempt is acknowledged, when its reader stands at that end.
    fn end_of(&self, batch: &v1::LogBatch) -> Option<(u64, u64)> {
        let tail = self.tails.get(&batch.attempt_id.parse().ok()?)?;
        let end = batch.records.last()?.offset + 1;
        (tail.reader.next_offset() == end).then(|| (end, tail.progress.borrow().acknowledged))
    }

    fn go_back(&mut self, batches: &[v1::LogBatch]) {
        for batch in batches {
            let Some(tail) = batch.attempt_id.parse().ok().and_then(|id| self.tails.get_mut(&id)) else {
                continue;
            };
            let acknowledged = tail.progress.borrow().acknowledged;
            tail.go_to(acknowledged);
        }
    }
}

impl Tail {
    /// The next records, about `room` bytes of them. A read from the page cache: quicker
    /// than handing it to another thread.
    fn read(&mut self, room: usize) -> Vec<v1::LogRecord> {
        if !self.growth.has_grown() && !self.more {
            return Vec::new();
        }
        let room = if self.probing { 1 } else { room };
        match self.reader.read_batch(room) {
            Ok(records) => {
                self.more = !records.is_empty();
                records
            }
            Err(error) => {
                self.broken(&error);
                Vec::new()
            }
        }
    }

    fn go_to(&mut self, offset: u64) {
        self.more = true;
        if let Err(error) = self.reader.seek(offset) {
            self.broken(&error);
        }
    }

    /// What cannot be read can never arrive: nobody may wait for it.
    fn broken(&mut self, error: &io::Error) {
        tracing::error!(task = %self.task, attempt = %self.attempt, %error, "the rest of a log is lost");
        self.progress.send_modify(|progress| progress.closed = true);
    }

    fn is_broken(&self) -> bool {
        self.progress.borrow().closed
    }
}

/// Waits until any of the logs has grown; for ever when there are none.
async fn any_growth(tails: &mut BTreeMap<AttemptId, Tail>) {
    if tails.is_empty() {
        return std::future::pending().await;
    }
    let growing = tails.values_mut().map(|tail| {
        let Tail { growth, more, progress, .. } = tail;
        Box::pin(async move {
            tokio::select! {
                () = growth.grown() => *more = true,
                () = progress.closed() => {}
            }
        })
    });
    futures_util::future::select_all(growing).await;
}

async fn push(
    worker: WorkerId,
    uplink: &mut Uplink,
    batches: Vec<v1::LogBatch>,
) -> Result<Vec<v1::LogAck>, Trouble> {
    let client = uplink.client().await?;
    let request = v1::PushLogsRequest { worker_id: worker.to_string(), batches };
    let reply = client.worker().push_logs(client.request(request)).await?;
    Ok(reply.into_inner().acks)
}
