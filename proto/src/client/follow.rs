//! Streams that outlive their connection: the event feed, a task's log and the message
//! board, from a cursor on.
//!
//! When the connection breaks, or the coordinator is away for a restart, the
//! stream says so, waits, connects anew and asks for what comes after the last
//! item it gave out. Nothing is lost or given out twice. An answer of the
//! coordinator itself (no such task, wrong token) ends the stream with that error.
//!
//! ```no_run
//! # async fn example(config: factory_proto::client::ClientConfig) -> Result<(), tonic::Status> {
//! use factory_proto::client::follow::{self, Update};
//! use factory_proto::v1::WatchRequest;
//! use futures_util::StreamExt;
//!
//! let mut events = follow::events(config, WatchRequest { follow: true, ..Default::default() });
//! while let Some(update) = events.next().await {
//!     match update? {
//!         Update::Next(event) => println!("{} {}", event.task_number, event.kind),
//!         Update::Disconnected { cause, retry_in } => eprintln!("{cause}; again in {retry_in:?}"),
//!         Update::Reconnected => eprintln!("connected again"),
//!     }
//! }
//! # Ok(()) }
//! ```

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use futures_util::{Stream, stream};
use tonic::{Code, Status, Streaming};

use super::{Client, ClientConfig, ClientError};
use crate::v1::{
    Event, FollowLogRequest, FollowLogResponse, FollowMessagesRequest, FollowMessagesResponse, LogPosition,
    Message, WatchRequest, WatchResponse,
};

/// What a followed stream gives: its items, and word of its connection.
#[derive(Debug, Clone)]
pub enum Update<T> {
    Next(T),
    /// The connection broke, or could not be made. It is tried again after `retry_in`.
    Disconnected {
        cause: Status,
        retry_in: Duration,
    },
    /// The stream goes on where it broke off.
    Reconnected,
}

/// A stream that reconnects by itself. It ends where the coordinator ends it, or after its first error.
pub type Following<T> = Pin<Box<dyn Stream<Item = Result<Update<T>, Status>> + Send>>;

/// The event feed after `request.after`.
///
/// The first connection is tried again as any later one is; a program that wants
/// to fail at once where nobody answers calls [`Client::connect`] before.
pub fn events(config: ClientConfig, request: WatchRequest) -> Following<Event> {
    follow(config, request)
}

/// A task's log from `request.from` on. An item holds one or more consecutive records of one attempt.
pub fn log(config: ClientConfig, request: FollowLogRequest) -> Following<FollowLogResponse> {
    follow(config, request)
}

/// The message board after `request.after`. Without it, messages posted while the connection is down before
/// the first one came are missed.
pub fn messages(config: ClientConfig, request: FollowMessagesRequest) -> Following<Message> {
    follow(config, request)
}

/// A request for a stream that moves on with what was received, so that asking again resumes.
trait Resumable: Send + Sync + 'static {
    type Message: Send + 'static;
    type Item: Send + 'static;

    fn open(&self, client: &Client) -> impl Future<Output = Result<Streaming<Self::Message>, Status>> + Send;

    /// Moves behind `message` and gives what is new in it.
    fn advance(&mut self, message: Self::Message) -> Option<Self::Item>;

    /// Whether the coordinator may end the stream of its own accord.
    fn ends(&self) -> bool;
}

impl Resumable for WatchRequest {
    type Message = WatchResponse;
    type Item = Event;

    async fn open(&self, client: &Client) -> Result<Streaming<WatchResponse>, Status> {
        Ok(client.tasks().watch(self.clone()).await?.into_inner())
    }

    fn advance(&mut self, message: WatchResponse) -> Option<Event> {
        let event = message.event.filter(|event| event.cursor > self.after)?;
        self.after = event.cursor;
        Some(event)
    }

    fn ends(&self) -> bool {
        !self.follow || self.until_ended
    }
}

impl Resumable for FollowLogRequest {
    type Message = FollowLogResponse;
    type Item = FollowLogResponse;

    async fn open(&self, client: &Client) -> Result<Streaming<FollowLogResponse>, Status> {
        Ok(client.logs().follow(self.clone()).await?.into_inner())
    }

    fn advance(&mut self, mut message: FollowLogResponse) -> Option<FollowLogResponse> {
        let from = self.from.unwrap_or_default();
        if message.attempt_number < from.attempt_number {
            return None;
        }
        if message.attempt_number == from.attempt_number {
            message.records.retain(|record| record.offset >= from.offset);
        }
        let offset = message.records.last()?.offset + 1;
        self.from = Some(LogPosition { attempt_number: message.attempt_number, offset });
        Some(message)
    }

    fn ends(&self) -> bool {
        true
    }
}

impl Resumable for FollowMessagesRequest {
    type Message = FollowMessagesResponse;
    type Item = Message;

    async fn open(&self, client: &Client) -> Result<Streaming<FollowMessagesResponse>, Status> {
        Ok(client.board().follow_messages(self.clone()).await?.into_inner())
    }

    fn advance(&mut self, response: FollowMessagesResponse) -> Option<Message> {
        let message =
            response.message.filter(|message| self.after.is_none_or(|after| message.number > after))?;
        self.after = Some(message.number);
        Some(message)
    }

    fn ends(&self) -> bool {
        false
    }
}

struct Follower<R: Resumable> {
    config: ClientConfig,
    request: R,
    messages: Option<Streaming<R::Message>>,
    /// The waits between tries, while the connection is down.
    backoff: Option<ExponentialBackoff>,
    /// To be slept before the next try.
    wait: Duration,
    ended: bool,
}

fn follow<R: Resumable>(config: ClientConfig, request: R) -> Following<R::Item> {
    let follower =
        Follower { config, request, messages: None, backoff: None, wait: Duration::ZERO, ended: false };
    Box::pin(stream::unfold(follower, async |mut follower| {
        let update = follower.next().await.transpose()?;
        follower.ended |= update.is_err();
        Some((update, follower))
    }))
}

impl<R: Resumable> Follower<R> {
    async fn next(&mut self) -> Result<Option<Update<R::Item>>, Status> {
        while !self.ended {
            let Some(messages) = &mut self.messages else {
                match self.connect().await {
                    Ok(messages) => self.messages = Some(messages),
                    Err(status) => return self.disconnected(status).map(Some),
                }
                if self.backoff.take().is_some() {
                    return Ok(Some(Update::Reconnected));
                }
                continue;
            };
            match messages.message().await {
                Ok(Some(message)) => {
                    if let Some(item) = self.request.advance(message) {
                        return Ok(Some(Update::Next(item)));
                    }
                }
                Ok(None) if self.request.ends() => self.ended = true,
                Ok(None) => {
                    let cause = Status::unavailable("the coordinator ended the stream");
                    return self.disconnected(cause).map(Some);
                }
                Err(status) => return self.disconnected(status).map(Some),
            }
        }
        Ok(None)
    }

    /// A fresh connection each time: the old one may be half dead.
    async fn connect(&mut self) -> Result<Streaming<R::Message>, Status> {
        tokio::time::sleep(self.wait).await;
        let client = Client::connect(self.config.clone()).await?;
        self.request.open(&client).await
    }

    fn disconnected(&mut self, cause: Status) -> Result<Update<R::Item>, Status> {
        let cause = match Break::of(&cause) {
            Some(Break::Said) => cause,
            Some(Break::Felt) => {
                let text = format!("the connection to {} broke", self.config.url);
                let mut told = Status::unavailable(text);
                told.set_source(Arc::new(cause));
                told
            }
            None => return Err(cause),
        };
        self.messages = None;
        let backoff = self.backoff.get_or_insert_with(|| BACKOFF.build());
        self.wait = backoff.next().unwrap_or(MAX_WAIT);
        Ok(Update::Disconnected { cause, retry_in: self.wait })
    }
}

const MAX_WAIT: Duration = Duration::from_secs(5);

const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_jitter()
    .with_min_delay(Duration::from_millis(100))
    .with_max_delay(MAX_WAIT)
    .without_max_times();

/// How a status tells that the coordinator cannot be reached now.
enum Break {
    /// In words meant for people: by the coordinator on its way down, or by [`ClientError`].
    Said,
    /// By a broken connection, in the words of HTTP/2.
    Felt,
}

impl Break {
    /// `None` for an answer of the coordinator.
    ///
    /// A status made on this side from a broken connection has a source, which none
    /// has that came over the wire. A stream that breaks off between two frames has
    /// no source either: tonic calls it unknown, which the coordinator never says.
    fn of(status: &Status) -> Option<Self> {
        match (status.source(), status.code()) {
            (Some(_), _) | (None, Code::Unknown) => Some(Self::Felt),
            (None, Code::Unavailable) => Some(Self::Said),
            (None, _) => None,
        }
    }
}

impl From<ClientError> for Status {
    fn from(error: ClientError) -> Self {
        let message = error.to_string();
        match error {
            ClientError::Unreachable { .. } => Status::unavailable(message),
            ClientError::InvalidUrl { .. } | ClientError::InvalidToken => Status::invalid_argument(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::LogRecord;

    fn page(attempt_number: u32, offsets: std::ops::Range<u64>) -> FollowLogResponse {
        let records = offsets.map(|offset| LogRecord { offset, ..Default::default() }).collect();
        FollowLogResponse { attempt_number, records }
    }

    #[test]
    fn a_log_is_asked_for_behind_what_was_given_out_and_goes_on_with_the_next_attempt() {
        let mut request = FollowLogRequest { task: "1".into(), ..Default::default() };
        for (came, given) in [
            (page(1, 0..3), Some(page(1, 0..3))),
            (page(1, 1..5), Some(page(1, 3..5))),
            (page(1, 2..5), None),
            (page(2, 0..1), Some(page(2, 0..1))),
            (page(1, 5..9), None),
            (page(2, 1..1), None),
        ] {
            assert_eq!(request.advance(came), given);
        }
        assert_eq!(request.from, Some(LogPosition { attempt_number: 2, offset: 1 }));
    }

    #[test]
    fn an_event_is_given_out_once() {
        let mut request = WatchRequest { after: 3, ..Default::default() };
        let mut given = Vec::new();
        for cursor in [3, 4, 4, 9, 5] {
            let event = Some(Event { cursor, ..Default::default() });
            given.extend(request.advance(WatchResponse { event }).map(|event| event.cursor));
        }
        assert_eq!((given, request.after), (vec![4, 9], 9));
    }
}
