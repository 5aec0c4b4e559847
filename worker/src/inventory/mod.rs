//! Tells the coordinator what lies on this host: the clones, and the worktrees of them.
//!
//! It is told when a session is opened, after each change, and every few minutes. What it takes to
//! find out is bounded: a round may take a twentieth of the time, and looking at one worktree a
//! hundredth, so that fifty thousand files are not counted every minute (see [`looks`]).

mod listing;
mod looks;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use factory_proto::v1;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::agent_host::Shared;
use crate::uplink::{Trouble, Uplink};
pub use listing::on_the_wire;
use looks::Looks;

/// Between two rounds that nothing asks for.
const EVERY: Duration = Duration::from_secs(2 * 60);
/// Changes come together: an attempt's end is several.
const SETTLE: Duration = Duration::from_millis(500);
/// A round that took a second is followed by twenty without one.
const REST: u32 = 20;
/// However long a round took.
const LONGEST_REST: Duration = Duration::from_secs(10 * 60);

/// Where others say that something has changed.
#[derive(Debug, Default)]
pub struct Inventory {
    poked: Notify,
    /// Worktrees that are not as they were.
    changed: Mutex<Vec<PathBuf>>,
}

impl Inventory {
    pub fn look_again(&self) {
        self.poked.notify_one();
    }

    /// A worktree was made, changed or removed.
    pub fn has_changed(&self, worktree: &Path) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).push(worktree.to_owned());
        self.look_again();
    }

    fn take_changed(&self) -> Vec<PathBuf> {
        std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Looks and tells until the token is cancelled.
pub async fn run(shared: Arc<Shared>, uplink: Uplink, token: CancellationToken) {
    let rounds = rounds(&shared, uplink);
    token.run_until_cancelled(rounds).await;
}

async fn rounds(shared: &Shared, mut uplink: Uplink) {
    let (mut sessions, mut changes) = (shared.welcomed.subscribe(), shared.roster.changes());
    let mut looks = Looks::default();
    loop {
        sessions.mark_unchanged();
        changes.mark_unchanged();
        let begun = Instant::now();
        if shared.keeps_repos() {
            round(shared, &mut looks, &mut uplink).await;
        }
        let rest = (begun.elapsed() * REST).clamp(SETTLE, LONGEST_REST);
        tokio::select! {
            () = shared.inventory.poked.notified() => {}
            // Whoever has just restarted knows nothing of now.
            Ok(()) = sessions.changed() => continue,
            Ok(()) = changes.changed() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            Ok(()) = sessions.changed() => {}
        }
    }
}

/// Looks once, and tells until it is taken or there is something newer to tell.
async fn round(shared: &Shared, looks: &mut Looks, uplink: &mut Uplink) {
    looks.forget(&shared.inventory.take_changed());
    let request = match listing::of(shared, looks).await {
        Ok(request) => request,
        Err(error) => {
            tracing::warn!(%error, "what lies on this host cannot be listed; the coordinator keeps what it knows");
            return;
        }
    };
    match tell(request, uplink).await {
        Ok(()) => uplink.worked(),
        Err(Trouble::Answer(status)) if status.code() == Code::Unimplemented => {
            tracing::debug!("the coordinator does not want to know what lies on this host");
        }
        Err(trouble) => {
            tracing::info!(error = %trouble.full(), "what lies on this host could not be told; trying again");
            uplink.pause().await;
            shared.inventory.look_again();
        }
    }
}

async fn tell(request: v1::InventoryRequest, uplink: &mut Uplink) -> Result<(), Trouble> {
    let client = uplink.client().await?;
    client.worker().inventory(client.request(request)).await?;
    Ok(())
}
