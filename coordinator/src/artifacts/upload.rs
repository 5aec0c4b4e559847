//! One artifact on its way in.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{ArtifactError, describe};
use crate::store::ArtifactEntry;

/// An upload. Dropping it unfinished leaves nothing behind.
#[derive(Debug)]
pub struct Upload {
    entry: ArtifactEntry,
    /// Where it goes in the end.
    place: PathBuf,
    received: u64,
    /// Away while a piece is being written, and for good if that failed.
    writing: Option<Writing>,
}

#[derive(Debug)]
struct Writing {
    file: File,
    temporary: Temporary,
    digest: Sha256,
}

/// A file that goes when this does; once renamed, there is nothing left to go.
#[derive(Debug)]
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Where this fails too, the next start clears it away.
        let _ = fs::remove_file(&self.0);
    }
}

impl Upload {
    pub(super) async fn begin(
        incoming: &Path,
        place: PathBuf,
        entry: ArtifactEntry,
    ) -> Result<Self, ArtifactError> {
        let path = incoming.join(Uuid::now_v7().to_string());
        let writing = blocking(move || {
            let file = File::create_new(&path).map_err(ArtifactError::io("create", &path))?;
            Ok(Writing { file, temporary: Temporary(path), digest: Sha256::new() })
        });
        Ok(Self { entry, place, received: 0, writing: Some(writing.await?) })
    }

    /// Takes the next piece. After an error the upload is lost.
    pub async fn write(&mut self, piece: impl AsRef<[u8]> + Send + 'static) -> Result<(), ArtifactError> {
        let received = self.received + piece.as_ref().len() as u64;
        let Some(mut writing) = self.writing.take().filter(|_| received <= self.entry.bytes) else {
            return Err(self.wrong_length(received));
        };
        let written = blocking(move || {
            let piece = piece.as_ref();
            writing.digest.update(piece);
            let path = &writing.temporary.0;
            writing.file.write_all(piece).map_err(ArtifactError::io("write", path))?;
            Ok(writing)
        });
        self.writing = Some(written.await?);
        self.received = received;
        Ok(())
    }

    /// Gives the artifact its place, if all of it came as announced. It survives a power cut from then on.
    pub async fn finish(mut self) -> Result<ArtifactEntry, ArtifactError> {
        let Some(writing) = self.writing.take().filter(|_| self.received == self.entry.bytes) else {
            return Err(self.wrong_length(self.received));
        };
        let (entry, place) = (self.entry, self.place);
        blocking(move || {
            if writing.digest.finalize().as_slice() != entry.sha256 {
                return Err(ArtifactError::WrongDigest { what: describe(entry.kind, &entry.name) });
            }
            settle(&writing.file, &writing.temporary, &place)?;
            Ok(entry)
        })
        .await
    }

    fn wrong_length(&self, received: u64) -> ArtifactError {
        let what = describe(self.entry.kind, &self.entry.name);
        ArtifactError::WrongLength { what, announced: self.entry.bytes, received }
    }
}

fn settle(file: &File, temporary: &Temporary, place: &Path) -> Result<(), ArtifactError> {
    file.sync_all().map_err(ArtifactError::io("sync", &temporary.0))?;
    let dir = place.parent().unwrap_or(place);
    fs::create_dir_all(dir).map_err(ArtifactError::io("create", dir))?;
    fs::rename(&temporary.0, place).map_err(ArtifactError::io("rename to", place))?;
    // The names of the file, and of the directories that may have been made for it.
    for dir in place.ancestors().skip(1).take(3) {
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(ArtifactError::io("sync", dir))?;
    }
    Ok(())
}

/// File work, off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is going down.
        Err(_) => Err(ArtifactError::Stopping),
    }
}
