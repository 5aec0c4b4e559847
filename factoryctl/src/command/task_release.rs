//! `release`: lets tasks go that were submitted with a hold.

use factory_proto::v1;

use crate::cli::Release;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;
use crate::render::json::TaskView;
use crate::render::task::state_style;

pub async fn run(connection: &Connection, console: Console, args: Release) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let mut released = Vec::new();
    let mut refused = None;
    for name in args.tasks {
        let request = client.request(v1::ReleaseRequest { task: name.clone() });
        // One that cannot be let go must not hold the others.
        match client.tasks().release(request).await {
            Ok(reply) => released.extend(reply.into_inner().task),
            Err(status) => {
                let error = CommandError::from(status);
                console.note(format_args!("task {name}: {error}"));
                refused.get_or_insert(error.exit());
            }
        }
    }
    if console.for_people() {
        for task in &released {
            let style = state_style(task.state());
            console.line(format_args!("{} {style}{}{style:#}", task.number, task.state().name()))?;
        }
    } else {
        console.values(&released.iter().map(TaskView::from).collect::<Vec<_>>())?;
    }
    Ok(refused.unwrap_or(Exit::Done))
}
