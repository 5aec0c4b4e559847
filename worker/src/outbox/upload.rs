//! Files and checkpoints of an attempt, on their way to the coordinator.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_domain::{AttemptId, Checkpoint, TaskId, WorkerId};
use factory_proto::client::Client;
use factory_proto::v1;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio_util::io::ReaderStream;
use tonic::{Code, Status};

use crate::uplink::Trouble;

/// Bytes of an artifact in one message.
const PIECE: usize = 256 * 1024;
/// How long one file may take before it is tried again over a new connection.
const UPLOAD_WITHIN: Duration = Duration::from_secs(600);

/// A file to hand over.
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
    /// A checkpoint's, named by its number.
    CheckpointWork,
    CheckpointTranscript,
}

impl EnclosureKind {
    const fn on_the_wire(self) -> v1::ArtifactKind {
        match self {
            Self::Patch => v1::ArtifactKind::Patch,
            Self::Bundle => v1::ArtifactKind::Bundle,
            Self::File => v1::ArtifactKind::File,
            Self::CheckpointWork => v1::ArtifactKind::CheckpointWork,
            Self::CheckpointTranscript => v1::ArtifactKind::CheckpointTranscript,
        }
    }
}

/// Whose files they are.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    pub worker: WorkerId,
    pub task: TaskId,
    pub attempt: AttemptId,
}

impl Owner {
    /// Uploads one file. One that cannot be had, or that the coordinator will not keep, is left
    /// out: the report is worth more than any file of it.
    pub async fn hand_over(&self, client: &Client, file: &Enclosure) -> Result<(), Trouble> {
        let header = match self.header(file).await {
            Ok(header) => header,
            Err(error) => {
                tracing::warn!(
                    task = %self.task, attempt = %self.attempt, name = file.name, %error,
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
                    task = %self.task, attempt = %self.attempt, name = file.name,
                    why = status.message(), "the coordinator does not keep a file of the attempt"
                );
                Ok(())
            }
            Err(status) => Err(status.into()),
        }
    }

    async fn header(&self, file: &Enclosure) -> io::Result<v1::ArtifactHeader> {
        let (bytes, sha256) = measure(&file.path).await?;
        Ok(v1::ArtifactHeader {
            worker_id: self.worker.to_string(),
            task_id: self.task.to_string(),
            attempt_id: self.attempt.to_string(),
            artifact: Some(v1::Artifact {
                kind: file.kind.on_the_wire().into(),
                name: file.name.clone(),
                bytes,
                sha256,
            }),
        })
    }

    /// Makes a checkpoint the one to go on from. Its files have been handed over.
    pub async fn checkpoint(&self, client: &Client, checkpoint: Checkpoint) -> Result<(), Trouble> {
        let request = v1::CheckpointRequest {
            worker_id: self.worker.to_string(),
            task_id: self.task.to_string(),
            attempt_id: self.attempt.to_string(),
            checkpoint: Some(checkpoint.into()),
        };
        client.worker().checkpoint(client.request(request)).await?;
        Ok(())
    }
}

/// The coordinator will not keep the file, however often it is sent: it is too large, or its
/// attempt has been given up, which the report's answer will say; or it is of a release that knows no such thing.
pub fn is_final(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::Unimplemented
    )
}

/// Size and SHA-256 of a file.
pub async fn measure(path: &Path) -> io::Result<(u64, Vec<u8>)> {
    let mut content = ReaderStream::with_capacity(tokio::fs::File::open(path).await?, PIECE);
    let (mut bytes, mut hash) = (0, Sha256::new());
    while let Some(piece) = content.next().await {
        let piece = piece?;
        bytes += piece.len() as u64;
        hash.update(&piece);
    }
    Ok((bytes, hash.finalize().to_vec()))
}
