//! `messages list`.

use factory_proto::v1;

use crate::cli::MessageList;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::MessageView;
use crate::render::{Console, board, units};

pub async fn run(connection: &Connection, console: Console, args: MessageList) -> Result<Exit, CommandError> {
    let request = v1::ListMessagesRequest {
        task: args.task.unwrap_or_default(),
        types: args.types.into_iter().map(|kind| v1::MessageType::from(kind).into()).collect(),
        to: args.to.unwrap_or_default(),
        from: args.from.unwrap_or_default(),
        search: args.search.unwrap_or_default(),
        page_size: args.limit.unwrap_or(0),
        page_token: args.page_token.unwrap_or_default(),
    };
    let client = &connection.client;
    let narrowed = v1::ListMessagesRequest { page_size: 0, ..request.clone() } != Default::default();
    let reply = client.board().list_messages(client.request(request)).await?.into_inner();
    if !console.for_people() {
        console.values(&reply.messages.iter().map(MessageView::from).collect::<Vec<_>>())?;
    } else if reply.messages.is_empty() {
        console.note(if narrowed {
            "no message is like that; without a filter `factoryctl messages` lists all"
        } else {
            "nothing was said yet; post with: factoryctl messages post \"…\""
        });
    } else {
        console.line(board::messages(console, &reply.messages, units::now_ms()).trim_fmt())?;
    }
    if !reply.next_page_token.is_empty() {
        console.note(format_args!("more with: --page-token {}", reply.next_page_token));
    }
    Ok(Exit::Done)
}
