//! The limit: the least that accepts a task durably over gRPC.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::ExitCode;

use factory_proto::v1;
use factory_proto::v1::task_service_server::{TaskService, TaskServiceServer};
use futures_util::Stream;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, SqliteConnection};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};
use uuid::Uuid;

const ARGUMENT: &str = "--serve-the-limit";
/// Calls in one commit at most.
const GROUP: usize = 256;

pub fn command_line(root: &Path) -> Vec<OsString> {
    vec![ARGUMENT.into(), root.into()]
}

/// The root, where this process was started as the limit.
pub fn arguments() -> Option<PathBuf> {
    let mut arguments = std::env::args_os().skip(1);
    (arguments.next()? == ARGUMENT).then(|| arguments.next().map(PathBuf::from))?
}

pub fn serve(root: &Path) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let database = open(root).await.expect("a database");
        let (queue, calls) = mpsc::channel(1024);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("http://{}", listener.local_addr().expect("an address"));
        let server = tonic::transport::Server::builder()
            .tcp_nodelay(true)
            .add_service(TaskServiceServer::new(Limit { queue }).max_decoding_message_size(16 * 1024 * 1024))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener));
        tokio::select! {
            served = server => served.expect("served"),
            () = write(database, calls) => {}
        }
    });
    ExitCode::SUCCESS
}

async fn open(root: &Path) -> Result<SqliteConnection, sqlx::Error> {
    let mut database = SqliteConnectOptions::new()
        .filename(root.join("limit.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .connect()
        .await?;
    sqlx::query("CREATE TABLE tasks (id TEXT PRIMARY KEY, prompt TEXT NOT NULL) STRICT")
        .execute(&mut database)
        .await?;
    Ok(database)
}

struct Call {
    /// As the insert reads it: `[["id", "prompt"], …]`.
    rows: String,
    done: oneshot::Sender<()>,
}

/// The one writer.
async fn write(mut database: SqliteConnection, mut calls: mpsc::Receiver<Call>) {
    let mut group = Vec::with_capacity(GROUP);
    while calls.recv_many(&mut group, GROUP).await > 0 {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut database).await.expect("begun");
        for call in &group {
            sqlx::query("INSERT INTO tasks SELECT value ->> 0, value ->> 1 FROM json_each(?)")
                .bind(&call.rows)
                .execute(&mut database)
                .await
                .expect("inserted");
        }
        sqlx::query("COMMIT").execute(&mut database).await.expect("committed");
        for call in group.drain(..) {
            // A caller that has gone does not want its answer.
            call.done.send(()).unwrap_or_default();
        }
    }
}

struct Limit {
    queue: mpsc::Sender<Call>,
}

type Streaming<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl TaskService for Limit {
    async fn submit(
        &self,
        request: Request<v1::SubmitRequest>,
    ) -> Result<Response<v1::SubmitResponse>, Status> {
        let tasks = request.into_inner().tasks;
        let ids: Vec<String> = tasks.iter().map(|_| Uuid::now_v7().to_string()).collect();
        let rows: Vec<_> =
            ids.iter().zip(&tasks).map(|(id, task)| (id, task.spec.as_ref().map(|s| &s.prompt))).collect();
        let rows = serde_json::to_string(&rows).map_err(|error| Status::internal(error.to_string()))?;
        let (done, written) = oneshot::channel();
        self.queue.send(Call { rows, done }).await.map_err(|_| Status::unavailable("closing"))?;
        written.await.map_err(|_| Status::unavailable("closing"))?;
        let tasks = ids.into_iter().map(|id| v1::Submitted { id, ..Default::default() }).collect();
        Ok(Response::new(v1::SubmitResponse { tasks }))
    }

    type WatchStream = Streaming<v1::WatchResponse>;
    type ReadArtifactStream = Streaming<v1::ReadArtifactResponse>;

    async fn get(&self, _: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        Err(only_submit())
    }

    async fn list(&self, _: Request<v1::ListRequest>) -> Result<Response<v1::ListResponse>, Status> {
        Err(only_submit())
    }

    async fn cancel(&self, _: Request<v1::CancelRequest>) -> Result<Response<v1::CancelResponse>, Status> {
        Err(only_submit())
    }

    async fn retry(&self, _: Request<v1::RetryRequest>) -> Result<Response<v1::RetryResponse>, Status> {
        Err(only_submit())
    }

    async fn release(&self, _: Request<v1::ReleaseRequest>) -> Result<Response<v1::ReleaseResponse>, Status> {
        Err(only_submit())
    }

    async fn stats(&self, _: Request<v1::StatsRequest>) -> Result<Response<v1::StatsResponse>, Status> {
        Err(only_submit())
    }

    async fn watch(&self, _: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(only_submit())
    }

    async fn read_artifact(
        &self,
        _: Request<v1::ReadArtifactRequest>,
    ) -> Result<Response<Self::ReadArtifactStream>, Status> {
        Err(only_submit())
    }
}

fn only_submit() -> Status {
    Status::unimplemented("the limit takes submits and nothing else")
}
