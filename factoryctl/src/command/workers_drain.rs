//! `workers drain`: nothing new for a worker.

use factory_proto::v1;

use crate::cli::DrainWorker;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::WorkerInFull;
use crate::render::{Console, plain, units, worker};

pub async fn run(connection: &Connection, console: Console, args: DrainWorker) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let hand_over_after_ms =
        args.hand_over_after.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    let request = client.request(v1::DrainWorkerRequest { worker: args.name.worker, hand_over_after_ms });
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
    let hand_over = worker::hand_over(&worker, units::now_ms());
    if !hand_over.is_empty() {
        console.line(format_args!("what still runs is handed over: {hand_over}"))?;
    }
    console.note(format_args!("  `factoryctl workers resume {name}` ends the drain"));
    Ok(Exit::Done)
}
