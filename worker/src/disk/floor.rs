//! The floor of free disk, below which a worker takes on nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::agent_host::Shared;

const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Looks at what is free until the token is cancelled, so that people see a shortage before a task
/// was declined for it.
pub async fn keep_floor(shared: Arc<Shared>, token: CancellationToken) {
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        shared.look_at_disk();
    }
}

/// Why nothing can be taken on, for people; `None`: there is room. Bytes.
pub fn shortage(free: u64, floor: u64, root: &Path) -> Option<String> {
    (free < floor).then(|| {
        format!(
            "only {} MiB of disk are free at {}; this worker keeps {} MiB (--min-free-disk)",
            free >> 20,
            root.display(),
            floor >> 20
        )
    })
}
