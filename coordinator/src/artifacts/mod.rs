//! The files kept of attempts: patches, bundles, and what was left in an empty workspace.
//!
//! `<root>/<attempt id>/changes.patch`, `commits.bundle`, and `files/<SHA-256 of the name>`:
//! a file's name comes from an agent and is no path to be trusted, so it makes none.
//! An upload is written aside and gets its place, synced, once its length and digest are
//! what was announced; a reader sees the whole file or none. What is uploaded
//! again replaces what was there.

mod inventory;
mod upload;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use factory_domain::AttemptId;
use sha2::{Digest, Sha256};
use tokio::fs;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::store::{ArtifactEntry, ArtifactKind};

pub use inventory::{Folder, Unnamed};
pub use upload::Upload;

/// Bytes of one artifact.
pub const MAX_BYTES: u64 = 512 * 1024 * 1024;

/// Uploads under way; emptied at a start.
const INCOMING: &str = "incoming";
/// An attempt's commits.
const BUNDLE: &str = "commits.bundle";

/// The artifacts under one root. Cloning shares the store.
#[derive(Debug, Clone)]
pub struct ArtifactStore {
    root: Arc<Path>,
    /// Shared while a file gets its place and then its row; held alone while files are removed, so
    /// that none is taken for one that has no row.
    naming: Arc<RwLock<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    #[error("{what} is too large to be kept: {bytes} bytes, and {MAX_BYTES} at most are allowed")]
    TooLarge { what: String, bytes: u64 },
    #[error("{what} was announced with {announced} bytes, and {received} came")]
    WrongLength { what: String, announced: u64, received: u64 },
    #[error("{what} came damaged: its SHA-256 is not what was announced; send it again")]
    WrongDigest { what: String },
    #[error(
        "{what} of attempt {attempt} is gone: {} is not there, and nothing in the factory removed it; \
         a backup may have it", path.display()
    )]
    Missing { what: String, attempt: AttemptId, path: PathBuf },
    #[error("the disk is full: no room for {}; free some space, and send it again", path.display())]
    Full {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot {doing} {}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the coordinator is stopping")]
    Stopping,
}

impl ArtifactError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Io { doing, path, source },
        }
    }
}

impl ArtifactStore {
    /// Makes `root` where it is missing, and clears away uploads that a crash cut off.
    pub async fn open(root: PathBuf) -> Result<Self, ArtifactError> {
        let incoming = root.join(INCOMING);
        match fs::remove_dir_all(&incoming).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            cleared => cleared.map_err(ArtifactError::io("clear", &incoming))?,
        }
        fs::create_dir_all(&incoming).await.map_err(ArtifactError::io("create", &incoming))?;
        Ok(Self { root: root.into(), naming: Arc::default() })
    }

    /// To be held from before [`Upload::finish`] until the store knows of the artifact.
    pub async fn name_one(&self) -> RwLockReadGuard<'_, ()> {
        self.naming.read().await
    }

    /// To be held while it is looked which files no artifact is kept in, and they are removed.
    pub async fn name_none(&self) -> RwLockWriteGuard<'_, ()> {
        self.naming.write().await
    }

    /// Begins to take what `entry` announces.
    pub async fn begin(&self, entry: ArtifactEntry) -> Result<Upload, ArtifactError> {
        if entry.bytes > MAX_BYTES {
            return Err(ArtifactError::TooLarge {
                what: describe(entry.kind, &entry.name),
                bytes: entry.bytes,
            });
        }
        let place = self.path(entry.attempt, entry.kind, &entry.name);
        Upload::begin(&self.root.join(INCOMING), place, entry).await
    }

    /// Opens what was kept, for reading from its beginning. The name matters for [`ArtifactKind::File`] only.
    pub async fn open_read(
        &self,
        attempt: AttemptId,
        kind: ArtifactKind,
        name: &str,
    ) -> Result<fs::File, ArtifactError> {
        let path = self.path(attempt, kind, name);
        match fs::File::open(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(ArtifactError::Missing { what: describe(kind, name), attempt, path })
            }
            opened => opened.map_err(ArtifactError::io("open", &path)),
        }
    }

    fn folder(&self, attempt: AttemptId) -> PathBuf {
        self.root.join(attempt.to_string())
    }

    fn path(&self, attempt: AttemptId, kind: ArtifactKind, name: &str) -> PathBuf {
        let dir = self.folder(attempt);
        match kind {
            ArtifactKind::Patch => dir.join("changes.patch"),
            ArtifactKind::Bundle => dir.join(BUNDLE),
            ArtifactKind::File => dir.join("files").join(hex::encode(Sha256::digest(name))),
            ArtifactKind::CheckpointWork => dir.join(format!("checkpoint-{name}.bundle")),
            ArtifactKind::CheckpointTranscript => dir.join(format!("checkpoint-{name}.transcript")),
        }
    }
}

/// What people call an artifact.
pub fn describe(kind: ArtifactKind, name: &str) -> String {
    match kind {
        ArtifactKind::Patch => "the patch".to_owned(),
        ArtifactKind::Bundle => "the bundle of commits".to_owned(),
        ArtifactKind::File => format!("the file `{}`", name.escape_debug()),
        ArtifactKind::CheckpointWork => format!("the work of checkpoint {name}"),
        ArtifactKind::CheckpointTranscript => format!("the transcript of checkpoint {name}"),
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::io::AsyncReadExt;
    use uuid::Uuid;

    use super::*;

    fn entry(kind: ArtifactKind, name: &str, content: &[u8]) -> ArtifactEntry {
        ArtifactEntry {
            attempt: AttemptId::from_uuid(Uuid::from_u128(7)),
            kind,
            name: name.to_owned(),
            bytes: content.len() as u64,
            sha256: Sha256::digest(content).into(),
        }
    }

    async fn store(root: &TempDir) -> ArtifactStore {
        ArtifactStore::open(root.path().join("artifacts")).await.expect("the root can be written")
    }

    async fn keep(store: &ArtifactStore, entry: ArtifactEntry, content: &[u8]) -> Result<(), ArtifactError> {
        let mut upload = store.begin(entry).await?;
        for piece in content.chunks(1000) {
            upload.write(piece.to_vec()).await?;
        }
        upload.finish().await.map(drop)
    }

    async fn read(store: &ArtifactStore, entry: &ArtifactEntry) -> Result<Vec<u8>, ArtifactError> {
        let mut content = Vec::new();
        let mut file = store.open_read(entry.attempt, entry.kind, &entry.name).await?;
        file.read_to_end(&mut content).await.expect("it reads");
        Ok(content)
    }

    fn incoming(store: &ArtifactStore) -> usize {
        std::fs::read_dir(store.root.join(INCOMING)).expect("it is there").count()
    }

    #[tokio::test]
    async fn what_was_kept_is_read_back_and_a_second_upload_replaces_it() {
        let root = TempDir::new().expect("a directory");
        let store = store(&root).await;
        for content in [vec![1u8; 2500], b"new".to_vec(), Vec::new()] {
            for (kind, name) in
                [(ArtifactKind::Patch, ""), (ArtifactKind::Bundle, ""), (ArtifactKind::File, "a/b.txt")]
            {
                let entry = entry(kind, name, &content);
                keep(&store, entry.clone(), &content).await.expect("it is as announced");
                assert_eq!(read(&store, &entry).await.expect("it is kept"), content);
            }
        }
        assert_eq!(incoming(&store), 0);
    }

    #[tokio::test]
    async fn no_name_leads_out_of_the_attempts_directory() {
        let root = TempDir::new().expect("a directory");
        let store = store(&root).await;
        let long = "x".repeat(5000);
        for name in ["../../escape", "/etc/passwd", "..", "a\0b", "changes.patch", &long] {
            let entry = entry(ArtifactKind::File, name, name.as_bytes());
            keep(&store, entry.clone(), name.as_bytes()).await.expect("any name will do");
            assert_eq!(read(&store, &entry).await.expect("it is kept"), name.as_bytes());
        }
        let outside: Vec<_> = std::fs::read_dir(root.path()).expect("it is there").collect();
        assert_eq!(outside.len(), 1);
        let patch = entry(ArtifactKind::Patch, "", b"");
        assert!(matches!(read(&store, &patch).await, Err(ArtifactError::Missing { .. })));
    }

    #[tokio::test]
    async fn what_is_not_as_announced_is_refused_and_leaves_nothing() {
        let root = TempDir::new().expect("a directory");
        let store = store(&root).await;
        let good = entry(ArtifactKind::Patch, "", b"good");
        keep(&store, good.clone(), b"good").await.expect("it is as announced");

        let short = keep(&store, good.clone(), b"goo").await;
        assert!(
            matches!(short, Err(ArtifactError::WrongLength { announced: 4, received: 3, .. })),
            "{short:?}"
        );
        let long = keep(&store, good.clone(), b"good!").await;
        assert!(
            matches!(long, Err(ArtifactError::WrongLength { announced: 4, received: 5, .. })),
            "{long:?}"
        );
        let other = keep(&store, good.clone(), b"evil").await;
        assert!(matches!(other, Err(ArtifactError::WrongDigest { .. })), "{other:?}");
        let huge = store.begin(ArtifactEntry { bytes: MAX_BYTES + 1, ..good.clone() }).await;
        assert!(matches!(huge, Err(ArtifactError::TooLarge { .. })));

        assert_eq!(read(&store, &good).await.expect("the first is still there"), b"good");
        assert_eq!(incoming(&store), 0);
    }

    #[tokio::test]
    async fn a_start_clears_away_what_a_crash_cut_off() {
        let root = TempDir::new().expect("a directory");
        let upload = store(&root).await.begin(entry(ArtifactKind::Patch, "", b"x")).await.expect("room");
        let reopened = store(&root).await;
        assert_eq!(incoming(&reopened), 0);
        drop(upload);
    }
}
