//! Sums up each task that has ended, so that later ones of its repository or project are told.
//!
//! It follows the event feed from a cursor in the store: what ended while no coordinator ran, or
//! in the moment of a crash, is summed up by the next. The report of a task does not wait for it.

use std::sync::Arc;
use std::time::Duration;

use super::AFTER_FAILURE;
use crate::app::{App, SummedUp};

/// Between two looks while much ends: many tasks make one transaction.
const PAUSE: Duration = Duration::from_millis(100);

pub async fn run(app: Arc<App>) {
    let mut feed = app.store.feed();
    let mut progress = SummedUp::default();
    loop {
        // Before the look, so that what comes meanwhile is looked at next.
        feed.mark_unchanged();
        let pause = match app.sum_up(&mut progress).await {
            Ok(()) => PAUSE,
            Err(_) if app.stopping.is_cancelled() => return,
            Err(error) => {
                tracing::error!(error = %anyhow::Error::new(error), "could not sum up the tasks that ended");
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
