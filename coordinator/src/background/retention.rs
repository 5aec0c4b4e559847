//! Removes what is kept of ended tasks no longer, and what crashes left behind.
//!
//! What goes is decided by [`factory_domain::retention`]. How it goes is such that a crash
//! at any point loses nothing and leaves nothing for good:
//!
//! - What comes in gets its file first and its row then, and its worker is told last. A crash
//!   between leaves a file without a row, of which the worker still has its own copy and
//!   which it brings again. Half a file is only ever aside, and cleared away at a start.
//! - What goes out loses its row first, which says instead when and why it was removed, and
//!   its file then. A crash between leaves a file whose row says that it was removed.
//! - So a file without a row is removed where its row says so, or where its worker will not
//!   bring it again: it has reported, and every file comes before the report. A bundle of
//!   commits without a row stays in any case.
//! - Files of attempts that the database does not know stay too: it may have been restored
//!   from a backup older than they are. They are told of, for a person to decide.
//! - No file can get its place and wait for its row while this looks: both happen under
//!   [`ArtifactStore::name_one`](crate::artifacts::ArtifactStore::name_one), and every
//!   removal under `name_none`. Logs need no such care: an attempt's row comes before its
//!   first line, and the log of a task that has ended is removed before anything can follow.
//!
//! The work is done in batches, each a short transaction, so that the queue never waits.

mod artifacts;
mod logs;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use factory_domain::{Retention, Timestamp};

use self::artifacts::Told;
use crate::app::{App, Error};

const EVERY: Duration = Duration::from_secs(60 * 60);
/// After a failure, such as a disk too full to note what is removed.
const AGAIN: Duration = Duration::from_secs(60);
/// Logs or artifacts in one transaction.
const BATCH: usize = 100;

/// What one round removed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Removed {
    count: u64,
    bytes: u64,
}

pub async fn run(app: Arc<App>, retention: Retention) {
    let mut told = Told::default();
    loop {
        let pause = match sweep(&app, retention, app.clock.now(), &mut told).await {
            Ok(()) => EVERY,
            Err(_) if app.stopping.is_cancelled() => return,
            Err(error) => {
                tracing::error!(error = %anyhow::Error::new(error), "could not remove what is kept no longer");
                AGAIN
            }
        };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One round over everything.
async fn sweep(app: &App, retention: Retention, now: Timestamp, told: &mut Told) -> Result<(), Error> {
    let logs = logs::sweep(app, retention.logs, now, told).await?;
    if logs.count > 0 {
        tracing::info!(logs = logs.count, bytes = logs.bytes, "removed logs of ended tasks");
    }
    let artifacts = artifacts::sweep(app, retention.artifacts, now, told).await?;
    if artifacts.count > 0 {
        tracing::info!(
            artifacts = artifacts.count,
            bytes = artifacts.bytes,
            "removed artifacts of ended tasks"
        );
    }
    Ok(())
}

impl Removed {
    fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}
