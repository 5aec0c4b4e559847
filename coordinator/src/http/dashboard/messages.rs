//! `/messages`: the board, its threads, and posting on it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use factory_domain::MessageType;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::form::Form;
use super::page::Frame;
use crate::app::{App, Error, MessagesRequest, WantedMessage};
use crate::http::extract::{Path, Query};
use crate::http::problem::Problem;
use crate::http::view::Message;

/// Messages on a page.
const PAGE: u32 = 50;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/messages", get(board).post(post)).route("/messages/{message}", get(thread))
}

/// What of the board is shown; empty is all.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Filter {
    #[serde(rename = "type")]
    kind: String,
    task: String,
    to: String,
    from: String,
    search: String,
    page_token: String,
}

impl Filter {
    /// As a query, without the page.
    fn query(&self) -> String {
        let Self { kind, task, to, from, search, page_token: _ } = self;
        let given = [("type", kind), ("task", task), ("to", to), ("from", from), ("search", search)];
        let given: Vec<_> = given.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        serde_urlencoded::to_string(given).unwrap_or_default()
    }
}

/// A message as it was typed, and what is wrong with it.
#[derive(Debug, Serialize, Deserialize)]
struct Draft {
    #[serde(default)]
    to: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    from: String,
    /// Number of the message that it answers.
    #[serde(default)]
    reply_to: String,
    /// So that a form sent twice is one message.
    key: String,
    #[serde(skip_deserializing)]
    errors: Vec<String>,
}

#[derive(Serialize)]
struct Board {
    filter: Filter,
    /// The filter, encoded.
    query: String,
    messages: Vec<Message>,
    next_page_token: String,
    types: [&'static str; MessageType::ALL.len()],
    draft: Draft,
    /// Messages after this one are not on the page.
    newest: u64,
}

#[derive(Serialize)]
struct Thread {
    first: u64,
    messages: Vec<Message>,
    types: [&'static str; MessageType::ALL.len()],
    draft: Draft,
    newest: u64,
}

async fn board(
    frame: Frame,
    State(app): State<Arc<App>>,
    Query(filter): Query<Filter>,
) -> Result<Response, Problem> {
    show_board(&frame, &app, filter, Draft::empty(), StatusCode::OK).await
}

async fn show_board(
    frame: &Frame,
    app: &App,
    filter: Filter,
    draft: Draft,
    status: StatusCode,
) -> Result<Response, Problem> {
    let newest = app.newest_message();
    let types = match filter.kind.as_str() {
        "" => Vec::new(),
        kind => vec![read_type("type", kind)?],
    };
    let request = MessagesRequest {
        task: filter.task.trim().to_owned(),
        types,
        to: filter.to.trim().to_owned(),
        from: filter.from.trim().to_owned(),
        search: filter.search.trim().to_owned(),
        page_size: PAGE,
        page_token: filter.page_token.clone(),
    };
    let page = app.messages(request).await?;
    let board = Board {
        query: filter.query(),
        messages: page.messages.into_iter().map(Message::from).collect(),
        next_page_token: page.next_page_token,
        types: MessageType::ALL.map(MessageType::name),
        filter,
        draft,
        newest,
    };
    frame.page_as(status, "messages.html", "Messages", board)
}

async fn thread(
    frame: Frame,
    State(app): State<Arc<App>>,
    Path(message): Path<String>,
) -> Result<Response, Problem> {
    show_thread(&frame, &app, &message, Draft::empty(), StatusCode::OK).await
}

async fn show_thread(
    frame: &Frame,
    app: &App,
    message: &str,
    draft: Draft,
    status: StatusCode,
) -> Result<Response, Problem> {
    let newest = app.newest_message();
    let first = app.message(message).await?.first_of_thread();
    let messages = app.thread(message).await?;
    let thread = Thread {
        first,
        messages: messages.into_iter().map(Message::from).collect(),
        types: MessageType::ALL.map(MessageType::name),
        draft: Draft { reply_to: first.to_string(), ..draft },
        newest,
    };
    frame.page_as(status, "thread.html", &format!("Thread {first}"), thread)
}

/// What cannot be posted is shown again as it was typed, with what is wrong with it.
async fn post(
    frame: Frame,
    State(app): State<Arc<App>>,
    Form(mut draft): Form<Draft>,
) -> Result<Response, Problem> {
    match posted(&app, &draft).await {
        Ok(number) if draft.reply_to.is_empty() => {
            Ok(Redirect::to(&format!("/messages#message-{number}")).into_response())
        }
        Ok(number) => {
            let place = format!("/messages/{}#message-{number}", draft.reply_to);
            Ok(Redirect::to(&place).into_response())
        }
        Err(Error::Invalid(violations)) => {
            let say = |field: &str| field.trim_start_matches("message.").to_owned();
            draft.errors = violations.iter().map(|it| format!("{} {}", say(&it.field), it.why)).collect();
            let status = StatusCode::BAD_REQUEST;
            match draft.reply_to.clone() {
                first if first.is_empty() => show_board(&frame, &app, Filter::default(), draft, status).await,
                first => show_thread(&frame, &app, &first, draft, status).await,
            }
        }
        Err(error) => Err(error.into()),
    }
}

async fn posted(app: &App, draft: &Draft) -> Result<u64, Error> {
    // The number of a message, and so a place to go back to.
    if !draft.reply_to.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::NoSuchMessage(draft.reply_to.clone()));
    }
    let wanted = WantedMessage {
        to: draft.to.trim().to_owned(),
        kind: read_type("message.type", &draft.kind)?,
        content: draft.content.replace("\r\n", "\n"),
        reply_to: draft.reply_to.clone(),
        key: draft.key.clone(),
    };
    let message = app.post_message(wanted, draft.from.trim().to_owned(), String::new()).await?;
    Ok(message.thing.number)
}

fn read_type(field: &'static str, name: &str) -> Result<MessageType, Error> {
    name.parse().map_err(|error| Error::invalid(field, error))
}

impl Draft {
    fn empty() -> Self {
        Self {
            to: String::new(),
            kind: MessageType::Info.name().to_owned(),
            content: String::new(),
            from: String::new(),
            reply_to: String::new(),
            key: Uuid::now_v7().to_string(),
            errors: Vec::new(),
        }
    }
}
