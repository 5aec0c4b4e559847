//! `workflow show`, once or to its end.

use std::time::Duration;

use factory_proto::v1;
use tonic::Code;

use crate::cli::ShowWorkflow;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::interrupt::Interrupts;
use crate::render::json::WorkflowInFull;
use crate::render::{Console, units, workflow};

/// Between two looks: a step takes minutes.
const PAUSE: Duration = Duration::from_millis(500);

pub async fn run(
    connection: &Connection,
    console: Console,
    args: ShowWorkflow,
) -> Result<Exit, CommandError> {
    let name = &args.name.workflow;
    if args.watch {
        return to_the_end(connection, console, name).await;
    }
    print(console, &get(connection, name).await?)?;
    Ok(Exit::Done)
}

/// Says each change in a line, and shows it in full once it has ended. A coordinator that is away is waited for.
pub async fn to_the_end(connection: &Connection, console: Console, name: &str) -> Result<Exit, CommandError> {
    let mut interrupts = Interrupts::catch().map_err(CommandError::local("cannot listen for signals"))?;
    let mut said = Vec::new();
    loop {
        match get(connection, name).await {
            Ok(found) => {
                let lines = workflow::story(&found);
                for line in lines.iter().filter(|line| !said.contains(*line)) {
                    console.note(line);
                }
                said = lines;
                let state = found.workflow.as_ref().map(v1::Workflow::state).unwrap_or_default();
                if workflow::has_ended(state) {
                    print(console, &found)?;
                    return Ok(if state == v1::WorkflowState::Completed { Exit::Done } else { Exit::Failed });
                }
            }
            Err(CommandError::Status(status)) if status.code() == Code::Unavailable => {}
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = interrupts.next() => return Err(CommandError::Interrupted),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn get(connection: &Connection, name: &str) -> Result<v1::GetWorkflowResponse, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::GetWorkflowRequest { workflow: name.to_owned() });
    Ok(client.workflows().get(request).await?.into_inner())
}

fn print(console: Console, found: &v1::GetWorkflowResponse) -> Result<(), CommandError> {
    if !console.for_people() {
        return console.value(&WorkflowInFull::from(found));
    }
    let now = units::now_ms();
    console.line(workflow::page(found, now).trim_end())?;
    if !found.steps.is_empty() {
        console.line(format_args!("\n{}", workflow::steps(console, &found.steps).trim_fmt()))?;
    }
    if !found.handoffs.is_empty() {
        console.line(format_args!("\n{}", workflow::handoffs(console, &found.handoffs).trim_fmt()))?;
    }
    Ok(())
}
