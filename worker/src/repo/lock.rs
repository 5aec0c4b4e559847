//! The lock on one repository's cache: an operating-system lock on a file beside it.
//!
//! It orders this process's own work on the cache as well as that of another worker on the same root,
//! and is gone with its holder, however that ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Held until dropped.
#[derive(Debug)]
pub struct RepositoryLock {
    _file: File,
}

impl RepositoryLock {
    /// Waits for the lock. A caller that stops waiting leaves a thread behind that gives it back at once.
    pub async fn acquire(repository: &Path) -> io::Result<Self> {
        let path = lock_path(repository);
        let locked = tokio::task::spawn_blocking(move || {
            let file = File::options().create(true).append(true).open(path)?;
            file.lock()?;
            Ok(Self { _file: file })
        });
        locked.await.map_err(io::Error::other)?
    }
}

fn lock_path(repository: &Path) -> PathBuf {
    repository.with_extension("lock")
}
