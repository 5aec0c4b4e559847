//! A task's log, live.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use factory_proto::v1::LogRecord;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Path, Query};
use super::problem::{BadRequest, NotFound, Problem};
use super::sse::{self, LastEventId};
use super::view::{Line, LineReader, LogCursor};
use crate::app::{App, Error, LogFollower};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(follow))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `<attempt>:<offset>`, as in a page of the log or the id of an event: begin there. Left out: at the beginning.
    #[param(value_type = Option<String>, pattern = "^([0-9]+:[0-9]+)?$")]
    after: Option<LogCursor>,
    /// Number of an attempt: its log alone.
    attempt: Option<u32>,
}

/// What a `lines` event has as its data.
#[derive(Debug, Serialize, ToSchema)]
struct Lines {
    attempt: u32,
    /// In order, one or more.
    lines: Vec<Line>,
}

/// What an `end` event has as its data.
#[derive(Debug, Serialize, ToSchema)]
struct End {
    /// Where the log ended.
    next_since: String,
}

/// What is sent, by the name of the event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the document alone")]
enum Sent {
    Lines(Lines),
    End(End),
}

/// A task's log, live, over one attempt after the other, as server-sent events.
///
/// `lines` events have as many lines as there are, up to about 256 KiB, and the place after the last as their id. An
/// `end` event says that the task has ended and its log is whole, a `problem` event why the stream cannot go on: do
/// not come back after either. A client that comes back with `Last-Event-ID` misses nothing and sees nothing twice.
#[utoipa::path(
    get,
    path = "/api/tasks/{task}/logs/sse",
    tag = "tasks",
    params(
        ("task" = String, Path, description = "Id, a prefix of it, or number"),
        Wanted,
        ("Last-Event-ID" = Option<String>, Header, description = "Goes before `after`", pattern = "^[0-9]+:[0-9]+$"),
    ),
    responses(
        (status = OK, description = "The stream", body = Sent, content_type = "text/event-stream"),
        BadRequest, NotFound
    )
)]
async fn follow(
    State(app): State<Arc<App>>,
    Path(task): Path<String>,
    last: LastEventId,
    Query(Wanted { after, attempt }): Query<Wanted>,
) -> Result<Response, Problem> {
    let begin = last.or(after)?.unwrap_or(LogCursor { attempt: attempt.unwrap_or(1), offset: 0 });
    let follower = app.follow_log(&task, (begin.attempt, begin.offset), attempt).await?;
    let reading = Reading { follower, lines: LineReader::default(), place: begin, ended: false };
    Ok(sse::stream(&app, begin, stream::try_unfold(reading, Reading::next)))
}

struct Reading {
    follower: LogFollower,
    lines: LineReader,
    place: LogCursor,
    ended: bool,
}

impl Reading {
    async fn next(mut self) -> Result<Option<(Event, Self)>, Error> {
        if self.ended {
            return Ok(None);
        }
        let event = match self.follower.next().await? {
            Some((attempt, records)) => self.lines(attempt, records),
            None => {
                self.ended = true;
                let end = End { next_since: self.place.to_string() };
                sse::event(self.place, "end", &end)
            }
        };
        Ok(Some((event, self)))
    }

    fn lines(&mut self, attempt: u32, records: Vec<LogRecord>) -> Event {
        if attempt != self.place.attempt {
            self.lines = LineReader::default();
            self.place = LogCursor { attempt, offset: 0 };
        }
        self.place.offset = records.last().map_or(self.place.offset, |last| last.offset + 1);
        let lines = records.into_iter().map(|record| self.lines.read(record)).collect();
        sse::event(self.place, "lines", &Lines { attempt, lines })
    }
}
