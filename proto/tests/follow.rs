//! Following a log through a connection that is cut again and again.

use std::net::SocketAddr;
use std::pin::Pin;

use factory_proto::client::ClientConfig;
use factory_proto::client::follow::{self, Update};
use factory_proto::v1::log_service_server::{LogService, LogServiceServer};
use factory_proto::v1::{
    FollowLogRequest, FollowLogResponse, LogRecord, LogStream, ReadLogRequest, ReadLogResponse,
};
use futures_util::{Stream, StreamExt, stream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

const RECORDS: u64 = 60;
const BATCH: u64 = 3;

/// A coordinator with one log. It gives whole batches, so that a resumed stream begins with records sent before.
struct OneLog;

#[tonic::async_trait]
impl LogService for OneLog {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<FollowLogResponse, Status>> + Send>>;

    async fn read(&self, _: Request<ReadLogRequest>) -> Result<Response<ReadLogResponse>, Status> {
        Err(Status::unimplemented("only followed here"))
    }

    async fn follow(
        &self,
        request: Request<FollowLogRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let request = request.into_inner();
        if request.task != "1" {
            return Err(Status::not_found("there is no such task"));
        }
        let first = request.from.unwrap_or_default().offset / BATCH;
        let batches = (first..RECORDS / BATCH).map(|batch| {
            let records = (batch * BATCH..(batch + 1) * BATCH).map(record).collect();
            Ok(FollowLogResponse { attempt_number: 1, records })
        });
        Ok(Response::new(Box::pin(stream::iter(batches))))
    }
}

/// Large enough that a cut finds the stream in its middle.
fn record(offset: u64) -> LogRecord {
    let data = vec![b'x'; 60_000].into();
    LogRecord { offset, at_ms: 0, stream: LogStream::Stdout.into(), data, continues: false }
}

/// A coordinator, and an address in front of it whose connections die with each change of `cut`.
async fn coordinator_behind(cut: watch::Receiver<u32>, tasks: &mut JoinSet<()>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let behind = listener.local_addr().expect("bound");
    tasks.spawn(async move {
        let server = Server::builder().add_service(LogServiceServer::new(OneLog));
        server.serve_with_incoming(TcpListenerStream::new(listener)).await.expect("it serves");
    });
    let front = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = front.local_addr().expect("bound");
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut client, _)) = front.accept().await {
            let mut cut = cut.clone();
            cut.mark_unchanged();
            connections.spawn(async move {
                let mut server = TcpStream::connect(behind).await.expect("it listens");
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                    _ = cut.changed() => {}
                }
            });
        }
    });
    address
}

fn request(task: &str) -> FollowLogRequest {
    FollowLogRequest { task: task.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn each_record_comes_once_and_in_order_however_often_the_connection_is_cut() {
    let mut tasks = JoinSet::new();
    let (cut, cuts) = watch::channel(0);
    let address = coordinator_behind(cuts, &mut tasks).await;
    let mut log = follow::log(ClientConfig::new(format!("http://{address}"), None), request("1"));

    let mut seen = Vec::new();
    let (mut lost, mut back) = (0, 0);
    while let Some(update) = log.next().await {
        match update.expect("no error but the connection's") {
            Update::Next(page) => {
                seen.extend(page.records.iter().map(|record| record.offset));
                if lost < 3 && lost == back {
                    cut.send_modify(|cut| *cut += 1);
                }
            }
            Update::Disconnected { cause, .. } => {
                assert_eq!(cause.message(), format!("the connection to http://{address} broke"));
                lost += 1;
            }
            Update::Reconnected => back += 1,
        }
    }
    assert_eq!(seen, (0..RECORDS).collect::<Vec<_>>());
    assert!(lost >= 1 && back == lost, "the cuts were noticed: {lost}, {back}");
}

#[tokio::test]
async fn an_answer_of_the_coordinator_ends_the_stream() {
    let mut tasks = JoinSet::new();
    let (_cut, cuts) = watch::channel(0);
    let address = coordinator_behind(cuts, &mut tasks).await;
    let mut log = follow::log(ClientConfig::new(format!("http://{address}"), None), request("2"));
    let error = log.next().await.expect("an answer").expect_err("which is an error");
    assert_eq!(error.code(), Code::NotFound);
    assert!(log.next().await.is_none());
}

#[tokio::test]
async fn a_silent_coordinator_is_tried_again_and_again() {
    let mut log = follow::log(ClientConfig::new("http://127.0.0.1:1", None), request("1"));
    for _ in 0..2 {
        let update = log.next().await.expect("it goes on").expect("no error");
        assert!(matches!(update, Update::Disconnected { .. }), "{update:?}");
    }
}
