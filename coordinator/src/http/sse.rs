//! What all live streams have in common. Each is read at its client's pace and holds nothing but a place, so that
//! a client who reads slowly, or not at all, costs nobody anything.
//!
//! A stream's first words are the place at which it begins, so that whoever loses the connection before anything
//! happened misses nothing either. Browsers come back by themselves, with the last `id` they have seen.

use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, future};
use http::header::CACHE_CONTROL;
use http::request::Parts;
use serde::Serialize;

use super::problem::Problem;
use crate::app::{App, Error};

/// A comment so often, where nothing else is sent: proxies end connections on which nothing moves.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How soon a browser connects again.
const RETRY: Duration = Duration::from_secs(2);
const LAST_EVENT_ID: &str = "last-event-id";

/// The last `id` that a client who comes back has seen.
#[derive(Debug)]
pub struct LastEventId(Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(LAST_EVENT_ID) else { return Ok(Self(None)) };
        let id = value.to_str().map_err(|_| Error::invalid("Last-Event-ID", "is not plain text"))?;
        // Empty: nothing was seen.
        Ok(Self(Some(id.to_owned()).filter(|id| !id.is_empty())))
    }
}

impl LastEventId {
    /// Where to go on: what a client has seen goes before what its URL says, which stays the same.
    pub fn or<T: FromStr<Err: ToString>>(self, after: Option<T>) -> Result<Option<T>, Problem> {
        match self.0 {
            None => Ok(after),
            Some(id) => Ok(Some(id.parse().map_err(|error: T::Err| {
                Error::invalid(
                    "Last-Event-ID",
                    format!("`{id}` is no id of this stream: {}", error.to_string()),
                )
            })?)),
        }
    }
}

/// An event that leads a client who comes back to what is after it.
pub fn event(id: impl ToString, name: &str, data: &impl Serialize) -> Event {
    named(name, data).id(id.to_string())
}

fn named(name: &str, data: &impl Serialize) -> Event {
    Event::default().event(name).json_data(data).expect("views are plain data")
}

/// Sends `events` from the place `begin` on. They end when the coordinator stops: a client goes on at the next.
pub fn stream(
    app: &Arc<App>,
    begin: impl ToString,
    events: impl Stream<Item = Result<Event, Error>> + Send + 'static,
) -> Response {
    let first = Event::default().retry(RETRY).id(begin.to_string());
    let events = events
        .filter_map(|event| future::ready(event.map_or_else(farewell, Some)))
        .take_until(app.stopping.clone().cancelled_owned());
    let all = futures_util::stream::iter([first]).chain(events).map(Ok::<_, Infallible>);
    let sse = Sse::new(all).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    // Some proxies collect an answer before they pass it on, unless told.
    ([(CACHE_CONTROL.as_str(), "no-store"), ("x-accel-buffering", "no")], sse).into_response()
}

/// What a client is told where the stream cannot go on. Nothing, if it can at the next coordinator.
fn farewell(error: Error) -> Option<Event> {
    let problem = Problem::from(error);
    (!problem.is_passing()).then(|| named("problem", &problem))
}
