//! The tools, as an MCP server of each seat's own. Descriptions and schemas are written for the model that reads
//! them: when to use a tool, what comes back, what it costs.

mod board;
mod children;
mod locks;
mod memory;
mod questions;

pub use questions::WAITING;

use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use factory_domain::Notice;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{
    CallToolResult, ContentBlock, Implementation, RequestMetaObject, ServerCapabilities, ServerConfig,
};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, tool_handler};
use serde::Serialize;

use super::link::Trouble;
use super::seat::Seat;
use super::words;

/// What a model is told of the server as a whole.
const INSTRUCTIONS: &str = "\
You work in a factory: other agents may be at work on other tasks of the same goal, each in a worktree of its own, \
and people watch. These tools are your way to them. Ask people only what you cannot find out or decide yourself \
(ask_user); tell others what concerns them (post_message, handoff); look up what earlier tasks learned before you \
search for long, and save what would have spared you time (memory_search, memory_save); say now and then how far \
you are (report_progress). What is new for you (answers, messages, ended subtasks) comes with your tools' results.";

static ROUTER: LazyLock<ToolRouter<Tools>> = LazyLock::new(|| {
    Tools::questions() + Tools::board() + Tools::children() + Tools::locks() + Tools::memory()
});

/// The tools of one seat.
#[derive(Clone)]
pub struct Tools {
    seat: Arc<Seat>,
}

#[tool_handler(router = ROUTER)]
impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("factory", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }
}

/// The seat's MCP server. Stateless: nothing of a call is left behind that a restart could lose.
#[derive(Clone)]
pub struct Service(StreamableHttpService<Tools, NeverSessionManager>);

impl Service {
    pub fn of(seat: &Arc<Seat>) -> Self {
        let tools = Tools { seat: Arc::clone(seat) };
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .with_sse_keep_alive(None);
        Self(StreamableHttpService::new(move || Ok(tools.clone()), Arc::default(), config))
    }

    pub async fn handle(&self, request: Request) -> Response {
        self.0.handle(request).await.map(Body::new).into_response()
    }
}

/// The name a client gives to a call, which stays the same when it repeats it.
const CALL_ID: &str = "claudecode/toolUseId";

impl Tools {
    /// Makes a call that changes something under a key of its own, so that it is done once however often it has
    /// to be repeated.
    async fn once<T>(
        &self,
        tool: &str,
        arguments: &impl Serialize,
        meta: &RequestMetaObject,
        call: impl AsyncFnOnce(String) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        if let Some(id) = meta.get(CALL_ID).and_then(|id| id.as_str()) {
            return call(id.to_owned()).await;
        }
        let what = serde_json::to_string(arguments).map_err(|error| Trouble::Disk(error.to_string()))?;
        let what = format!("{tool} {what}");
        let key = self.seat.key(&what);
        let done = call(key.clone()).await;
        if done.as_ref().is_err_and(Trouble::leaves_open) {
            self.seat.leave_open(what, key);
        }
        done
    }

    /// What the model reads: the tool's own words, and behind them whatever it has not been told yet.
    async fn answer(&self, said: Result<String, Trouble>) -> CallToolResult {
        with_news(said, &self.seat.news().await)
    }
}

fn with_news(said: Result<String, Trouble>, news: &[Notice]) -> CallToolResult {
    let is_error = said.is_err();
    let said = said.unwrap_or_else(|trouble| trouble.to_string());
    let content = [Some(said), words::news(news)].into_iter().flatten().map(ContentBlock::text).collect();
    if is_error { CallToolResult::error(content) } else { CallToolResult::success(content) }
}
