//! `workers list`.

use factory_proto::v1;

use crate::connect::Connection;
use crate::exit::{CommandError, Exit};
use crate::render::json::WorkerView;
use crate::render::{Console, table, units};

pub async fn run(connection: &Connection, console: Console) -> Result<Exit, CommandError> {
    let client = &connection.client;
    let request = client.request(v1::ListWorkersRequest {});
    let workers = client.fleet().list_workers(request).await?.into_inner().workers;
    if !console.for_people() {
        console.values(&workers.iter().map(WorkerView::from).collect::<Vec<_>>())?;
    } else if workers.is_empty() {
        console.note("no worker has registered; start one on any host with: factory-worker --url URL");
    } else {
        console.line(table::workers(console, &workers, units::now_ms()).trim_fmt())?;
    }
    Ok(Exit::Done)
}
