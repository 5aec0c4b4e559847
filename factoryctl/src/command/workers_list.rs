//! `workers list`.

use factory_proto::v1;

use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::WorkerView;
use crate::render::{Console, plain, table, units};

pub async fn run(connection: &Connection, console: Console) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::ListWorkersRequest {});
    let reply = client.fleet().list_workers(request).await?.into_inner();
    let workers = reply.workers;
    if !console.for_people() {
        console.values(&workers.iter().map(WorkerView::from).collect::<Vec<_>>())?;
    } else if workers.is_empty() {
        console.note("no worker has registered; start one on any host with: factory-worker --url URL");
    } else {
        console.line(table::workers(console, &workers, units::now_ms()).trim_fmt())?;
        for worker in workers.iter().filter(|worker| worker.connected) {
            remark(console, worker);
        }
    }
    if !reply.disk_warning.is_empty() {
        console.note(plain::line(&reply.disk_warning));
    }
    Ok(Exit::Done)
}

/// What a worker says against its agents.
fn remark(console: Console, worker: &v1::Worker) {
    let name = plain::line(&worker.name);
    for agent in &worker.agents {
        if !agent.unusable_because.is_empty() {
            console.note(format_args!(
                "{name} does not offer {}: {}",
                plain::line(&agent.name),
                plain::line(&agent.unusable_because)
            ));
        } else if !agent.warning.is_empty() {
            console.note(format_args!(
                "{name} offers {}, but: {}",
                plain::line(&agent.name),
                plain::line(&agent.warning)
            ));
        }
    }
}
