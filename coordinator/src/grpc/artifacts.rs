//! Uploads and the names of artifacts, as the wire has them.

use std::sync::Arc;

use factory_proto::{convert, v1};
use tonic::{Status, Streaming};

use crate::app::{App, ArtifactName, Error};
use crate::store::{ArtifactEntry, ArtifactKind};

/// Bytes; no path is longer.
const MAX_NAME: usize = 4096;

pub fn read_name(kind: v1::ArtifactKind, name: String) -> Result<ArtifactName, Error> {
    let kind = match kind {
        v1::ArtifactKind::Patch => ArtifactKind::Patch,
        v1::ArtifactKind::Bundle => ArtifactKind::Bundle,
        v1::ArtifactKind::File => ArtifactKind::File,
        v1::ArtifactKind::CheckpointWork => ArtifactKind::CheckpointWork,
        v1::ArtifactKind::CheckpointTranscript => ArtifactKind::CheckpointTranscript,
        v1::ArtifactKind::Unspecified => return Err(Error::invalid("kind", "is missing")),
    };
    ArtifactName::read(kind, name)
}

/// Takes the header and then the content, piece by piece.
pub async fn receive(app: &Arc<App>, mut pieces: Streaming<v1::UploadArtifactRequest>) -> Result<(), Status> {
    use v1::upload_artifact_request::Part;
    let header = match pieces.message().await?.and_then(|first| first.part) {
        Some(Part::Header(header)) => header,
        _ => return Err(Error::invalid("header", "must come first").into()),
    };
    let worker = convert::worker_id(&header.worker_id).map_err(Error::from)?;
    let task = convert::task_id(&header.task_id).map_err(Error::from)?;
    let entry = read_entry(header)?;
    let mut upload = app.begin_upload(worker, task, entry).await?;
    while let Some(piece) = pieces.message().await? {
        match piece.part {
            Some(Part::Data(data)) => upload.write(data).await.map_err(Error::from)?,
            _ => return Err(Error::invalid("data", "is missing").into()),
        }
    }
    app.finish_upload(task, upload).await?;
    Ok(())
}

fn read_entry(header: v1::ArtifactHeader) -> Result<ArtifactEntry, Error> {
    let attempt = convert::attempt_id(&header.attempt_id)?;
    let artifact = header.artifact.ok_or_else(|| Error::invalid("header.artifact", "is missing"))?;
    let sha256 = artifact.sha256.as_slice().try_into();
    let sha256 = sha256.map_err(|_| Error::invalid("header.artifact.sha256", "must be 32 bytes"))?;
    let bytes = artifact.bytes;
    let ArtifactName { kind, name } = read_name(artifact.kind(), artifact.name)?;
    if name.len() > MAX_NAME {
        return Err(Error::invalid("header.artifact.name", format!("is longer than {MAX_NAME} bytes")));
    }
    Ok(ArtifactEntry { attempt, kind, name, bytes, sha256 })
}
