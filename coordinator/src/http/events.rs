//! The event feed, live.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Query;
use super::problem::{BadRequest, NotFound, Problem};
use super::sse::{self, LastEventId};
use super::view::Event;
use crate::app::App;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(follow))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Id, prefix or number: events of this task only. May be given several times.
    #[serde(default)]
    task: Vec<String>,
    /// The cursor of an event: begin after it. 0: with the first there is. Left out: with what comes from now on.
    after: Option<u64>,
}

/// What happens to tasks, live, as server-sent events.
///
/// Each `task` event has an `Event` as its data, and its cursor as its id. A client that comes back with
/// `Last-Event-ID` misses nothing and sees nothing twice. A `problem` event says why the stream cannot go on:
/// do not come back after it.
#[utoipa::path(
    get,
    path = "/api/events/sse",
    tag = "events",
    params(Wanted, ("Last-Event-ID" = Option<u64>, Header, description = "Goes before `after`")),
    responses(
        (status = OK, description = "The stream", body = Event, content_type = "text/event-stream"),
        BadRequest, NotFound
    )
)]
async fn follow(
    State(app): State<Arc<App>>,
    last: LastEventId,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let after = last.or(wanted.after)?.unwrap_or_else(|| app.cursor());
    let watcher = app.watch(&wanted.task, after, true, false).await?;
    let events = stream::try_unfold(watcher, |mut watcher| async move {
        let Some(event) = watcher.next().await? else { return Ok(None) };
        Ok(Some((sse::event(event.cursor, "task", &Event::from(event)), watcher)))
    });
    Ok(sse::stream(&app, after, events))
}
