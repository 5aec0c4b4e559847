//! `handoffs list`.

use factory_proto::v1;

use crate::cli::HandoffList;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::HandoffView;
use crate::render::{Console, board, units};

pub async fn run(connection: &Connection, console: Console, args: HandoffList) -> Result<Exit, CommandError> {
    let request = v1::ListHandoffsRequest {
        task: args.task.unwrap_or_default(),
        workflow: args.workflow.unwrap_or_default(),
        page_size: args.limit.unwrap_or(0),
        page_token: args.page_token.unwrap_or_default(),
    };
    let client = &connection.client;
    let reply = client.board().list_handoffs(client.request(request)).await?.into_inner();
    if !console.for_people() {
        console.values(&reply.handoffs.iter().map(HandoffView::from).collect::<Vec<_>>())?;
    } else if reply.handoffs.is_empty() {
        console.note("no handoff is like that; agents make them with the tool `handoff`");
    } else {
        console.line(board::handoffs(console, &reply.handoffs, units::now_ms()).trim_fmt())?;
    }
    if !reply.next_page_token.is_empty() {
        console.note(format_args!("more with: --page-token {}", reply.next_page_token));
    }
    Ok(Exit::Done)
}
