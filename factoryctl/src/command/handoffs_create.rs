//! `handoffs create`.

use factory_proto::v1;

use crate::cli::CreateHandoff;
use crate::command::typed;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::HandoffView;
use crate::render::{Console, board};

pub async fn run(
    connection: &Connection,
    console: Console,
    args: CreateHandoff,
) -> Result<Exit, CommandError> {
    let handoff = v1::NewHandoff {
        from_task: args.from,
        to_task: args.to.unwrap_or_default(),
        to_role: args.to_role.unwrap_or_default(),
        context: typed::text("CONTEXT", &args.context)?,
        artifacts: args.artifacts,
        branch: args.branch.unwrap_or_default(),
    };
    let idempotency_key = args.idempotency_key.unwrap_or_default();
    let client = &connection.client;
    let request = client.request(v1::CreateHandoffRequest { handoff: Some(handoff), idempotency_key });
    let kept = client.board().create_handoff(request).await?.into_inner().handoff.unwrap_or_default();
    if console.for_people() {
        console.line(kept.number)?;
        console.note(format_args!("handed on to {}", board::receiver(&kept)));
    } else {
        console.value(&HandoffView::from(&kept))?;
    }
    Ok(Exit::Done)
}
