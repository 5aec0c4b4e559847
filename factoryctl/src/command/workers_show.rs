//! `workers show`: one worker in full.

use factory_proto::v1;

use crate::cli::WorkerName;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::WorkerInFull;
use crate::render::{Console, table, units, worker};

pub async fn run(connection: &Connection, console: Console, args: WorkerName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::GetWorkerRequest { worker: args.worker });
    let reply = client.fleet().get_worker(request).await?.into_inner();
    let entry = reply.worker.unwrap_or_default();
    if !console.for_people() {
        console.value(&WorkerInFull::new(&entry, &reply.attempts))?;
        return Ok(Exit::Done);
    }
    let now = units::now_ms();
    console.line(worker::page(&entry, now).trim_end())?;
    if !reply.attempts.is_empty() {
        console.line(format_args!("\n{}", table::held(console, &reply.attempts, now).trim_fmt()))?;
    }
    Ok(Exit::Done)
}
