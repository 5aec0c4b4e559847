//! The message board.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, IdempotencyKey, Path, Query, page_size};
use super::made::Made;
use super::name::Name;
use super::problem::{BadJson, BadRequest, Conflict, DiskFull, NotFound, Problem};
use super::sse::{self, LastEventId};
use super::view::{Message, MessageType};
use crate::app::{App, MessagesRequest, WantedMessage};

pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(post, list))
        .routes(routes!(follow))
        .routes(routes!(get))
        .routes(routes!(thread))
}

/// What is sent to post.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    /// all, user, a role, or task:7. Left out: whoever wrote what it replies to, else all.
    to: Option<String>,
    /// 64 KiB at most.
    content: String,
    /// info when left out.
    message_type: Option<MessageType>,
    /// The task it is about.
    task_id: Option<Name>,
    /// For people; user when left out.
    from: Option<String>,
    /// The message it replies to.
    reply_to: Option<Name>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Id, a prefix of it, or number of a task: messages from it, about it, or to it.
    #[serde(default)]
    task_id: String,
    /// Of this type only. May be given several times.
    #[serde(default)]
    message_type: Vec<MessageType>,
    /// all, user, a role, or task:7.
    #[serde(default)]
    to: String,
    /// Exact: a role, or a person's name for themselves.
    #[serde(default)]
    from: String,
    /// With all of these words, or such that begin like them.
    #[serde(default)]
    search: String,
    /// 50 when left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// From an earlier page with the same filters.
    #[serde(default)]
    page_token: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessagePage)]
struct Page {
    messages: Vec<Message>,
    /// `null` on the last page.
    next_page_token: Option<String>,
}

/// Post a message on the board. Its agents hear of it when they next act.
#[utoipa::path(
    post,
    path = "/api/messages",
    tag = "messages",
    params(IdempotencyKey),
    request_body = NewMessage,
    responses(
        (status = CREATED, body = Message, description = "It is posted", headers(("Location" = String))),
        (status = OK, body = Message, description = "It was, under this key", headers(("Location" = String))),
        BadRequest, NotFound, Conflict, BadJson, DiskFull
    )
)]
async fn post(
    State(app): State<Arc<App>>,
    IdempotencyKey(key): IdempotencyKey,
    Body(new): Body<NewMessage>,
) -> Result<Made<Message>, Problem> {
    let wanted = WantedMessage {
        to: new.to.unwrap_or_default(),
        kind: new.message_type.unwrap_or(MessageType::Info).into(),
        content: new.content,
        reply_to: Name::or_empty(new.reply_to),
        key,
    };
    let posted = app.post_message(wanted, new.from.unwrap_or_default(), Name::or_empty(new.task_id)).await;
    let posted = posted.map_err(|error| Problem::of_body(error, "message."))?;
    let at = format!("/api/messages/{}", posted.thing.number);
    Ok(Made { at, existed: posted.existed, view: posted.thing.into() })
}

/// Messages, newest first, in pages.
#[utoipa::path(
    get,
    path = "/api/messages",
    tag = "messages",
    params(Wanted),
    responses((status = OK, body = Page), BadRequest, NotFound)
)]
async fn list(State(app): State<Arc<App>>, Query(wanted): Query<Wanted>) -> Result<Json<Page>, Problem> {
    let request = MessagesRequest {
        task: wanted.task_id,
        types: wanted.message_type.into_iter().map(Into::into).collect(),
        to: wanted.to,
        from: wanted.from,
        search: wanted.search,
        page_size: page_size(wanted.limit)?,
        page_token: wanted.page_token,
    };
    let page = app.messages(request).await?;
    let messages = page.messages.into_iter().map(Message::from).collect();
    let next_page_token = Some(page.next_page_token).filter(|token| !token.is_empty());
    Ok(Json(Page { messages, next_page_token }))
}

/// One message.
#[utoipa::path(
    get,
    path = "/api/messages/{message}",
    tag = "messages",
    params(("message" = String, Path, description = "Id or number")),
    responses((status = OK, body = Message), BadRequest, NotFound)
)]
async fn get(State(app): State<Arc<App>>, Path(message): Path<String>) -> Result<Json<Message>, Problem> {
    Ok(Json(app.message(&message).await?.into()))
}

/// The whole thread that a message is of, oldest first; of a very long one its end.
#[utoipa::path(
    get,
    path = "/api/messages/{message}/thread",
    tag = "messages",
    params(("message" = String, Path, description = "Id or number")),
    responses((status = OK, body = Page), BadRequest, NotFound)
)]
async fn thread(State(app): State<Arc<App>>, Path(message): Path<String>) -> Result<Json<Page>, Problem> {
    let messages = app.thread(&message).await?.into_iter().map(Message::from).collect();
    Ok(Json(Page { messages, next_page_token: None }))
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
        BadRequest, NotFound
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
