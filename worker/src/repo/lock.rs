//! The lock on one repository's cache: an operating-system lock on a file beside it.
//!
//! It orders this process's own work on the cache as well as that of another worker on the same root,
//! and is gone with its holder, however that ends. The file's time says when the cache was last used.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use factory_domain::Timestamp;

/// Held until dropped.
#[derive(Debug)]
pub struct RepositoryLock {
    file: File,
}

impl RepositoryLock {
    /// Waits for the lock. A caller that stops waiting leaves a thread behind that gives it back at once.
    pub async fn acquire(repository: &Path) -> io::Result<Self> {
        let path = lock_path(repository);
        let locked = tokio::task::spawn_blocking(move || {
            let file = open(&path)?;
            file.lock()?;
            Ok(Self { file })
        });
        locked.await.map_err(io::Error::other)?
    }

    /// The lock, if nobody has it.
    pub fn try_acquire(repository: &Path) -> io::Result<Option<Self>> {
        let file = open(&lock_path(repository))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Says that the repository is used now.
    pub fn mark_used(&self) -> io::Result<()> {
        self.file.set_modified(SystemTime::now())
    }

    /// When it was last used.
    pub fn used(&self) -> io::Result<Timestamp> {
        let since = self.file.metadata()?.modified()?.duration_since(SystemTime::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        Ok(Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

fn lock_path(repository: &Path) -> PathBuf {
    repository.with_extension("lock")
}
