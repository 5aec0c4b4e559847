//! What logs there are on disk, and their removal.

use std::fs::{self, ReadDir};
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use factory_domain::AttemptId;

use super::{LogError, LogStore};

/// A log on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOnDisk {
    pub attempt: AttemptId,
    pub bytes: u64,
}

impl LogStore {
    /// Every log there is, in no order. What has another name than a log's is none of ours.
    pub async fn on_disk(&self) -> Result<Vec<LogOnDisk>, LogError> {
        let (root, closing) = (self.0.root.clone(), self.0.closing.clone());
        self.blocking(move || {
            let mut found = Vec::new();
            for spread in list(&root)? {
                let spread = spread.map_err(LogError::io("list", &root))?.path();
                if !spread.is_dir() {
                    continue;
                }
                // Closing the store waits for this, and there may be a million of them.
                if closing.is_cancelled() {
                    return Err(LogError::Closed);
                }
                for log in list(&spread)? {
                    let log = log.map_err(LogError::io("list", &spread))?;
                    let named = log.file_name().to_str().and_then(|name| name.parse().ok());
                    let Some(attempt) = named else { continue };
                    found.push(LogOnDisk { attempt, bytes: size(&log.path())? });
                }
            }
            Ok(found)
        })
        .await
    }

    /// Removes a log for good. Whoever reads it finds it empty from then on.
    pub async fn remove(&self, attempt: AttemptId) -> Result<(), LogError> {
        let slot = self.0.opened.lock().unwrap_or_else(PoisonError::into_inner).slot(attempt);
        // Held to the end: a log that is not open is not opened while it goes.
        let slot = slot.lock_owned().await;
        let writing = match &*slot {
            Some(log) => Some(Arc::clone(&log.writer).lock_owned().await),
            None => None,
        };
        // What is being packed just now is packed to its end first.
        let Ok(packing) = Arc::clone(&self.0.packing).acquire_owned().await else {
            return Err(LogError::Closed);
        };
        let dir = self.dir(attempt);
        self.blocking(move || {
            if let Some(log) = &*slot {
                log.empty();
            }
            let removed = match fs::remove_dir_all(&dir) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                removed => removed.map_err(LogError::io("remove", &dir)),
            };
            drop((slot, writing, packing));
            removed
        })
        .await
    }
}

fn list(dir: &Path) -> Result<ReadDir, LogError> {
    fs::read_dir(dir).map_err(LogError::io("list", dir))
}

/// Bytes of the files in `dir`. A file may be packed, and so be renamed, while they are counted.
fn size(dir: &Path) -> Result<u64, LogError> {
    let mut bytes = 0;
    for file in list(dir)? {
        let file = file.map_err(LogError::io("list", dir))?;
        match file.metadata() {
            Ok(metadata) => bytes += metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(LogError::io("look at", &file.path())(error)),
        }
    }
    Ok(bytes)
}
