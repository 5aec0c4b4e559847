//! Moves workflows on: when one begins, when a task ends, and on a timer.

use std::sync::Arc;
use std::time::Duration;

use super::AFTER_FAILURE;
use crate::app::App;

/// How long an end that nobody told of can go unnoticed.
const TICK: Duration = Duration::from_secs(30);

pub async fn run(app: Arc<App>) {
    loop {
        let pause = match app.advance_workflows().await {
            Ok(()) => TICK,
            // What went wrong was said.
            Err(_) => AFTER_FAILURE,
        };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = app.workflows.changed(), if pause == TICK => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
