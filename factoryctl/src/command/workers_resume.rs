//! `workers resume`: the end of a drain.

use factory_proto::v1;

use crate::cli::WorkerName;
use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::WorkerView;
use crate::render::{Console, plain};

pub async fn run(connection: &Connection, console: Console, args: WorkerName) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::ResumeWorkerRequest { worker: args.worker });
    let worker = client.fleet().resume_worker(request).await?.into_inner().worker.unwrap_or_default();
    if !console.for_people() {
        console.value(&WorkerView::from(&worker))?;
        return Ok(Exit::Done);
    }
    let name = plain::line(&worker.name);
    if worker.drain() == v1::DrainState::Unspecified {
        console.line(format_args!("{name} is offered work again"))?;
    } else {
        console
            .line(format_args!("{name} was told to stop on its own host and still drains; start it again"))?;
    }
    Ok(Exit::Done)
}
