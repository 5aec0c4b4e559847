//! `factory.v1` on the wire. Handlers translate: read the message, call the use
//! case, write the answer. Nothing is decided here.

mod agent;
mod artifacts;
mod board;
mod checkpoints;
mod children;
mod fleet;
mod library;
mod logs;
mod memory;
mod questions;
mod repo_jobs;
mod repos;
mod session;
mod status;
mod tasks;
pub(crate) mod traceparent;
mod view;
mod worker;
mod workflow;

use std::sync::Arc;

use factory_proto::v1;
use factory_proto::v1::agent_service_server::AgentServiceServer;
use factory_proto::v1::board_service_server::BoardServiceServer;
use factory_proto::v1::fleet_service_server::FleetServiceServer;
use factory_proto::v1::library_service_server::LibraryServiceServer;
use factory_proto::v1::log_service_server::LogServiceServer;
use factory_proto::v1::memory_service_server::MemoryServiceServer;
use factory_proto::v1::repo_service_server::RepoServiceServer;
use factory_proto::v1::task_service_server::TaskServiceServer;
use factory_proto::v1::worker_service_server::WorkerServiceServer;
use factory_proto::v1::workflow_service_server::WorkflowServiceServer;
use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use tonic::Status;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::app::{App, Error};

/// Bytes of one received message: far more than a task may be, so that one that
/// is too large is told so by field and limit.
const MAX_RECEIVE: usize = 8 * 1024 * 1024;

/// Every service, with reflection and health.
pub async fn routes(app: &Arc<App>, health: &HealthReporter) -> Routes {
    let tasks = TaskServiceServer::new(tasks::Tasks(Arc::clone(app))).max_decoding_message_size(MAX_RECEIVE);
    let logs = LogServiceServer::new(logs::Logs(Arc::clone(app)));
    let workers =
        WorkerServiceServer::new(worker::Workers(Arc::clone(app))).max_decoding_message_size(MAX_RECEIVE);
    let fleet = FleetServiceServer::new(fleet::Fleet(Arc::clone(app)));
    let agents = AgentServiceServer::new(agent::Agents(Arc::clone(app)));
    let workflows = WorkflowServiceServer::new(workflow::Workflows(Arc::clone(app)));
    let library = LibraryServiceServer::new(library::Library(Arc::clone(app)));
    let memories = MemoryServiceServer::new(memory::Memories(Arc::clone(app)));
    let repos = RepoServiceServer::new(repos::Repos(Arc::clone(app)));
    let board = BoardServiceServer::new(board::Board(Arc::clone(app)));
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the descriptors were compiled with this program");
    health.set_service_status("", ServingStatus::Serving).await;
    health.set_serving::<TaskServiceServer<tasks::Tasks>>().await;
    health.set_serving::<WorkerServiceServer<worker::Workers>>().await;
    Routes::new(tasks)
        .add_service(logs)
        .add_service(workers)
        .add_service(fleet)
        .add_service(agents)
        .add_service(board)
        .add_service(library)
        .add_service(workflows)
        .add_service(memories)
        .add_service(repos)
        .add_service(reflection)
        .add_service(HealthServer::new(HealthService::from_health_reporter(health.clone())))
}

/// A stream to a client, from something that is read item by item at the client's pace.
/// It is ended when the coordinator stops; the client resumes by its cursor.
fn stream_to_client<T: Send + 'static>(
    app: &Arc<App>,
    items: impl Stream<Item = Result<T, Error>> + Send + 'static,
) -> BoxStream<'static, Result<T, Status>> {
    let stopping = app.stopping.clone();
    let farewell = stopping.clone();
    items
        .map(|item| item.map_err(Status::from))
        .take_until(stopping.cancelled_owned())
        .chain(stream::iter([()]).filter_map(move |()| {
            let cut_off = farewell.is_cancelled().then(|| Err(Error::Stopping.into()));
            std::future::ready(cut_off)
        }))
        .boxed()
}
