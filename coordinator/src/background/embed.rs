//! Makes vectors for memories that have none of the model configured, so that they are found by meaning.

use std::sync::Arc;
use std::time::Duration;

use factory_domain::Backoff;

use crate::app::App;
use crate::embeddings::Embedder;

/// How long a lost poke can go unnoticed.
const TICK: Duration = Duration::from_secs(60);
/// Between tries, while the endpoint fails.
const PAUSES: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(5 * 60) };

pub async fn run(app: Arc<App>, embedder: Arc<Embedder>) {
    let mut after = 0;
    let mut failures = 0;
    loop {
        let pause = match app.embed_memories(&embedder, &mut after).await {
            Ok(()) => {
                failures = 0;
                TICK
            }
            Err(_) if app.stopping.is_cancelled() => return,
            Err(error) => {
                failures += 1;
                let error = anyhow::Error::new(error);
                // Once a spell: it is tried again and again.
                if failures == 1 {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "memories are found by words alone: no vectors"
                    );
                } else {
                    tracing::debug!(error = format!("{error:#}"), failures, "still no vectors");
                }
                PAUSES.pause(failures, after ^ u64::from(failures))
            }
        };
        let poked = async {
            match failures {
                0 => app.remembered.notified().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = app.stopping.cancelled() => return,
            () = poked => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}
