//! `workers drain`: nothing new for a worker.

use factory_proto::v1;

use crate::cli::WorkerName;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::WorkerInFull;
use crate::render::{Console, plain};

pub async fn run(connection: &Connection, console: Console, args: WorkerName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::DrainWorkerRequest { worker: args.worker, hand_over_after_ms: None });
    let reply = client.fleet().drain_worker(request).await?.into_inner();
    let worker = reply.worker.unwrap_or_default();
    if !console.for_people() {
        console.value(&WorkerInFull::new(&worker, &reply.attempts))?;
        return Ok(Exit::Done);
    }
    let name = plain::line(&worker.name);
    let tasks: Vec<_> = reply.attempts.iter().map(|attempt| attempt.task_number.to_string()).collect();
    match tasks[..] {
        [] => {
            console.line(format_args!("{name} is drained: it holds nothing, and is offered nothing new"))?
        }
        _ => console.line(format_args!(
            "{name} drains: it is offered nothing new, and still has task {}",
            tasks.join(", ")
        ))?,
    }
    console.note(format_args!("  `factoryctl workers resume {name}` ends the drain"));
    Ok(Exit::Done)
}
