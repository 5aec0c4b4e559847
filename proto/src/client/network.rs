//! Connections over something that is not the host's TCP: a simulated network, as a rule.

use std::fmt::Debug;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tower::Service;

/// What a [`Client`](super::Client) opens its connections over.
pub trait Network: Debug + Send + Sync {
    /// Opens a connection to the host and port of a coordinator's URL.
    fn connect(&self, uri: Uri) -> BoxFuture<'static, io::Result<Box<dyn Connection>>>;
}

/// Both directions of one connection.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}

/// A network, as tonic wants it.
#[derive(Clone)]
pub struct Connector(Arc<dyn Network>);

impl Connector {
    pub fn over(network: Arc<dyn Network>) -> Self {
        Self(network)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Box<dyn Connection>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = self.0.connect(uri);
        Box::pin(async move { connecting.await.map(TokioIo::new) })
    }
}
