//! The listener, and who is let in: whoever presents the secret of an attempt that is running here.

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post};
use factory_domain::{AttemptId, BranchName, TaskId, WorkerId};
use factory_proto::v1;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::access::{Access, Secret};
use super::link::Link;
use super::seat::Seat;
use super::tools::Service;
use super::words;
use crate::spool::{SpoolDir, write_atomically};
use crate::uplink::Uplink;

/// Has the port of the last start, under the worker's root.
const PORT_FILE: &str = "mcp-port";

/// Bytes of what the hook says: it has all that the tool read or printed.
const MAX_HOOK_BODY: usize = 64 << 20;

/// The seats taken, and where they are.
pub struct Endpoint {
    address: SocketAddr,
    link: Arc<Link>,
    ask_wait: Duration,
    seats: Mutex<HashMap<AttemptId, Occupied>>,
}

struct Occupied {
    seat: Arc<Seat>,
    service: Service,
}

impl Endpoint {
    /// Binds the listener: to the port of the last start where that is free, since agents that are
    /// running know no other.
    ///
    /// # Errors
    /// Where no port of loopback can be had, or the root cannot be written.
    pub async fn bind(root: &Path, uplink: Uplink, ask_wait: Duration) -> io::Result<(Self, TcpListener)> {
        let file = root.join(PORT_FILE);
        let known = known_port(&file)?;
        let listener = match known {
            None => bind_anywhere().await?,
            Some(port) => match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                Err(error) if error.kind() == ErrorKind::AddrInUse => {
                    tracing::warn!(
                        port,
                        "another program has the port of the agents' endpoint; agents that are running \
                         cannot ask, post or lock any more"
                    );
                    bind_anywhere().await?
                }
                bound => bound?,
            },
        };
        let address = listener.local_addr()?;
        if Some(address.port()) != known {
            write_atomically(&file, address.port().to_string().as_bytes())?;
        }
        let endpoint = Self { address, link: Arc::new(Link::new(uplink)), ask_wait, seats: Mutex::default() };
        Ok((endpoint, listener))
    }

    /// Takes a seat for an attempt whose agent is about to start, with a secret drawn for it.
    pub fn take(self: &Arc<Self>, who: Who, spool: &SpoolDir) -> io::Result<TakenSeat> {
        Ok(self.seat(who, spool, Secret::of(spool)?))
    }

    /// Takes the seat of an attempt whose agent was started before; `None`: it was given none.
    pub fn take_again(self: &Arc<Self>, who: Who, spool: &SpoolDir) -> io::Result<Option<TakenSeat>> {
        Ok(Secret::read(spool)?.map(|secret| self.seat(who, spool, secret)))
    }

    fn seat(self: &Arc<Self>, who: Who, spool: &SpoolDir, secret: Secret) -> TakenSeat {
        let attempt = v1::AttemptRef {
            worker_id: who.worker.to_string(),
            task_id: who.task.to_string(),
            attempt_id: spool.attempt().to_string(),
        };
        let access = Access::new(self.address, secret.clone(), spool);
        let (spool, link) = (spool.clone(), Arc::clone(&self.link));
        let seat = Arc::new(Seat::new(attempt, secret, spool, link, &who, self.ask_wait));
        let service = Service::of(&seat);
        self.seats().insert(seat.id(), Occupied { seat: Arc::clone(&seat), service });
        TakenSeat { seat, access, endpoint: Arc::clone(self) }
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<AttemptId, Occupied>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose secret the request presents. Every seat is looked at: how long that takes says nothing.
    fn admit(&self, headers: &HeaderMap) -> Option<(Arc<Seat>, Service)> {
        let presented = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let seats = self.seats();
        let mut admitted = None;
        for Occupied { seat, service } in seats.values() {
            if seat.secret().is(presented) {
                admitted = Some((Arc::clone(seat), service.clone()));
            }
        }
        admitted
    }

    /// A page in a browser could have its own name resolve to loopback; it cannot send another `Host`.
    fn is_meant(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let port = self.address.port();
        host.is_some_and(|host| host == self.address.to_string() || host == format!("localhost:{port}"))
    }
}

/// An attempt that takes a seat.
pub struct Who {
    pub worker: WorkerId,
    pub task: TaskId,
    /// The cursor of the notices that it begins with.
    pub told: u64,
    /// Whether it hears of news whatever it does; otherwise only when it calls a tool of the endpoint's.
    pub listens: bool,
    /// Where its work is, for those it hands it to.
    pub branch: Option<BranchName>,
}

/// A seat as long as its attempt runs; dropped, its secret opens nothing any more.
pub struct TakenSeat {
    pub seat: Arc<Seat>,
    pub access: Access,
    endpoint: Arc<Endpoint>,
}

impl Drop for TakenSeat {
    fn drop(&mut self) {
        self.endpoint.seats().remove(&self.seat.id());
    }
}

fn known_port(file: &Path) -> io::Result<Option<u16>> {
    match std::fs::read_to_string(file) {
        // One that cannot be read is as good as none.
        Ok(text) => Ok(text.trim().parse().ok()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A port that is still free after a restart: not from the range out of which the kernel serves outgoing
/// connections (`ip_local_port_range`), any of which could have it by then.
async fn bind_anywhere() -> io::Result<TcpListener> {
    const LASTING: Range<u16> = 20_000..32_768;
    const TRIES: usize = 20;
    for _ in 0..TRIES {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(LASTING))).await {
            return Ok(listener);
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await
}

/// What the routes have in common.
#[derive(Clone)]
struct Desk {
    endpoint: Arc<Endpoint>,
    ending: CancellationToken,
}

/// Serves agents until the token is cancelled. A call under way is given up then; the agent may repeat it.
pub async fn serve(endpoint: Arc<Endpoint>, listener: TcpListener, token: CancellationToken) {
    let desk = Desk { endpoint, ending: token.clone() };
    let routes = Router::new().route("/mcp", any(mcp)).route("/notices", post(notices)).with_state(desk);
    let ending = async move { token.cancelled().await };
    if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(ending).await {
        tracing::error!(%error, "the agents' endpoint has ended; agents cannot ask, post or lock any more");
    }
}

impl Desk {
    fn admit(&self, headers: &HeaderMap) -> Result<(Arc<Seat>, Service), Box<Response>> {
        if !self.endpoint.is_meant(headers) {
            let why = "this endpoint is called by its address on loopback";
            return Err(Box::new((StatusCode::FORBIDDEN, why).into_response()));
        }
        self.endpoint.admit(headers).ok_or_else(|| {
            let why = "not the secret of an attempt that is running on this worker";
            Box::new((StatusCode::UNAUTHORIZED, why).into_response())
        })
    }
}

async fn mcp(State(desk): State<Desk>, request: Request) -> Response {
    let (_, service) = match desk.admit(request.headers()) {
        Ok(admitted) => admitted,
        Err(refused) => return *refused,
    };
    match desk.ending.run_until_cancelled(service.handle(request)).await {
        Some(response) => response,
        None => {
            let why = "the worker is being restarted; make the call again in a few seconds";
            (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
        }
    }
}

/// What the hook says; most of it is of no interest here.
#[derive(Default, Deserialize)]
struct AfterTool {
    /// Of the subagent that used the tool, where one did.
    agent_id: Option<String>,
}

/// For the hook that an agent runs after each of its tools. A subagent is not who the news is for.
async fn notices(State(desk): State<Desk>, headers: HeaderMap, said: Body) -> Response {
    let seat = match desk.admit(&headers) {
        Ok((seat, _)) => seat,
        Err(refused) => return *refused,
    };
    let after = match to_bytes(said, MAX_HOOK_BODY).await {
        Ok(said) => serde_json::from_slice(&said).unwrap_or_default(),
        Err(_) => AfterTool::default(),
    };
    let news = if after.agent_id.is_some() { Vec::new() } else { seat.news().await };
    axum::Json(words::for_hook(&news)).into_response()
}
