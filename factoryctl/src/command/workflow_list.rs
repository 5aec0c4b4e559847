//! `workflow list` and `workflow definitions`.

use factory_proto::v1;

use crate::cli::ListWorkflows;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::{DefinitionView, WorkflowView};
use crate::render::{Console, units, workflow};

pub async fn run(
    connection: &Connection,
    console: Console,
    args: ListWorkflows,
) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let states = args.states.iter().filter_map(|name| workflow::state_of(name)).map(i32::from).collect();
    let request = client.request(v1::ListWorkflowsRequest {
        states,
        page_size: args.limit.unwrap_or_default(),
        page_token: args.page_token.unwrap_or_default(),
    });
    let reply = client.workflows().list(request).await?.into_inner();
    if !console.for_people() {
        console.values(&reply.workflows.iter().map(WorkflowView::from).collect::<Vec<_>>())?;
    } else if reply.workflows.is_empty() {
        console.note("no workflow; `factoryctl workflow definitions` lists what can be started");
    } else {
        console.line(workflow::table(console, &reply.workflows, units::now_ms()).trim_fmt())?;
    }
    if !reply.next_page_token.is_empty() {
        console.note(format_args!("there are more: --page-token {}", reply.next_page_token));
    }
    Ok(Exit::Done)
}

pub async fn definitions(connection: &Connection, console: Console) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::ListWorkflowDefinitionsRequest {});
    let definitions = client.workflows().list_definitions(request).await?.into_inner().definitions;
    if console.for_people() {
        console.line(workflow::definitions(console, &definitions).trim_fmt())?;
    } else {
        console.values(&definitions.iter().map(DefinitionView::from).collect::<Vec<_>>())?;
    }
    Ok(Exit::Done)
}
