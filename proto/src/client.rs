//! The Rust client: a connection with keepalive, the bearer token on every call,
//! and a deadline on every unary one. factoryctl, the workers and other programs use it.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use factory_proto::client::{Client, ClientConfig};
//! use factory_proto::v1;
//!
//! let client = Client::connect(ClientConfig::from_env()?).await?;
//! let task = v1::NewTask {
//!     spec: Some(v1::TaskSpec { prompt: "Fix the login".into(), ..Default::default() }),
//!     ..Default::default()
//! };
//! let reply = client.tasks().submit(v1::SubmitRequest { tasks: vec![task] }).await?;
//! println!("{}", reply.into_inner().tasks[0].id);
//! # Ok(()) }
//! ```

pub mod follow;
mod network;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use self::network::Connector;
pub use self::network::{Connection, Network};
use crate::v1::agent_service_client::AgentServiceClient;
use crate::v1::board_service_client::BoardServiceClient;
use crate::v1::fleet_service_client::FleetServiceClient;
use crate::v1::library_service_client::LibraryServiceClient;
use crate::v1::log_service_client::LogServiceClient;
use crate::v1::memory_service_client::MemoryServiceClient;
use crate::v1::repo_service_client::RepoServiceClient;
use crate::v1::task_service_client::TaskServiceClient;
use crate::v1::worker_service_client::WorkerServiceClient;
use crate::v1::workflow_service_client::WorkflowServiceClient;

/// Where a coordinator is when nobody says otherwise.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8100";

/// Bytes of one received message: a page of 1,000 tasks with their reports fits.
pub const MAX_RECEIVE: usize = 16 * 1024 * 1024;

/// Bytes that may be on the way on one stream, and on all of a connection: whoever leaves a stream unread has
/// the others of its connection go on. (A window that adapts begins with the same for both.)
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("`{url}` is not the URL of a coordinator: {why}")]
    InvalidUrl { url: String, why: String },
    #[error("the token holds characters that cannot be sent in a header")]
    InvalidToken,
    #[error("no coordinator answers at {url}")]
    Unreachable {
        url: String,
        #[source]
        source: tonic::transport::Error,
    },
}

/// A secret that does not print itself.
#[derive(Clone)]
pub struct Token(MetadataValue<Ascii>);

impl FromStr for Token {
    type Err = ClientError;

    fn from_str(token: &str) -> Result<Self, ClientError> {
        let mut header: MetadataValue<Ascii> =
            format!("Bearer {token}").parse().map_err(|_| ClientError::InvalidToken)?;
        header.set_sensitive(true);
        Ok(Self(header))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[derive(Debug, Clone)]
pub struct ClientConfig {
    pub url: String,
    pub token: Option<Token>,
    /// For the connection itself.
    pub connect_timeout: Duration,
    /// For each unary call, unless the call sets its own.
    pub call_timeout: Duration,
    /// What connections are opened over; `None`: TCP.
    pub network: Option<Arc<dyn Network>>,
}

impl ClientConfig {
    pub fn new(url: impl Into<String>, token: Option<Token>) -> Self {
        Self {
            url: url.into(),
            token,
            connect_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(30),
            network: None,
        }
    }

    /// `FACTORY_URL` and `FACTORY_AUTH_TOKEN`.
    pub fn from_env() -> Result<Self, ClientError> {
        let url = std::env::var("FACTORY_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned());
        let token = std::env::var("FACTORY_AUTH_TOKEN").ok().filter(|token| !token.is_empty());
        Ok(Self::new(url, token.map(|token| token.parse()).transpose()?))
    }

    fn endpoint(&self) -> Result<Endpoint, ClientError> {
        let invalid = |why: String| ClientError::InvalidUrl { url: self.url.clone(), why };
        let uri: Uri = self.url.parse().map_err(|error: http::uri::InvalidUri| invalid(error.to_string()))?;
        if uri.scheme_str() != Some("http") {
            return Err(invalid("it must begin with http://".to_owned()));
        }
        if !matches!(uri.path_and_query().map(PathAndQuery::as_str), None | Some("/" | "")) {
            return Err(invalid("it must end after the port".to_owned()));
        }
        Ok(Endpoint::from(uri)
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .user_agent(concat!("factory/", env!("CARGO_PKG_VERSION")))
            .expect("a plain user agent"))
    }
}

/// What is added to each call.
#[derive(Clone)]
pub struct CallHeaders {
    token: Option<Token>,
}

impl Interceptor for CallHeaders {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.0.clone());
        }
        Ok(request)
    }
}

/// The channel under every service client.
pub type Transport = InterceptedService<Channel, CallHeaders>;

/// One connection to a coordinator. Cloning shares it.
#[derive(Clone)]
pub struct Client {
    transport: Transport,
    call_timeout: Duration,
}

impl Client {
    /// Connects now, and fails now when nobody answers.
    pub async fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let endpoint = config.endpoint()?;
        let connected = match &config.network {
            None => endpoint.connect().await,
            Some(network) => endpoint.connect_with_connector(Connector::over(Arc::clone(network))).await,
        };
        let channel =
            connected.map_err(|source| ClientError::Unreachable { url: config.url.clone(), source })?;
        Ok(Self::over(channel, &config))
    }

    fn over(channel: Channel, config: &ClientConfig) -> Self {
        let headers = CallHeaders { token: config.token.clone() };
        Self { transport: InterceptedService::new(channel, headers), call_timeout: config.call_timeout }
    }

    pub fn tasks(&self) -> TaskServiceClient<Transport> {
        TaskServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    pub fn logs(&self) -> LogServiceClient<Transport> {
        LogServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    pub fn fleet(&self) -> FleetServiceClient<Transport> {
        FleetServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    pub fn memory(&self) -> MemoryServiceClient<Transport> {
        MemoryServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    pub fn library(&self) -> LibraryServiceClient<Transport> {
        LibraryServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    pub fn workflows(&self) -> WorkflowServiceClient<Transport> {
        WorkflowServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    pub fn repos(&self) -> RepoServiceClient<Transport> {
        RepoServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    pub fn worker(&self) -> WorkerServiceClient<Transport> {
        WorkerServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    pub fn board(&self) -> BoardServiceClient<Transport> {
        BoardServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    /// What agents do beside their own work; their workers speak for them.
    pub fn agents(&self) -> AgentServiceClient<Transport> {
        AgentServiceClient::new(self.transport.clone()).max_decoding_message_size(MAX_RECEIVE)
    }

    /// A unary request with this client's deadline. Streams take none.
    pub fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(self.call_timeout);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_print_itself() {
        let token: Token = "s3cret".parse().expect("a token");
        assert!(
            !format!("{token:?}{:?}", ClientConfig::new(DEFAULT_URL, Some(token.clone()))).contains("s3cret")
        );
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_told_from_a_silent_coordinator() {
        for url in ["", "localhost", "ftp://x", "http://127.0.0.1:1/path"] {
            let error = Client::connect(ClientConfig::new(url, None)).await.err();
            assert!(matches!(error, Some(ClientError::InvalidUrl { .. })), "{url}: {error:?}");
        }
        let silent = Client::connect(ClientConfig::new("http://127.0.0.1:1", None)).await.err();
        assert!(matches!(silent, Some(ClientError::Unreachable { .. })), "{silent:?}");
    }
}
