//! The outbox: reports wait on disk, and are sent until the coordinator has taken them or never will.
//!
//! An attempt's artifacts go before its report, so that whoever sees the end can fetch them.
//! The coordinator takes a repeated report as the same one, so after any doubt it is sent again.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use factory_domain::{Report, TaskId, WorkerId};
use factory_proto::client::Client;
use factory_proto::v1;
use futures_util::StreamExt;
use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::spool::{SpoolDir, write_atomically};
use crate::uplink::{Trouble, Uplink};

/// Bytes of an artifact in one message.
const PIECE: usize = 256 * 1024;
/// How long one file may take before it is tried again over a new connection.
const UPLOAD_WITHIN: Duration = Duration::from_secs(600);

/// A file to hand over with the report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Enclosure {
    pub kind: EnclosureKind,
    /// Unique within its kind.
    pub name: String,
    pub path: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnclosureKind {
    Patch,
    Bundle,
    File,
}

impl EnclosureKind {
    const fn on_the_wire(self) -> v1::ArtifactKind {
        match self {
            Self::Patch => v1::ArtifactKind::Patch,
            Self::Bundle => v1::ArtifactKind::Bundle,
            Self::File => v1::ArtifactKind::File,
        }
    }
}

/// Puts a report on disk. From here on it is delivered, whatever becomes of this process.
pub async fn write(spool: SpoolDir, report: Report, enclosures: Vec<Enclosure>) -> io::Result<()> {
    let writing = tokio::task::spawn_blocking(move || {
        // The report last: its presence says that all is there.
        write_atomically(&enclosures_path(&spool), &serde_json::to_vec(&enclosures)?)?;
        write_atomically(&spool.report_path(), &v1::Report::from(report).encode_to_vec())
    });
    writing.await.map_err(io::Error::other)?
}

fn enclosures_path(spool: &SpoolDir) -> PathBuf {
    spool.path().join("enclosures.json")
}

/// A report on disk, on its way.
struct Letter {
    task: TaskId,
    spool: SpoolDir,
    /// Enclosures the coordinator has.
    handed_over: usize,
    taken: oneshot::Sender<Taken>,
}

/// What the coordinator made of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Accepted,
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
        let _ = self.letters.send(Letter { task, spool, handed_over: 0, taken });
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
    pub async fn run(mut self, worker: WorkerId, mut uplink: Uplink, token: CancellationToken) {
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
                sent = letter.send(worker, &mut uplink) => sent,
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
    async fn send(&mut self, worker: WorkerId, uplink: &mut Uplink) -> Result<Taken, Trouble> {
        let client = uplink.client().await?;
        let enclosures: Vec<Enclosure> =
            serde_json::from_slice(&tokio::fs::read(enclosures_path(&self.spool)).await?)
                .map_err(io::Error::from)?;
        while let Some(enclosure) = enclosures.get(self.handed_over) {
            self.hand_over(worker, &client, enclosure).await?;
            self.handed_over += 1;
        }
        let encoded = tokio::fs::read(self.spool.report_path()).await?;
        let request = v1::ReportRequest {
            worker_id: worker.to_string(),
            task_id: self.task.to_string(),
            attempt_id: self.spool.attempt().to_string(),
            digest: Sha256::digest(&encoded).to_vec(),
            report: Some(v1::Report::decode(encoded.as_slice()).map_err(io::Error::from)?),
        };
        let reply = client.worker().report(client.request(request)).await?;
        match reply.into_inner().verdict() {
            v1::ReportVerdict::Accepted | v1::ReportVerdict::Duplicate => Ok(Taken::Accepted),
            v1::ReportVerdict::Superseded => Ok(Taken::Superseded),
            v1::ReportVerdict::Unspecified => {
                Err(Status::internal("the report was answered without a verdict").into())
            }
        }
    }

    /// Uploads one file. One that cannot be had, or that the coordinator will not keep, is left
    /// out: the report is worth more than any file of it.
    async fn hand_over(&self, worker: WorkerId, client: &Client, file: &Enclosure) -> Result<(), Trouble> {
        let header = match self.header(worker, file).await {
            Ok(header) => header,
            Err(error) => {
                tracing::warn!(
                    task = %self.task, attempt = %self.spool.attempt(), name = file.name, %error,
                    "a file of the attempt cannot be read and is left out"
                );
                return Ok(());
            }
        };
        let content = ReaderStream::with_capacity(tokio::fs::File::open(&file.path).await?, PIECE);
        // A read that fails half-way ends the stream early, which the coordinator notices by the size.
        let pieces = content
            .take_while(|piece| std::future::ready(piece.is_ok()))
            .filter_map(|piece| std::future::ready(piece.ok()))
            .map(|piece| v1::upload_artifact_request::Part::Data(piece.to_vec()));
        let first = futures_util::stream::iter([v1::upload_artifact_request::Part::Header(header)]);
        let parts = first.chain(pieces).map(|part| v1::UploadArtifactRequest { part: Some(part) });
        let uploaded = tokio::time::timeout(UPLOAD_WITHIN, client.worker().upload_artifact(parts)).await;
        match uploaded.unwrap_or_else(|_| Err(Status::deadline_exceeded("the upload took too long"))) {
            Ok(_) => Ok(()),
            Err(status) if is_final(&status) => {
                tracing::warn!(
                    task = %self.task, attempt = %self.spool.attempt(), name = file.name,
                    why = status.message(), "the coordinator does not keep a file of the attempt"
                );
                Ok(())
            }
            Err(status) => Err(status.into()),
        }
    }

    async fn header(&self, worker: WorkerId, file: &Enclosure) -> io::Result<v1::ArtifactHeader> {
        let (bytes, sha256) = measure(&file.path).await?;
        Ok(v1::ArtifactHeader {
            worker_id: worker.to_string(),
            task_id: self.task.to_string(),
            attempt_id: self.spool.attempt().to_string(),
            artifact: Some(v1::Artifact {
                kind: file.kind.on_the_wire().into(),
                name: file.name.clone(),
                bytes,
                sha256,
            }),
        })
    }
}

/// The coordinator will not keep the file, however often it is sent: it is too large, or its
/// attempt has been given up, which the report's answer will say.
fn is_final(status: &Status) -> bool {
    matches!(status.code(), Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition)
}

/// Size and SHA-256 of a file.
async fn measure(path: &std::path::Path) -> io::Result<(u64, Vec<u8>)> {
    let mut content = ReaderStream::with_capacity(tokio::fs::File::open(path).await?, PIECE);
    let (mut bytes, mut hash) = (0, Sha256::new());
    while let Some(piece) = content.next().await {
        let piece = piece?;
        bytes += piece.len() as u64;
        hash.update(&piece);
    }
    Ok((bytes, hash.finalize().to_vec()))
}

/// Whether an attempt's report is on disk.
pub fn holds(spool: &SpoolDir) -> bool {
    spool.report_path().exists()
}

/// The attempt's log's length, by its report on disk.
pub fn log_records(spool: &SpoolDir) -> io::Result<u64> {
    Ok(v1::Report::decode(std::fs::read(spool.report_path())?.as_slice())?.log_records)
}
