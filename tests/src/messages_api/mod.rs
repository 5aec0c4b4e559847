//! A Messages API on loopback that says what a script tells it to: the model behind the real
//! Claude Code CLI, without a network and without chance.
//!
//! Conversations are told apart by a key that stands in the prompt, so that many agents can
//! run at once, each with its own script: the key that stands first, since after the prompt an
//! agent may be told of other tasks. Every request is kept for the test to look at.

mod answer;
mod script;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use script::{Fault, Gate, Script, Turn};

use script::Step;

/// Longer than any body Claude Code sends.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// The server; it ends when dropped.
pub struct MessagesApi {
    address: SocketAddr,
    state: Arc<Scripts>,
    _end: DropGuard,
    _server: JoinSet<std::io::Result<()>>,
}

struct Scripts {
    conversations: Mutex<HashMap<String, Conversation>>,
    /// Requests that took a step of a script; grows by one with each.
    answered: watch::Sender<u64>,
    end: CancellationToken,
}

struct Conversation {
    script: Script,
    requests: Vec<Value>,
}

impl MessagesApi {
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let end = CancellationToken::new();
        let state = Arc::new(Scripts {
            conversations: Mutex::default(),
            answered: watch::Sender::new(0),
            end: end.clone(),
        });
        let routes = Router::new()
            .route("/v1/messages", post(messages))
            .route("/v1/messages/count_tokens", post(count_tokens))
            .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(&state));
        let mut server = JoinSet::new();
        let ended = end.clone();
        server.spawn(async move {
            axum::serve(listener, routes).with_graceful_shutdown(ended.cancelled_owned()).await
        });
        Ok(Self { address, state, _end: end.drop_guard(), _server: server })
    }

    /// For `ANTHROPIC_BASE_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Conversations whose first user message holds `key`, and no other key before it, follow `script`.
    pub fn script(&self, key: &str, script: Script) {
        let conversation = Conversation { script, requests: Vec::new() };
        self.conversations().insert(key.to_owned(), conversation);
    }

    /// The bodies of the requests that took a step of this conversation's script.
    pub fn requests(&self, key: &str) -> Vec<Value> {
        self.conversations().get(key).map(|found| found.requests.clone()).unwrap_or_default()
    }

    /// Waits until the conversation has made `count` requests, and returns them.
    pub async fn wait_for_requests(&self, key: &str, count: usize) -> Vec<Value> {
        let mut answered = self.state.answered.subscribe();
        // The sender is in `self`: it cannot be gone.
        let _ = answered.wait_for(|_| self.requests(key).len() >= count).await;
        self.requests(key)
    }

    fn conversations(&self) -> std::sync::MutexGuard<'_, HashMap<String, Conversation>> {
        self.state.conversations.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Scripts {
    /// The next step of the conversation that `body` belongs to.
    fn take_step(&self, body: &Value) -> Result<Step, String> {
        let prompt = first_user_text(body);
        let mut conversations = self.conversations.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let first = conversations.iter_mut().filter_map(|(key, conversation)| {
            let at = prompt.find(key.as_str())?;
            Some((at, key, conversation))
        });
        let Some((_, key, conversation)) = first.min_by_key(|(at, ..)| *at) else {
            return Err("no script for this conversation".to_owned());
        };
        conversation.requests.push(body.clone());
        let step = conversation.script.next().ok_or_else(|| format!("the script `{key}` is at its end"));
        drop(conversations);
        self.answered.send_modify(|count| *count += 1);
        step
    }
}

async fn messages(State(scripts): State<Arc<Scripts>>, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return answer::error(StatusCode::BAD_REQUEST, "invalid_request_error", "not JSON");
    };
    let streamed = body["stream"].as_bool().unwrap_or_default();
    let model = body["model"].as_str().unwrap_or("unnamed");
    let id = uuid::Uuid::new_v4().simple().to_string();
    // Requests without tools are titles and the like.
    if body["tools"].as_array().is_none_or(Vec::is_empty) {
        return answer::message(&Turn::text("{\"title\": \"Scripted\"}"), &id, model, streamed);
    }
    match scripts.take_step(&body) {
        Ok(Step::Turn(turn)) => {
            if let Some(gate) = &turn.gate {
                tokio::select! {
                    () = gate.passed() => {}
                    () = scripts.end.cancelled() => {}
                }
            }
            answer::message(&turn, &id, model, streamed)
        }
        Ok(Step::Fault(fault)) => match fault.answer(&id, model) {
            Some(response) => response,
            None => {
                scripts.end.cancelled().await;
                answer::status(500, &[])
            }
        },
        Err(why) => answer::error(StatusCode::BAD_REQUEST, "invalid_request_error", &why),
    }
}

async fn count_tokens() -> Response {
    answer::json_response(StatusCode::OK, &json!({ "input_tokens": 100 }))
}

/// All text of the first user message: the prompt, and what the CLI puts around it.
fn first_user_text(body: &Value) -> String {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(first) = messages.iter().find(|message| message["role"] == "user") else {
        return String::new();
    };
    match &first["content"] {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
