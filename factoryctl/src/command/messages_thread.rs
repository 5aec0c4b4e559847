//! `messages thread`.

use factory_proto::v1;

use crate::cli::MessageName;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::MessageView;
use crate::render::{Console, board};

pub async fn run(connection: &Connection, console: Console, args: MessageName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::GetThreadRequest { message: args.message });
    let thread = client.board().get_thread(request).await?.into_inner().messages;
    if console.for_people() {
        let shown: Vec<_> = thread.iter().map(board::message).collect();
        console.line(shown.join("\n").trim_end())?;
    } else {
        console.values(&thread.iter().map(MessageView::from).collect::<Vec<_>>())?;
    }
    Ok(Exit::Done)
}
