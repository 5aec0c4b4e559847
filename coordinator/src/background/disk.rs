//! Watches the room left on the disk of the root, and says when it runs out: once, not each time.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::app::{App, Change, Room};

const EVERY: Duration = Duration::from_secs(10);

pub async fn run(app: Arc<App>, root: PathBuf) {
    loop {
        look(&app, root.clone());
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

fn look(app: &App, root: PathBuf) {
    let room = match rustix::fs::statvfs(&root) {
        Ok(disk) => Room {
            root,
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            total: disk.f_blocks.saturating_mul(disk.f_frsize),
        },
        Err(error) => {
            tracing::debug!(%error, "the free space cannot be read");
            return;
        }
    };
    let Room { ref root, free, total } = room;
    let root = root.display().to_string();
    match app.disk.seen(room) {
        Some(Change::RunsLow) => tracing::warn!(
            root,
            free,
            total,
            "little space is left: once there is none, submits, logs and reports are refused until there is again"
        ),
        Some(Change::HasRoom) => tracing::info!(root, free, total, "there is space again"),
        None => {}
    }
}
