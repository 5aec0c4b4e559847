//! A connection to the coordinator that is made anew after trouble, with growing, jittered pauses.
//!
//! Each loop has its own, so that none delays another: a heartbeat must not wait behind a log.

use std::error::Error;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use factory_proto::client::{Client, ClientConfig, ClientError};
use factory_proto::protocol::Versions;
use tokio::sync::watch;
use tonic::{Code, Status};

/// A call that did not go through.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    #[error(transparent)]
    Connect(#[from] ClientError),
    /// The session comes first: it makes the worker known.
    #[error("there is no session with the coordinator yet")]
    NotWelcomed,
    #[error(
        "the coordinator's release ({release}) settled on protocol {settled}, and this worker's ({own}) \
         speaks {spoken}; upgrade the worker",
        own = env!("CARGO_PKG_VERSION"),
        spoken = Versions::SPOKEN,
    )]
    Protocol { release: String, settled: u32 },
    #[error("what was to be sent cannot be read")]
    Disk(#[from] std::io::Error),
    #[error("the call ended in {:?}: {}", .0.code(), .0.message())]
    Answer(Box<Status>),
}

impl From<Status> for Trouble {
    fn from(status: Status) -> Self {
        Self::Answer(Box::new(status))
    }
}

impl Trouble {
    /// The message with its causes, for the log.
    pub fn full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// Whether the coordinator said no to the worker itself, so that asking again the same way is of no use.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Connect(ClientError::InvalidUrl { .. } | ClientError::InvalidToken)
            | Self::Protocol { .. } => true,
            Self::Connect(ClientError::Unreachable { .. }) | Self::NotWelcomed | Self::Disk(_) => false,
            Self::Answer(status) => matches!(
                status.code(),
                Code::Unauthenticated
                    | Code::PermissionDenied
                    | Code::FailedPrecondition
                    | Code::InvalidArgument
                    | Code::Unimplemented
            ),
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

pub struct Uplink {
    config: ClientConfig,
    client: Option<Client>,
    pauses: ExponentialBackoff,
    /// Changes when the session was welcomed: the coordinator is back, so no need to wait on.
    welcomed: watch::Receiver<u64>,
}

impl Uplink {
    pub fn new(config: ClientConfig, welcomed: watch::Receiver<u64>) -> Self {
        Self { config, client: None, pauses: pauses(), welcomed }
    }

    /// The connection, made now where there is none.
    pub async fn client(&mut self) -> Result<Client, ClientError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let client = Client::connect(self.config.clone()).await?;
        Ok(self.client.insert(client).clone())
    }

    /// A call went through: the next trouble starts with a short pause again.
    pub fn worked(&mut self) {
        self.pauses = pauses();
    }

    /// The next call makes a connection of its own; calls under way keep theirs.
    pub fn renew(&mut self) {
        self.client = None;
    }

    /// Drops the connection and waits before the next try.
    pub async fn pause(&mut self) {
        self.client = None;
        let pause = self.pauses.next().unwrap_or(LONGEST_PAUSE);
        self.welcomed.mark_unchanged();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            Ok(()) = self.welcomed.changed() => {}
        }
    }
}

pub fn pauses() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build()
}
