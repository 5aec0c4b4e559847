//! Tells followers of a spool that its log has grown, within a fraction of a millisecond.
//!
//! The writer may be another process (the shim), so the word comes from the kernel: one
//! inotify instance for the whole worker. Where the host grants none (its limit on
//! instances is reached), followers look again every few milliseconds instead.

use std::collections::HashMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::shim;

/// How often a follower looks by itself where the kernel does not tell.
const POLL: Duration = Duration::from_millis(25);
/// How often it looks although the kernel tells: file systems exist that do not.
const SAFETY_POLL: Duration = Duration::from_secs(1);

pub struct SpoolWatch {
    inotify: Option<AsyncFd<OwnedFd>>,
    /// By inotify's watch descriptor. Two followers of one file share its entry.
    files: Mutex<HashMap<i32, watch::Sender<()>>>,
}

/// One follower's end.
pub struct Growth {
    signal: Option<watch::Receiver<()>>,
}

impl Growth {
    /// Waits until the file has grown, or may have.
    pub async fn grown(&mut self) {
        let Some(signal) = &mut self.signal else { return tokio::time::sleep(POLL).await };
        // The sender goes when the file goes: then only the clock is left.
        let told = async {
            if signal.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = told => {}
            () = tokio::time::sleep(SAFETY_POLL) => {}
        }
    }

    /// Whether the file has grown since this was last asked; `true` where that cannot be known.
    pub fn has_grown(&mut self) -> bool {
        match &mut self.signal {
            Some(signal) => {
                let grown = signal.has_changed().unwrap_or(true);
                signal.mark_unchanged();
                grown
            }
            None => true,
        }
    }
}

impl SpoolWatch {
    pub fn new() -> Arc<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(io::Error::from)
            .and_then(shim::watch)
            .inspect_err(|error| {
                tracing::warn!(%error, "no inotify instance; logs are polled (raise fs.inotify.max_user_instances)");
            });
        Arc::new(Self { inotify: inotify.ok(), files: Mutex::default() })
    }

    /// Begins to watch a file that exists. What is in it already is for the caller to read.
    pub fn follow(&self, path: &Path) -> Growth {
        let Some(inotify) = &self.inotify else { return Growth { signal: None } };
        // Held over both steps, so that no event finds its file unknown.
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        match inotify::add_watch(inotify, path, WatchFlags::MODIFY) {
            Ok(file) => Growth { signal: Some(files.entry(file).or_default().subscribe()) },
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a log cannot be watched; it is polled");
                Growth { signal: None }
            }
        }
    }

    /// Passes the kernel's word on until the token is cancelled.
    pub async fn run(&self, token: CancellationToken) {
        let Some(inotify) = &self.inotify else { return token.cancelled().await };
        loop {
            let ready = tokio::select! {
                () = token.cancelled() => return,
                ready = inotify.readable() => ready,
            };
            match ready {
                Ok(mut ready) => {
                    self.pass_on(inotify.get_ref());
                    ready.clear_ready();
                }
                Err(error) => {
                    tracing::error!(%error, "inotify failed; followers look once a second");
                    return token.cancelled().await;
                }
            }
        }
    }

    fn pass_on(&self, inotify: &OwnedFd) {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(inotify, &mut buffer);
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match events.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {
                    files.values().for_each(|file| file.send_modify(|()| {}));
                }
                Ok(event) if event.events().contains(ReadFlags::IGNORED) => {
                    files.remove(&event.wd());
                }
                Ok(event) => {
                    if let Some(file) = files.get(&event.wd()) {
                        file.send_modify(|()| {});
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(error) => {
                    tracing::error!(%error, "inotify cannot be read");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn a_line_written_by_anyone_is_told_at_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("records.log");
        let mut file = std::fs::File::create(&path).expect("a file");
        let watch = SpoolWatch::new();
        let (mut one, mut other) = (watch.follow(&path), watch.follow(&path));
        assert!(!one.has_grown());
        let token = CancellationToken::new();
        let follow = async {
            file.write_all(b"x").expect("written");
            let begun = std::time::Instant::now();
            tokio::join!(one.grown(), other.grown());
            token.cancel();
            begun.elapsed()
        };
        let ((), took) = tokio::join!(watch.run(token.clone()), follow);
        assert!(took < SAFETY_POLL, "the kernel told, not the clock: {took:?}");
    }
}
