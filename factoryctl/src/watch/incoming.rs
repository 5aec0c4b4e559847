//! The streams a watch reads, under one type.

use factory_proto::client::ClientConfig;
use factory_proto::client::follow::{self, Update};
use factory_proto::v1;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use tonic::Status;

use crate::watch::cursor::LogPlace;

pub enum Incoming {
    Event(Result<Update<v1::Event>, Status>),
    EventsEnded,
    Log(u64, Result<Update<v1::FollowLogResponse>, Status>),
    LogEnded(u64),
}

/// The events of `tasks`, of all where it is empty. Unless `forever`, until the tasks have ended.
pub fn events(
    config: &ClientConfig,
    tasks: Vec<String>,
    after: u64,
    forever: bool,
) -> BoxStream<'static, Incoming> {
    let request = v1::WatchRequest { tasks, after, follow: true, until_ended: !forever };
    let events = follow::events(config.clone(), request).map(Incoming::Event);
    events.chain(stream::iter([Incoming::EventsEnded])).boxed()
}

/// The log of task `number`, over all its attempts.
pub fn log(config: &ClientConfig, number: u64, task: String, from: LogPlace) -> BoxStream<'static, Incoming> {
    let request = v1::FollowLogRequest {
        task,
        from: Some(v1::LogPosition { attempt_number: from.attempt, offset: from.offset }),
        attempt_number: None,
    };
    let log = follow::log(config.clone(), request).map(move |update| Incoming::Log(number, update));
    log.chain(stream::iter([Incoming::LogEnded(number)])).boxed()
}
