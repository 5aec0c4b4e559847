//! `retry`: an ended task again, as a new one.

use factory_proto::v1;

use crate::cli::Retry;
use crate::command::{task_submit::print_submitted, task_watch};
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::Console;
use crate::watch::Subject;

pub async fn run(connection: Connection, console: Console, args: Retry) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::RetryRequest { task: args.task.clone() });
    let reply = client.tasks().retry(request).await?.into_inner();
    let submitted = reply.task.unwrap_or_default();
    console.note(format_args!("task {} tries task {} again", submitted.number, args.task));
    print_submitted(console, &submitted)?;
    if args.watch {
        return task_watch::to_the_end(connection, console, Subject::Tasks(vec![submitted.id]), false).await;
    }
    Ok(Exit::Done)
}
