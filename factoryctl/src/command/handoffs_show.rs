//! `handoffs show`: one handoff in full.

use factory_proto::v1;

use crate::cli::HandoffName;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::HandoffView;
use crate::render::{Console, board, units};

pub async fn run(connection: &Connection, console: Console, args: HandoffName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::GetHandoffRequest { handoff: args.handoff });
    let handoff = client.board().get_handoff(request).await?.into_inner().handoff.unwrap_or_default();
    if console.for_people() {
        console.line(board::handoff(&handoff, units::now_ms()).trim_end())?;
    } else {
        console.value(&HandoffView::from(&handoff))?;
    }
    Ok(Exit::Done)
}
