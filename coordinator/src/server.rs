//! The listener: HTTP/2 for gRPC, HTTP/1 for whoever asks `/health`, on one port.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::get;
use http::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceExt;

use crate::auth::{self, Auth};

/// A peer that is gone without a word is noticed within twice this.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// How long a caller may take over its request's head.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Bytes of headers in one request.
const MAX_HEADERS: u32 = 16 * 1024;
/// Calls open at once on one connection; a watcher or a worker has a few.
const MAX_CALLS: u32 = 1000;
/// How long calls that are under way may go on once the coordinator stops.
const LAST_CALLS: Duration = Duration::from_secs(3);
/// The pause after the host had no socket to give.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Where connections come from: TCP, or a network that a test simulates.
pub trait Listener: Send + 'static {
    type Connection: Connection;

    /// The next connection. May be dropped and called again.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Connection>> + Send;
}

/// One connection, as a [`Listener`] took it.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Returns once the peer has said something, or is gone; nothing of it is read.
    fn first_word(&mut self) -> impl Future<Output = io::Result<()>> + Send;

    fn peer(&self) -> io::Result<SocketAddr>;
}

impl Listener for TcpListener {
    type Connection = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        TcpListener::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Connection for TcpStream {
    async fn first_word(&mut self) -> io::Result<()> {
        self.readable().await?;
        self.set_nodelay(true)
    }

    fn peer(&self) -> io::Result<SocketAddr> {
        self.peer_addr()
    }
}

/// The gRPC services, REST, pages and `/health`, for those who may call.
pub fn router(grpc: Routes, rest: Router, auth: Arc<Auth>) -> Router {
    // What is nobody's is REST's to answer, in the way it was asked for.
    grpc.into_axum_router()
        .reset_fallback()
        .merge(rest)
        .route("/health", get(health))
        .layer(axum::middleware::from_fn_with_state(auth, auth::guard))
}

async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(serde_json::json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))
}

/// Serves until `stopping`; then takes no more connections, and gives calls under way a moment to end.
pub async fn serve(mut listener: impl Listener, router: Router, stopping: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(stream) => {
                    connections.spawn(connection(stream, router.clone(), stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not take a connection");
                    tokio::time::sleep(AFTER_FAILURE).await;
                }
            },
        }
    }
    drop(listener);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_CALLS, all_ended).await.is_err() {
        tracing::info!(connections = connections.len(), "cut off calls that did not end");
        connections.shutdown().await;
    }
}

async fn connection(mut stream: impl Connection, router: Router, stopping: CancellationToken) {
    // Whoever connects and says nothing holds nothing.
    let Ok(begun) = tokio::time::timeout(HEAD_WITHIN, stream.first_word()).await else { return };
    let peer = match begun.and_then(|()| stream.peer()) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::debug!(%error, "a connection was gone before it was served");
            return;
        }
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .adaptive_window(true)
        .max_header_list_size(MAX_HEADERS)
        .max_concurrent_streams(MAX_CALLS);
    let service = router.map_request(move |mut request: Request<_>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    });
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
