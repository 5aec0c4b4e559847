//! Turmoil's network under the coordinator's listener and the clients' connections.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use factory_coordinator::server;
use factory_proto::client::{Connection, Network};
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// Where the coordinator listens.
pub const PORT: u16 = 8100;

pub struct Listener(pub TcpListener);

pub struct Accepted(TcpStream);

impl server::Listener for Listener {
    type Connection = Accepted;

    async fn accept(&mut self) -> io::Result<Accepted> {
        self.0.accept().await.map(|(stream, _)| Accepted(stream))
    }
}

impl server::Connection for Accepted {
    async fn first_word(&mut self) -> io::Result<()> {
        self.0.peek(&mut [0]).await.map(drop)
    }

    fn peer(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// What the workers and the user reach the coordinator over.
#[derive(Debug)]
pub struct Turmoil;

impl Network for Turmoil {
    fn connect(&self, uri: http::Uri) -> BoxFuture<'static, io::Result<Box<dyn Connection>>> {
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().to_owned();
            let stream = TcpStream::connect((host.as_str(), PORT)).await?;
            Ok(Box::new(stream) as Box<dyn Connection>)
        })
    }
}
