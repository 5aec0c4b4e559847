//! File work, off the threads that the loops run on.

use std::io;
use std::path::PathBuf;

use tokio::runtime::{Handle, RuntimeFlavor};

/// Does work that takes as long as a disk does. A runtime of one thread has no loops on others to
/// keep free: there it is done in place, so that a simulation's every run has the same order.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

pub async fn read(path: impl Into<PathBuf>) -> io::Result<Vec<u8>> {
    let path = path.into();
    run(move || std::fs::read(path)).await
}
