//! Applies what time brings: offers that lapse, leases that run out, attempts
//! given up for lost, parked tasks that wake.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::AFTER_FAILURE;
use crate::app::{App, Error};

/// How long a deadline that nobody told the alarm of can go unnoticed.
const TICK: Duration = Duration::from_secs(30);

pub async fn run(app: Arc<App>) {
    let mut failing = false;
    loop {
        let mut again = TICK;
        let applied = apply(&app).await;
        let failed_before = std::mem::replace(&mut failing, applied.is_err());
        if let Err(error) = applied {
            let error = anyhow::Error::new(error);
            // Once a spell: it is tried again every second.
            if failed_before {
                tracing::debug!(%error, "what is due still waits");
            } else {
                tracing::error!(%error, "could not apply what is due");
            }
            again = AFTER_FAILURE;
        }
        if !wait(&app, again).await {
            return;
        }
    }
}

async fn apply(app: &App) -> Result<(), Error> {
    app.due.clear();
    // Before anything is taken for lost: workers were told that they may go on.
    if app.owed.swap(false, Ordering::SeqCst)
        && let Err(error) = app.store.grant_full_term(app.clock.now()).await
    {
        app.owed.store(true, Ordering::SeqCst);
        return Err(error.into());
    }
    for applied in app.store.apply_due(app.clock.now()).await? {
        app.settle(&applied);
    }
    if let Some(next) = app.store.next_due().await? {
        app.due.set(next);
    }
    Ok(())
}

/// Waits for the alarm, `longest` at most; `false`: the coordinator stops.
async fn wait(app: &App, longest: Duration) -> bool {
    let deadline = tokio::time::Instant::now() + longest;
    loop {
        let left = app.due.time().since(app.clock.now());
        let rings = tokio::time::Instant::now() + left.min(longest);
        tokio::select! {
            () = app.stopping.cancelled() => return false,
            () = app.due.changed() => {}
            () = tokio::time::sleep_until(rings.min(deadline)) => return true,
        }
    }
}
