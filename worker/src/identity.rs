//! Who this worker is: an id kept on its disk, and a lock that keeps a second worker off the same root.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_domain::WorkerId;
use rustix::fs::{FlockOperation, flock};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::process;

/// A killed worker may leave a child in the middle of its start, which holds the lock until it is
/// another program. That takes milliseconds.
const LEFT_BY_THE_DEAD: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(20);

#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error(
        "another worker (process {holder}) uses {root}; stop it, or give this one a root of its own (--root)"
    )]
    Held { root: PathBuf, holder: String },
    #[error("cannot use {path} as the worker's root")]
    Root {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} does not hold a worker's id; delete it to register as a new worker")]
    Damaged { path: PathBuf },
}

/// A root that is this process's alone for as long as the value lives.
#[derive(Debug)]
pub struct Identity {
    pub worker: WorkerId,
    /// Holds the lock; the kernel lets go of it when the process ends, however it ends.
    lock: File,
}

impl Drop for Identity {
    /// Closing the file would not do at once: a child that is just being started has it, too.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.lock, FlockOperation::Unlock) {
            tracing::warn!(%error, "the worker's root could not be unlocked");
        }
    }
}

impl Identity {
    /// Makes the root where it is missing, locks it, and reads or mints the worker's id.
    pub async fn claim(root: &Path) -> Result<Self, IdentityError> {
        let failed = |source| IdentityError::Root { path: root.to_owned(), source };
        fs::create_dir_all(root).map_err(failed)?;
        let deadline = Instant::now() + LEFT_BY_THE_DEAD;
        let lock = loop {
            match lock(root) {
                Err(IdentityError::Held { holder, .. }) if is_dead(&holder) && Instant::now() < deadline => {
                    sleep(ASK_AGAIN).await;
                }
                locked => break locked?,
            }
        };
        let worker = read_or_mint(&root.join("worker-id"))?;
        Ok(Self { worker, lock })
    }
}

fn is_dead(pid: &str) -> bool {
    pid.parse().is_ok_and(|pid| process::Identity::of(pid).is_none())
}

fn lock(root: &Path) -> Result<File, IdentityError> {
    let path = root.join("worker.lock");
    let failed = |source| IdentityError::Root { path: path.clone(), source };
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(failed)?;
            return Err(IdentityError::Held { root: root.to_owned(), holder: holder.trim().to_owned() });
        }
        Err(error) => return Err(failed(error.into())),
    }
    file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}

fn read_or_mint(path: &Path) -> Result<WorkerId, IdentityError> {
    let failed = |source| IdentityError::Root { path: path.to_owned(), source };
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|_| IdentityError::Damaged { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let worker = WorkerId::from_uuid(Uuid::now_v7());
            // Written aside and renamed, so that a crash leaves a whole id or none.
            let aside = path.with_extension("new");
            let mut file = File::create(&aside).map_err(failed)?;
            writeln!(file, "{worker}").and_then(|()| file.sync_all()).map_err(failed)?;
            fs::rename(&aside, path).map_err(failed)?;
            Ok(worker)
        }
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_id_stays_and_the_root_is_one_workers_alone() {
        let root = tempfile::tempdir().expect("a directory");
        let first = Identity::claim(root.path()).await.expect("claimed");
        let second = Identity::claim(root.path()).await.expect_err("the root is taken");
        assert!(second.to_string().contains(&std::process::id().to_string()), "{second}");
        let worker = first.worker;
        drop(first);
        assert_eq!(Identity::claim(root.path()).await.expect("free again").worker, worker);
    }

    #[tokio::test]
    async fn a_damaged_id_is_not_replaced_in_silence() {
        let root = tempfile::tempdir().expect("a directory");
        fs::write(root.path().join("worker-id"), "no id").expect("written");
        assert!(matches!(Identity::claim(root.path()).await, Err(IdentityError::Damaged { .. })));
    }
}
