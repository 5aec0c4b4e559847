//! `workflow cancel`.

use factory_proto::v1;

use crate::cli::WorkflowName;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::WorkflowView;
use crate::render::{Console, workflow};

pub async fn run(
    connection: &Connection,
    console: Console,
    args: WorkflowName,
) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::CancelWorkflowRequest { workflow: args.workflow });
    let cancelled = client.workflows().cancel(request).await?.into_inner().workflow.unwrap_or_default();
    if !console.for_people() {
        console.value(&WorkflowView::from(&cancelled))?;
    } else if workflow::has_ended(cancelled.state()) {
        console.line(format_args!("workflow {} is cancelled", cancelled.number))?;
    } else {
        console.line(format_args!(
            "workflow {} is cancelled as soon as its present step's agent has ended",
            cancelled.number
        ))?;
    }
    Ok(Exit::Done)
}
