//! A network between a worker and its coordinator that can be cut and can stall.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Forwards every connection until it is told otherwise. Dropped, it ends with all of them.
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    _task: JoinSet<()>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Weather {
    /// Nothing gets through, and nobody is told.
    stalled: bool,
    /// What the coordinator says is held back.
    silent: bool,
    /// Connections made before the last cut are closed.
    cuts: u64,
}

impl Proxy {
    pub async fn before(coordinator: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let weather = watch::Sender::new(Weather::default());
        let mut task = JoinSet::new();
        task.spawn(serve(listener, coordinator, weather.subscribe()));
        Self { address, weather, _task: task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Closes every connection there is, with what was held back on it.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| {
            weather.cuts += 1;
            weather.silent = false;
        });
    }

    /// From now on what the worker says arrives, and no answer comes back, until the next cut.
    pub fn lose_answers(&self) {
        self.weather.send_modify(|weather| weather.silent = true);
    }

    pub fn stall(&self, stalled: bool) {
        self.weather.send_modify(|weather| weather.stalled = stalled);
    }
}

async fn serve(listener: TcpListener, coordinator: SocketAddr, weather: watch::Receiver<Weather>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((near, _)) = accepted {
                connections.spawn(carry(near, coordinator, weather.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut near: TcpStream, coordinator: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let cuts = weather.borrow().cuts;
    let (mut up, mut down) = (weather.clone(), weather.clone());
    let carried = async {
        let mut far = TcpStream::connect(coordinator).await?;
        let ((near_in, near_out), (far_in, far_out)) = (near.split(), far.split());
        // Either way's end is the connection's.
        tokio::select! {
            end = pump(near_in, far_out, &mut up, |weather| !weather.stalled) => end,
            end = pump(far_in, near_out, &mut down, |weather| !weather.stalled && !weather.silent) => end,
        }
    };
    tokio::select! {
        // An error ends the connection, as on any network.
        _ = carried => {}
        _ = weather.wait_for(|weather| weather.cuts != cuts) => {}
    }
}

async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    weather: &mut watch::Receiver<Weather>,
    passes: impl Fn(&Weather) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if weather.wait_for(&passes).await.is_err() || length == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..length]).await?;
    }
}
