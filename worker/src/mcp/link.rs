//! The way of an agent's call to the coordinator: tried again while there is time, and never longer.

use std::error::Error;
use std::time::Duration;

use factory_proto::client::Transport;
use factory_proto::v1::agent_service_client::AgentServiceClient;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::{Code, Response, Status};

use crate::uplink::{self, Uplink};

/// How long a call may take in all, on top of what it was asked to wait.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A call that did not come to an answer, as the agent is told of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error(
        "The coordinator cannot be reached just now, so it is not known whether this was done. Go on with \
         your work and make the same call again in a minute or two: repeated, it is done once only."
    )]
    Unreachable,
    #[error(
        "This task has gone on without you: it was cancelled, or given to another agent. Nothing that you do \
         from now on is kept. Stop here."
    )]
    Superseded,
    #[error("The coordinator's release does not offer this. Do without it.")]
    NotOffered,
    #[error("Refused: {0}")]
    Refused(String),
    /// What was asked for is somebody else's.
    #[error("{0}")]
    NotHad(String),
    #[error("This host could not do it: {0}. Go on with your work, and say so at its end.")]
    Disk(String),
}

impl Trouble {
    /// Whether the call may have been done all the same.
    pub const fn leaves_open(&self) -> bool {
        matches!(self, Self::Unreachable)
    }

    fn of(status: &Status) -> Self {
        match status.code() {
            Code::FailedPrecondition if status.message().contains("superseded") => Self::Superseded,
            Code::Unimplemented => Self::NotOffered,
            _ => Self::Refused(status.message().to_owned()),
        }
    }
}

/// All seats of a worker share one.
pub struct Link {
    uplink: Mutex<Uplink>,
}

impl Link {
    pub fn new(uplink: Uplink) -> Self {
        Self { uplink: Mutex::new(uplink) }
    }

    /// Makes a call, and again where it did not get through, for `wait` and [`PATIENCE`] in all. The call
    /// must be one that can be repeated.
    pub async fn call<T, F>(
        &self,
        wait: Duration,
        call: impl Fn(AgentServiceClient<Transport>) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + wait + PATIENCE;
        let mut pauses = uplink::pauses();
        loop {
            let answered = tokio::time::timeout_at(deadline, async {
                let client = self.uplink.lock().await.client().await;
                match client {
                    Ok(client) => call(client.agents()).await,
                    Err(error) => Err(Status::unavailable(error.to_string())),
                }
            });
            match answered.await {
                Err(_) => return Err(Trouble::Unreachable),
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) if !is_of_the_way(&status) => return Err(Trouble::of(&status)),
                Ok(Err(status)) => tracing::debug!(error = %status, "an agent's call did not get through"),
            }
            // Calls under way keep the connection they have.
            self.uplink.lock().await.renew();
            let pause = pauses.next().unwrap_or_default();
            if Instant::now() + pause >= deadline {
                return Err(Trouble::Unreachable);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

/// Whether a status tells of the way there and not of the call. One made on this side has a source, which
/// none that was sent has.
fn is_of_the_way(status: &Status) -> bool {
    let broken = status.source().is_some();
    broken || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Aborted)
}
