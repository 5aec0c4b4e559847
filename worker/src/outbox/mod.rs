//! The outbox: reports wait on disk, and are sent until the coordinator has taken them or never will.
//!
//! An attempt's artifacts and its last checkpoint go before its report, so that whoever sees the end
//! can fetch them.
//! The coordinator takes a repeated report as the same one, so after any doubt it is sent again.

mod upload;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use factory_domain::{Checkpoint, FailureReason, Report, TaskId, WorkerId};
use factory_proto::client::Client;
use factory_proto::protocol::HANDS_OVER;
use factory_proto::v1;
use prost::Message;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::blocking;
use crate::spool::SpoolDir;
use crate::uplink::{Trouble, Uplink};

pub use upload::{Enclosure, EnclosureKind, Owner, measure};

/// Puts a report on disk. From here on it is delivered, whatever becomes of this process.
pub async fn write(
    spool: SpoolDir,
    report: Report,
    enclosures: Vec<Enclosure>,
    checkpoint: Option<Checkpoint>,
) -> io::Result<()> {
    blocking::run(move || {
        // The report last: its presence says that all is there.
        if let Some(checkpoint) = checkpoint {
            spool.write(&checkpoint_path(&spool), &serde_json::to_vec(&checkpoint)?)?;
        }
        spool.write(&enclosures_path(&spool), &serde_json::to_vec(&enclosures)?)?;
        spool.write(&spool.report_path(), &v1::Report::from(report).encode_to_vec())
    })
    .await
}

fn enclosures_path(spool: &SpoolDir) -> PathBuf {
    spool.path().join("enclosures.json")
}

/// The last checkpoint, whose files are enclosures; not there where there is none to be made current.
fn checkpoint_path(spool: &SpoolDir) -> PathBuf {
    spool.path().join("checkpoint.json")
}

/// A report on disk, on its way.
struct Letter {
    task: TaskId,
    spool: SpoolDir,
    /// Enclosures the coordinator has.
    handed_over: usize,
    /// The coordinator has the last checkpoint, or there is none.
    checkpointed: bool,
    taken: oneshot::Sender<Taken>,
}

/// What the coordinator made of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Accepted {
        /// No attempt will go on from this one.
        task_ended: bool,
    },
    /// Nobody wants it any more.
    Superseded,
}

/// Where attempts post their reports.
#[derive(Clone)]
pub struct Outbox {
    letters: mpsc::UnboundedSender<Letter>,
}

impl Outbox {
    pub fn new() -> (Self, OutboxLoop) {
        let (letters, posted) = mpsc::unbounded_channel();
        (Self { letters }, OutboxLoop { posted, waiting: VecDeque::new() })
    }

    /// Sends the report that lies in `spool`; comes back once the coordinator has decided on it.
    pub async fn deliver(&self, task: TaskId, spool: SpoolDir) -> Taken {
        let (taken, answer) = oneshot::channel();
        // Without a loop the worker is stopping; the report stays on disk for the next start.
        let _ = self.letters.send(Letter { task, spool, handed_over: 0, checkpointed: false, taken });
        match answer.await {
            Ok(taken) => taken,
            // The loop has ended: the worker stops, and sends the report after its next start.
            Err(_) => std::future::pending().await,
        }
    }
}

pub struct OutboxLoop {
    posted: mpsc::UnboundedReceiver<Letter>,
    waiting: VecDeque<Letter>,
}

impl OutboxLoop {
    /// Runs until the token is cancelled.
    pub async fn run(
        mut self,
        worker: WorkerId,
        protocol: watch::Receiver<u32>,
        mut uplink: Uplink,
        token: CancellationToken,
    ) {
        loop {
            while let Ok(letter) = self.posted.try_recv() {
                self.waiting.push_back(letter);
            }
            let Some(mut letter) = self.waiting.pop_front() else {
                tokio::select! {
                    () = token.cancelled() => return,
                    Some(letter) = self.posted.recv() => self.waiting.push_back(letter),
                    else => return,
                }
                continue;
            };
            let sent = tokio::select! {
                () = token.cancelled() => return,
                sent = letter.send(worker, &protocol, &mut uplink) => sent,
            };
            match sent {
                Ok(taken) => {
                    uplink.worked();
                    // Its attempt may have been ended meanwhile; the report is delivered all the same.
                    let _ = letter.taken.send(taken);
                }
                Err(error) => {
                    tracing::warn!(
                        task = %letter.task, attempt = %letter.spool.attempt(), error = %error.full(),
                        "a report could not be delivered; it waits in the outbox"
                    );
                    // To the end of the queue, so that one that is refused does not hold up the rest.
                    self.waiting.push_back(letter);
                    tokio::select! {
                        () = token.cancelled() => return,
                        () = uplink.pause() => {}
                    }
                }
            }
        }
    }
}

impl Letter {
    async fn send(
        &mut self,
        worker: WorkerId,
        protocol: &watch::Receiver<u32>,
        uplink: &mut Uplink,
    ) -> Result<Taken, Trouble> {
        let client = uplink.client().await?;
        let enclosures: Vec<Enclosure> =
            serde_json::from_slice(&blocking::read(enclosures_path(&self.spool)).await?)
                .map_err(io::Error::from)?;
        while let Some(enclosure) = enclosures.get(self.handed_over) {
            self.owner(worker).hand_over(&client, enclosure).await?;
            self.handed_over += 1;
        }
        if !self.checkpointed {
            self.checkpoint(worker, &client).await?;
            self.checkpointed = true;
        }
        let encoded = blocking::read(self.spool.report_path()).await?;
        let report = v1::Report::decode(encoded.as_slice()).map_err(io::Error::from)?;
        let protocol = *protocol.borrow();
        let request = v1::ReportRequest {
            worker_id: worker.to_string(),
            task_id: self.task.to_string(),
            attempt_id: self.spool.attempt().to_string(),
            digest: Sha256::digest(&encoded).to_vec(),
            report: Some(spoken_in(protocol, report)?),
        };
        let reply = client.worker().report(client.request(request)).await?.into_inner();
        match reply.verdict() {
            v1::ReportVerdict::Accepted | v1::ReportVerdict::Duplicate => {
                Ok(Taken::Accepted { task_ended: reply.task_ended })
            }
            v1::ReportVerdict::Superseded => Ok(Taken::Superseded),
            v1::ReportVerdict::Unspecified => {
                Err(Status::internal("the report was answered without a verdict").into())
            }
        }
    }

    async fn checkpoint(&self, worker: WorkerId, client: &Client) -> Result<(), Trouble> {
        let json = match blocking::read(checkpoint_path(&self.spool)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            read => read?,
        };
        let checkpoint: Checkpoint = serde_json::from_slice(&json).map_err(io::Error::from)?;
        match self.owner(worker).checkpoint(client, checkpoint).await {
            Err(Trouble::Answer(status)) if upload::is_final(&status) => {
                tracing::warn!(
                    task = %self.task, attempt = %self.spool.attempt(), why = status.message(),
                    "the coordinator does not keep the attempt's last checkpoint"
                );
                Ok(())
            }
            told => told,
        }
    }

    fn owner(&self, worker: WorkerId) -> Owner {
        Owner { worker, task: self.task, attempt: self.spool.attempt() }
    }
}

/// The report as a coordinator of this version of the protocol understands it.
fn spoken_in(protocol: u32, report: v1::Report) -> Result<v1::Report, Trouble> {
    if report.outcome() != v1::OutcomeKind::HandedOver || protocol >= HANDS_OVER {
        return Ok(report);
    }
    if protocol == 0 {
        return Err(Trouble::NotWelcomed);
    }
    let failure = v1::Failure {
        reason: FailureReason::WorkerError.as_str().to_owned(),
        message: "the worker stopped, and ended the agent for that".to_owned(),
    };
    Ok(v1::Report { outcome: v1::OutcomeKind::Failed.into(), failure: Some(failure), ..report })
}

/// Whether an attempt's report is on disk.
pub fn holds(spool: &SpoolDir) -> bool {
    spool.report_path().exists()
}

/// The attempt's log's length, by its report on disk.
pub fn log_records(spool: &SpoolDir) -> io::Result<u64> {
    Ok(v1::Report::decode(std::fs::read(spool.report_path())?.as_slice())?.log_records)
}
