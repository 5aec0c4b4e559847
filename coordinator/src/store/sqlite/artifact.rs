//! What is known of files kept for an attempt. The files themselves lie under the root.

use factory_domain::Timestamp;

use super::fleet::bytes;
use super::job::{Tx, Verb};
use super::rows;
use super::statements;
use crate::store::{ArtifactEntry, ArtifactKind, StoreError};

pub(super) struct KeepArtifact {
    pub artifact: ArtifactEntry,
    pub now: Timestamp,
}

impl Verb for KeepArtifact {
    type Output = ();
    type Error = StoreError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let artifact = &self.artifact;
        sqlx::query(statements::KEEP_ARTIFACT)
            .bind(&artifact.attempt.as_bytes()[..])
            .bind(name_of(artifact.kind))
            .bind(&artifact.name)
            .bind(bytes(artifact.bytes))
            .bind(&artifact.sha256[..])
            .bind(self.now.as_millis())
            .execute(&mut *tx.connection)
            .await?;
        Ok(())
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct ArtifactRow {
    attempt_id: Vec<u8>,
    kind: String,
    name: String,
    bytes: i64,
    sha256: Vec<u8>,
}

impl ArtifactRow {
    pub(super) fn read(self) -> Result<ArtifactEntry, StoreError> {
        Ok(ArtifactEntry {
            attempt: rows::attempt_id(&self.attempt_id)?,
            kind: kind_of(&self.kind)?,
            name: self.name,
            bytes: rows::unsigned(self.bytes)?,
            sha256: self
                .sha256
                .try_into()
                .map_err(|_| rows::corrupt("an artifact's digest is not 32 bytes"))?,
        })
    }
}

pub(super) fn name_of(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Patch => "patch",
        ArtifactKind::Bundle => "bundle",
        ArtifactKind::File => "file",
        ArtifactKind::CheckpointWork => "checkpoint_work",
        ArtifactKind::CheckpointTranscript => "checkpoint_transcript",
    }
}

pub(super) fn kind_of(name: &str) -> Result<ArtifactKind, StoreError> {
    match name {
        "patch" => Ok(ArtifactKind::Patch),
        "bundle" => Ok(ArtifactKind::Bundle),
        "file" => Ok(ArtifactKind::File),
        "checkpoint_work" => Ok(ArtifactKind::CheckpointWork),
        "checkpoint_transcript" => Ok(ArtifactKind::CheckpointTranscript),
        other => Err(rows::corrupt(format_args!("unknown artifact kind `{other}`"))),
    }
}
