//! `messages follow`: the board, live, until interrupted.

use factory_proto::client::follow::{self, Update};
use factory_proto::v1;
use futures_util::StreamExt;

use crate::cli::FollowMessages;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::json::MessageView;
use crate::render::{Console, Format, board};

pub async fn run(
    connection: &Connection,
    console: Console,
    args: FollowMessages,
) -> Result<Exit, CommandError> {
    let mut interrupts = Interrupts::catch().map_err(CommandError::local("cannot catch signals"))?;
    // Known from the start, so that a connection which breaks before the first message loses none.
    let mut newest = match args.since {
        Some(number) => number,
        None => newest(connection).await?,
    };
    let request = v1::FollowMessagesRequest {
        after: Some(newest),
        task: args.task.unwrap_or_default(),
        types: args.types.into_iter().map(|kind| v1::MessageType::from(kind).into()).collect(),
    };
    let followed = tokio::select! {
        followed = print(connection, console, request, &mut newest) => followed,
        () = interrupts.next() => Err(CommandError::Interrupted),
    };
    if !matches!(followed, Err(CommandError::OutputClosed)) {
        console.note(format_args!("resume with: factoryctl messages follow --since {newest}"));
    }
    followed
}

async fn print(
    connection: &Connection,
    console: Console,
    request: v1::FollowMessagesRequest,
    newest: &mut u64,
) -> Result<Exit, CommandError> {
    // What goes on for ever is no one JSON value.
    let lines = Console { format: Format::Jsonl };
    let mut updates = follow::messages(connection.config.clone(), request);
    while let Some(update) = updates.next().await {
        match update? {
            Update::Next(message) => {
                if console.for_people() {
                    console.line(board::message(&message))?;
                } else {
                    lines.value(&MessageView::from(&message))?;
                }
                *newest = message.number;
            }
            Update::Disconnected { cause, .. } => {
                console.note(format_args!("connection lost ({}); trying again", cause.message()));
            }
            Update::Reconnected => console.note("connected again"),
        }
    }
    Ok(Exit::Done)
}

async fn newest(connection: &Connection) -> Result<u64, CommandError> {
    let client = &connection.client;
    let request = v1::ListMessagesRequest { page_size: 1, ..Default::default() };
    let reply = client.board().list_messages(client.request(request)).await?.into_inner();
    Ok(reply.messages.first().map_or(0, |message| message.number))
}
