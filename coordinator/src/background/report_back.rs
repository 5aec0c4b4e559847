//! Reports back to sessions elsewhere how the tasks ended that they dispatched.
//!
//! It follows the event feed from a cursor in the store: what ended while no coordinator ran, or in
//! the moment of a crash, is reported by the next.

use std::sync::Arc;
use std::time::Duration;

use super::AFTER_FAILURE;
use crate::app::{App, ReportedBack};

/// Between two looks while much ends.
const PAUSE: Duration = Duration::from_millis(100);

pub async fn run(app: Arc<App>) {
    let mut feed = app.store.feed();
    let mut progress = ReportedBack::default();
    loop {
        // Before the look, so that what comes meanwhile is looked at next.
        feed.mark_unchanged();
        let pause = match app.report_back(&mut progress).await {
            Ok(()) => PAUSE,
            Err(_) if app.stopping.is_cancelled() => return,
            Err(error) => {
                tracing::error!(error = %anyhow::Error::new(error), "could not report back how tasks ended");
                feed.mark_changed();
                AFTER_FAILURE
            }
        };
        let next = async {
            tokio::time::sleep(pause).await;
            feed.changed().await
        };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            changed = next => if changed.is_err() { return },
        }
    }
}
