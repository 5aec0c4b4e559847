//! Files kept of an attempt: taken from its worker, given to whoever asks.

use factory_domain::{TaskId, WorkerId};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::pruned::sentence;
use super::{App, Error};
use crate::artifacts::Upload;
use crate::store::{ArtifactEntry, ArtifactKey, ArtifactKind, AttemptEntry, Pruned, PrunedItem};

/// Bytes of one piece given out.
const PIECE: u64 = 256 * 1024;

/// Which of an attempt's files. There is one patch and one bundle; of the other kinds there may be many.
#[derive(Debug, Clone)]
pub struct ArtifactName {
    pub kind: ArtifactKind,
    pub name: String,
}

impl ArtifactName {
    /// A file is named by its path, a checkpoint's files by its number; the other kinds have one name each.
    pub fn read(kind: ArtifactKind, name: String) -> Result<Self, Error> {
        let name = match kind {
            ArtifactKind::Patch => "changes.patch".to_owned(),
            ArtifactKind::Bundle => "commits.bundle".to_owned(),
            ArtifactKind::File if name.is_empty() => {
                return Err(Error::invalid(
                    "name",
                    "is missing; a file is named by its path in the workspace",
                ));
            }
            ArtifactKind::File => name,
            ArtifactKind::CheckpointWork | ArtifactKind::CheckpointTranscript => {
                let number: u32 =
                    name.parse().map_err(|_| Error::invalid("name", "must be a checkpoint's number"))?;
                number.to_string()
            }
        };
        Ok(Self { kind, name })
    }

    fn is_of(&self, key: &ArtifactKey) -> bool {
        let one_of_many = !matches!(self.kind, ArtifactKind::Patch | ArtifactKind::Bundle);
        key.kind == self.kind && (!one_of_many || key.name == self.name)
    }
}

/// An artifact's content, from its beginning.
pub struct ArtifactContent(File);

impl ArtifactContent {
    pub(super) fn of(file: File) -> Self {
        Self(file)
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let mut piece = Vec::new();
        (&mut self.0).take(PIECE).read_to_end(&mut piece).await.map_err(Error::ReadArtifact)?;
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

impl App {
    /// Begins to take a file of an attempt. Its worker may bring it even when the
    /// attempt was given up: work is saved, whatever became of the lease.
    pub async fn begin_upload(
        &self,
        worker: WorkerId,
        task: TaskId,
        entry: ArtifactEntry,
    ) -> Result<Upload, Error> {
        let attempt = self.store.attempt(entry.attempt).await?;
        if !attempt.is_some_and(|attempt| attempt.worker == worker && attempt.task == task) {
            return Err(Error::NotYours(entry.attempt));
        }
        Ok(self.artifacts.begin(entry).await?)
    }

    /// Keeps what was uploaded, if it is what was announced.
    pub async fn finish_upload(&self, task: TaskId, upload: Upload) -> Result<(), Error> {
        let _naming = self.artifacts.name_one().await;
        let entry = upload.finish().await?;
        tracing::info!(%task, attempt = %entry.attempt, name = entry.name, bytes = entry.bytes, "artifact kept");
        self.store.add_artifact(entry, self.clock.now()).await?;
        Ok(())
    }

    /// Opens a file of the attempt numbered `number`; 0: of the latest that has it.
    pub async fn read_artifact(
        &self,
        task: &str,
        number: u32,
        name: ArtifactName,
    ) -> Result<ArtifactContent, Error> {
        let task = self.store.resolve(task).await?;
        let attempts: Vec<AttemptEntry> = self.store.attempts(task).await?;
        if number != 0 && attempts.iter().all(|attempt| attempt.number != number) {
            return Err(Error::NoSuchAttempt { task, number });
        }
        let wanted = attempts.iter().rev().filter(|attempt| number == 0 || attempt.number == number);
        for attempt in wanted.clone() {
            let kept = self.store.artifacts(attempt.id).await?;
            if let Some(entry) = kept.iter().find(|entry| name.is_of(&entry.key())) {
                let file = self.artifacts.open_read(attempt.id, entry.kind, &entry.name).await?;
                return Ok(ArtifactContent(file));
            }
        }
        for attempt in wanted {
            let pruned = self.store.pruned(attempt.id).await?;
            let it = |pruned: &&Pruned| matches!(&pruned.item, PrunedItem::Artifact(key) if name.is_of(key));
            if let Some(pruned) = pruned.iter().find(it) {
                return Err(Error::Removed(sentence(pruned, attempt.number)));
            }
        }
        Err(Error::NoSuchArtifact { task, what: describe(&name) })
    }
}

fn describe(name: &ArtifactName) -> String {
    match name.kind {
        ArtifactKind::Patch => "patch".to_owned(),
        ArtifactKind::Bundle => "bundle of commits".to_owned(),
        ArtifactKind::File => format!("file `{}`", name.name.escape_debug()),
        ArtifactKind::CheckpointWork => format!("work of a checkpoint {}", name.name),
        ArtifactKind::CheckpointTranscript => format!("transcript of a checkpoint {}", name.name),
    }
}
