//! Starts the real binaries on temporary roots and port 0, and watches what they do.
//!
//! `cargo test --workspace` builds the binaries, since each of their packages has an integration
//! test of its own. `cargo test -p factory-tests` alone does not: build the workspace first.

pub mod binaries;
pub mod browser;
pub mod claude;
pub mod coordinator;
pub mod ctl;
pub mod daemon;
pub mod disks;
pub mod feed;
pub mod host;
pub mod mounts;
pub mod pipes;
pub mod processes;
pub mod python;
pub mod repository;
pub mod task;
pub mod worker;

use std::io::Write;
use std::time::Duration;

/// How long anything awaited may take before the test fails. Nothing waits this long when all is
/// well; a loaded machine with two cores is given room.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Awaits `what`, and fails naming it where that takes longer than [`PATIENCE`].
///
/// # Panics
/// When the time is over.
pub async fn soon<T>(what: &str, awaited: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, awaited).await {
        Ok(value) => value,
        Err(_) => panic!("waited {} s in vain for {what}", PATIENCE.as_secs()),
    }
}

/// Says that a test is skipped, past the capture of what passing tests print.
pub fn skipped(why: &str) {
    // Nobody can be told that stderr is closed.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}
