use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::{self, ArtifactEntry};

#[derive(Debug, Serialize, ToSchema)]
pub struct Artifact {
    kind: ArtifactKind,
    name: String,
    bytes: u64,
    sha256: String,
}

/// The change as a diff; the commits as a git bundle; a file left in a workspace without a repository; the work and
/// the conversation of a checkpoint.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    Patch,
    Bundle,
    File,
    CheckpointWork,
    CheckpointTranscript,
}

impl From<ArtifactEntry> for Artifact {
    fn from(entry: ArtifactEntry) -> Self {
        Self {
            kind: entry.kind.into(),
            name: entry.name,
            bytes: entry.bytes,
            sha256: hex::encode(entry.sha256),
        }
    }
}

impl From<store::ArtifactKind> for ArtifactKind {
    fn from(kind: store::ArtifactKind) -> Self {
        match kind {
            store::ArtifactKind::Patch => Self::Patch,
            store::ArtifactKind::Bundle => Self::Bundle,
            store::ArtifactKind::File => Self::File,
            store::ArtifactKind::CheckpointWork => Self::CheckpointWork,
            store::ArtifactKind::CheckpointTranscript => Self::CheckpointTranscript,
        }
    }
}

impl From<ArtifactKind> for store::ArtifactKind {
    fn from(kind: ArtifactKind) -> Self {
        match kind {
            ArtifactKind::Patch => Self::Patch,
            ArtifactKind::Bundle => Self::Bundle,
            ArtifactKind::File => Self::File,
            ArtifactKind::CheckpointWork => Self::CheckpointWork,
            ArtifactKind::CheckpointTranscript => Self::CheckpointTranscript,
        }
    }
}
