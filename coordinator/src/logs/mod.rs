//! The append-only log store: one directory of segments for each attempt, never in the database.
//!
//! - Records are framed as in `factory_proto::record`; a torn tail after a crash
//!   is cut at the last whole record when the attempt is next opened.
//! - An append is acknowledged once the kernel has it: it survives the death of
//!   this process, and is synced when its segment is full or sealed. A batch that fails
//!   (a full disk) leaves nothing behind, and may be sent again as it is.
//! - Readers read the files at their own pace. Followers are told only that
//!   there is more, through a watch channel, so a slow one costs nobody anything.
//! - No file stays open between calls, and the indices of attempts long unused are
//!   dropped and found again on disk: any number of attempts may be live.
//!
//! On disk: `<root>/<last two hex digits of the id>/<attempt id>/<first offset>.seg`, packed
//! `.seg.zst`; beside them an empty file `sealed` once the log is closed. (An id begins with
//! its time, so that only its end spreads attempts over directories.)

mod attempt;
mod inventory;
mod pack;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use factory_domain::AttemptId;
use factory_proto::record;
use factory_proto::v1::LogRecord;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use attempt::AttemptLog;
pub use inventory::LogOnDisk;

/// The logs under one root. Cloning shares the store. Two stores on one root spoil
/// each other's files; the coordinator's instance lock keeps that from happening.
#[derive(Debug, Clone)]
pub struct LogStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    sizes: Sizes,
    opened: Mutex<Opened>,
    /// All file work, so that [`LogStore::close`] can wait for it.
    tasks: TaskTracker,
    /// One segment is packed at a time: packing must not take the processors from appends.
    packing: Arc<Semaphore>,
    closing: CancellationToken,
}

/// How far an attempt's log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The offset after the last record.
    pub next_offset: u64,
    /// No record will come after it.
    pub sealed: bool,
}

/// Consecutive records.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub records: Vec<LogRecord>,
    /// Where to read on.
    pub next_offset: u64,
    /// Where the log ended when this was read.
    pub end: u64,
    /// No record will come after `end`.
    pub sealed: bool,
}

/// How much a reader takes at once.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    records: usize,
    bytes: usize,
}

/// Bytes.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// A segment that has reached this gets no more batches.
    segment: u64,
    /// What is read at least to find a record.
    block: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { segment: 8 * 1024 * 1024, block: 64 * 1024 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("the disk is full: no room for {}; free some space, and what was refused can be sent again", path.display())]
    Full {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot {what} {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{} is damaged at record {offset}", path.display())]
    Damaged { path: PathBuf, offset: u64 },
    #[error("a batch of attempt {attempt} has record {found} where record {expected} was due")]
    NotConsecutive { attempt: AttemptId, expected: u64, found: u64 },
    #[error(
        "record {offset} of attempt {attempt} has {bytes} bytes, and {} at most are allowed",
        record::MAX_DATA
    )]
    TooLong { attempt: AttemptId, offset: u64, bytes: usize },
    #[error("the log store is closing")]
    Closed,
}

impl LogError {
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path, source },
            _ => Self::Io { what, path, source },
        }
    }

    fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

impl LogStore {
    /// Makes `root` where it is missing. Attempts are looked at when first asked for. Blocks shortly.
    pub fn open(root: PathBuf) -> Result<Self, LogError> {
        Self::open_with(root, Sizes::default())
    }

    fn open_with(root: PathBuf, sizes: Sizes) -> Result<Self, LogError> {
        std::fs::create_dir_all(&root).map_err(LogError::io("create", &root))?;
        Ok(Self(Arc::new(Inner {
            root,
            sizes,
            opened: Mutex::default(),
            tasks: TaskTracker::new(),
            packing: Arc::new(Semaphore::new(1)),
            closing: CancellationToken::new(),
        })))
    }

    /// Appends consecutive records and says how far the log reaches then; what it
    /// reaches is acknowledged. Records that are there already are skipped. Where the
    /// first of `records` would leave a gap, or the log is sealed, nothing is appended.
    pub async fn append(&self, attempt: AttemptId, records: Vec<LogRecord>) -> Result<Extent, LogError> {
        let log = self.log(attempt).await?;
        let writing = Arc::clone(&log.writer).lock_owned().await;
        let (log, appended) = self
            .blocking(move || {
                let appended = log.append(&records)?;
                drop(writing);
                Ok((log, appended))
            })
            .await?;
        if appended.rotated {
            self.pack_behind(log);
        }
        Ok(appended.extent)
    }

    /// Records from `from` on: one or more unless the log ends there, then at most
    /// `max_records` of them and `max_bytes` of data. A page may be shorter than it
    /// could be. An attempt that is not known has an empty log.
    pub async fn read(
        &self,
        attempt: AttemptId,
        from: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Page, LogError> {
        let log = self.log(attempt).await?;
        let bounds = Bounds { records: max_records, bytes: max_bytes };
        self.blocking(move || log.read(from, bounds)).await
    }

    pub async fn extent(&self, attempt: AttemptId) -> Result<Extent, LogError> {
        Ok(self.log(attempt).await?.extent())
    }

    /// Tells a follower when there is more to read, or nothing more to come.
    pub async fn subscribe(&self, attempt: AttemptId) -> Result<watch::Receiver<Extent>, LogError> {
        Ok(self.log(attempt).await?.extent.subscribe())
    }

    /// Closes a log: it is synced, gets no more records, and is packed in the background. Again changes nothing.
    pub async fn seal(&self, attempt: AttemptId) -> Result<Extent, LogError> {
        let log = self.log(attempt).await?;
        let writing = Arc::clone(&log.writer).lock_owned().await;
        let log = self
            .blocking(move || {
                log.seal()?;
                drop(writing);
                Ok(log)
            })
            .await?;
        let extent = log.extent();
        self.pack_behind(log);
        Ok(extent)
    }

    /// Refuses further calls and waits for the file work under way. What is not packed
    /// yet stays as it is until its attempt is next opened.
    pub async fn close(&self) {
        self.0.closing.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// The attempt's log, opened where it is not yet.
    async fn log(&self, attempt: AttemptId) -> Result<Arc<AttemptLog>, LogError> {
        let slot = self.0.opened.lock().unwrap_or_else(PoisonError::into_inner).slot(attempt);
        let mut slot = slot.lock_owned().await;
        if let Some(log) = &*slot {
            return Ok(Arc::clone(log));
        }
        let (dir, sizes) = (self.dir(attempt), self.0.sizes);
        // The slot goes along: opening cuts a torn tail, and no second opening may
        // begin before the first has ended, even if nobody waits for it any more.
        let log = self
            .blocking(move || {
                let log = Arc::new(AttemptLog::open(attempt, dir, sizes)?);
                *slot = Some(Arc::clone(&log));
                Ok(log)
            })
            .await?;
        if !log.unpacked().is_empty() {
            self.pack_behind(Arc::clone(&log));
        }
        Ok(log)
    }

    fn dir(&self, attempt: AttemptId) -> PathBuf {
        let spread = attempt.as_bytes()[15];
        self.0.root.join(format!("{spread:02x}")).join(attempt.to_string())
    }

    /// Packs what has become full or sealed, when its turn comes.
    fn pack_behind(&self, log: Arc<AttemptLog>) {
        let store = self.clone();
        self.0.tasks.spawn(async move {
            let turn =
                store.0.closing.run_until_cancelled(Arc::clone(&store.0.packing).acquire_owned()).await;
            let Some(Ok(_turn)) = turn else { return };
            for first in log.unpacked() {
                let packed = Arc::clone(&log);
                match store.blocking(move || packed.pack(first)).await {
                    Ok(()) => {}
                    Err(LogError::Closed) => return,
                    Err(error) => {
                        let error = anyhow::Error::from(error);
                        tracing::warn!(attempt = %log.id(), "a segment stays unpacked: {error:#}");
                    }
                }
            }
        });
    }

    /// Runs file work off the async threads, and where there is but one, as in a simulation, in place.
    /// It is finished even if nobody waits for it any more.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        if self.0.closing.is_cancelled() {
            return Err(LogError::Closed);
        }
        if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
            return work();
        }
        match self.0.tasks.spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is going down.
            Err(_) => Err(LogError::Closed),
        }
    }
}

/// `None` until opened; locked while being opened.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<AttemptLog>>>>;

/// The attempts whose index is in memory: those in use, and the latest used of the others.
#[derive(Debug, Default)]
struct Opened {
    slots: HashMap<AttemptId, (Slot, u64)>,
    /// Counts uses, so that the latest can be told.
    uses: u64,
}

/// An index takes a few KiB.
const MAX_OPENED: usize = 4096;

impl Opened {
    fn slot(&mut self, attempt: AttemptId) -> Slot {
        self.uses += 1;
        if self.slots.len() >= MAX_OPENED && !self.slots.contains_key(&attempt) {
            self.drop_unused();
        }
        let (slot, used) = self.slots.entry(attempt).or_default();
        *used = self.uses;
        Arc::clone(slot)
    }

    /// Drops the less recently used half of what nobody holds.
    fn drop_unused(&mut self) {
        let mut uses: Vec<u64> = self.slots.values().map(|(_, used)| *used).collect();
        uses.sort_unstable();
        let median = uses.get(uses.len() / 2).copied().unwrap_or_default();
        self.slots.retain(|_, (slot, used)| *used >= median || in_use(slot));
    }
}

fn in_use(slot: &Slot) -> bool {
    let Ok(opened) = slot.try_lock() else { return true };
    let held =
        opened.as_ref().is_some_and(|log| Arc::strong_count(log) > 1 || log.extent.receiver_count() > 0);
    held || Arc::strong_count(slot) > 1
}
