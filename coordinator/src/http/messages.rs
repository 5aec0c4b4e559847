//! The message board.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Query;
use super::problem::Problem;
use super::sse::{self, LastEventId};
use super::view::{Message, MessageType};
use crate::app::App;

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(follow))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Followed {
    /// Number of a message: begin after it. 0: with the first there is. Left out: with what is posted from now on.
    after: Option<u64>,
    /// Id, a prefix of it, or number of a task: messages from it, about it, or to it.
    #[serde(default)]
    task_id: String,
    /// Of this type only. May be given several times.
    #[serde(default)]
    message_type: Vec<MessageType>,
}

/// What is posted on the message board, live, as server-sent events.
///
/// Each `message` event has a `Message` as its data, and its number as its id. A client that comes back with
/// `Last-Event-ID` misses nothing and sees nothing twice. A `problem` event says why the stream cannot go on:
/// do not come back after it.
#[utoipa::path(
    get,
    path = "/api/messages/stream/sse",
    tag = "messages",
    params(Followed, ("Last-Event-ID" = Option<u64>, Header, description = "Goes before `after`")),
    responses(
        (status = OK, description = "The stream", body = Message, content_type = "text/event-stream"),
        (status = BAD_REQUEST, body = Problem, content_type = "application/problem+json"),
        (status = UNAUTHORIZED, body = Problem, content_type = "application/problem+json"),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
    )
)]
async fn follow(
    State(app): State<Arc<App>>,
    last: LastEventId,
    Query(Followed { after, task_id, message_type }): Query<Followed>,
) -> Result<Response, Problem> {
    let types = message_type.into_iter().map(Into::into).collect();
    let follower = app.follow_messages(last.or(after)?, &task_id, types).await?;
    let begin = follower.place();
    let messages = stream::try_unfold(follower, |mut follower| async move {
        let message = follower.next().await?;
        Ok(Some((sse::event(message.number, "message", &Message::from(message)), follower)))
    });
    Ok(sse::stream(&app, begin, messages))
}
