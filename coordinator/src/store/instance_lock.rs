//! One coordinator for each root: an OS lock on a file beside the database, which names its holder.
//!
//! The lock, not the file, says that a coordinator runs: the kernel lets go of
//! it however the process ends. The file's words are for people and for
//! programs that look for a running coordinator.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};
use tokio::time::{Instant, sleep};

const FILE_NAME: &str = "agent-factory.lock";

/// Held for as long as this value lives.
#[derive(Debug)]
pub struct InstanceLock {
    file: File,
    path: PathBuf,
}

/// Who holds a root.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Holder {
    pub pid: u32,
    /// Known once its listener is bound.
    pub url: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error(
        "another coordinator (pid {}) runs on {}; stop it, or choose another root with AGENT_FACTORY_DIRPATH",
        holder.pid, root.display()
    )]
    Held { root: PathBuf, holder: Holder },
    /// The holder has not said yet who it is.
    #[error("another coordinator is starting on {}; stop it, or choose another root with AGENT_FACTORY_DIRPATH", root.display())]
    HeldByUnknown { root: PathBuf },
    #[error("cannot lock the factory's root with {}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A killed process may leave a child in the middle of its start, which holds the lock until it
/// is another program. That takes milliseconds.
const LEFT_BY_THE_DEAD: Duration = Duration::from_secs(2);
const ASK_AGAIN: Duration = Duration::from_millis(20);

impl InstanceLock {
    /// Locks `root`, which must be there, for this process. Waits a moment where the lock is
    /// still held in the name of a process that has ended.
    pub async fn acquire(root: &Path) -> Result<Self, LockError> {
        let deadline = Instant::now() + LEFT_BY_THE_DEAD;
        loop {
            match Self::try_acquire(root) {
                Err(LockError::Held { holder, .. }) if !is_alive(holder.pid) && Instant::now() < deadline => {
                    sleep(ASK_AGAIN).await;
                }
                acquired => return acquired,
            }
        }
    }

    fn try_acquire(root: &Path) -> Result<Self, LockError> {
        let path = root.join(FILE_NAME);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let root = root.to_owned();
                return Err(match read(&file) {
                    Some(holder) => LockError::Held { root, holder },
                    None => LockError::HeldByUnknown { root },
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let lock = Self { file, path };
        lock.write(None)?;
        Ok(lock)
    }

    /// Says where this coordinator listens, for [`InstanceLock::holder`] to find.
    pub fn announce(&self, url: &str) -> Result<(), LockError> {
        self.write(Some(url.to_owned()))
    }

    /// Who runs on `root` just now, if anybody does.
    pub fn holder(root: &Path) -> Option<Holder> {
        let file = File::open(root.join(FILE_NAME)).ok()?;
        let holder = read(&file)?;
        // The words of one who was killed are still there. Looking at the lock
        // takes it for a moment, in which a start would be refused: so the
        // process is looked at first, and the lock only settles a reused pid.
        if !is_alive(holder.pid) {
            return None;
        }
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(holder),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    fn write(&self, url: Option<String>) -> Result<(), LockError> {
        let holder = Holder { pid: std::process::id(), url };
        let failed = |source| LockError::Io { path: self.path.clone(), source };
        let words = serde_json::to_vec(&holder).map_err(|error| failed(error.into()))?;
        // Over the old words and then cut, so that a reader never finds the file empty.
        self.file.write_all_at(&words, 0).map_err(failed)?;
        self.file.set_len(words.len() as u64).map_err(failed)
    }
}

impl Drop for InstanceLock {
    /// The file stays: to remove it would race with the next one that locks it. It is
    /// unlocked by name: a child that is just being started has it open, too.
    fn drop(&mut self) {
        if let Err(error) = self.file.set_len(0).and_then(|()| self.file.unlock()) {
            tracing::warn!(%error, path = %self.path.display(), "the lock file could not be emptied and unlocked");
        }
    }
}

/// What the file says, unless its holder is just writing it.
fn read(file: &File) -> Option<Holder> {
    let mut words = [0; 4096];
    let length = file.read_at(&mut words, 0).ok()?;
    serde_json::Deserializer::from_slice(&words[..length]).into_iter().next()?.ok()
}

fn is_alive(pid: u32) -> bool {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    // Not permitted to signal it: then it is there, and someone else's.
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_coordinator_is_refused_and_told_who_runs() {
        let root = tempfile::tempdir().expect("a directory");
        let lock = InstanceLock::acquire(root.path()).await.expect("the first");
        let refused = InstanceLock::acquire(root.path()).await.expect_err("the second");
        assert!(refused.to_string().contains(&format!("pid {}", std::process::id())), "{refused}");
        drop(lock);
        InstanceLock::acquire(root.path()).await.expect("free again");
    }

    #[tokio::test]
    async fn the_holder_is_found_while_it_runs() {
        let root = tempfile::tempdir().expect("a directory");
        assert_eq!(InstanceLock::holder(root.path()), None);
        let lock = InstanceLock::acquire(root.path()).await.expect("free");
        let pid = std::process::id();
        assert_eq!(InstanceLock::holder(root.path()), Some(Holder { pid, url: None }));
        lock.announce("http://127.0.0.1:8100").expect("announced");
        let url = Some("http://127.0.0.1:8100".to_owned());
        assert_eq!(InstanceLock::holder(root.path()), Some(Holder { pid, url }));
        drop(lock);
        assert_eq!(InstanceLock::holder(root.path()), None);
    }

    #[tokio::test]
    async fn words_left_by_one_that_was_killed_mean_nothing() {
        let root = tempfile::tempdir().expect("a directory");
        // Alive, but not holding the lock: a pid used again.
        let words = format!(r#"{{"pid":{},"url":null}}"#, std::process::id());
        std::fs::write(root.path().join(FILE_NAME), words).expect("written");
        assert_eq!(InstanceLock::holder(root.path()), None);
        InstanceLock::acquire(root.path()).await.expect("free");
    }
}
