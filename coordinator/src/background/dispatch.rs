//! Offers queued tasks to workers with free slots.

use std::sync::Arc;
use std::time::Duration;

use super::AFTER_FAILURE;
use crate::app::App;

/// How long a lost poke can go unnoticed.
const TICK: Duration = Duration::from_secs(30);

pub async fn run(app: Arc<App>) {
    loop {
        let pause = match app.dispatch().await {
            Ok(()) => {
                let change = app.fleet.next_change().map(|time| time.since(app.clock.now()));
                change.map_or(TICK, |left| left.min(TICK))
            }
            Err(error) => {
                tracing::error!(error = %anyhow::Error::new(error), "could not offer tasks to workers");
                tokio::select! {
                    () = app.stopping.cancelled() => return,
                    () = tokio::time::sleep(AFTER_FAILURE) => continue,
                }
            }
        };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = app.schedule.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
