//! The wire form of an answer: server-sent events, one JSON message, or an error.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::script::{Fault, Turn};

/// Tokens every answer claims to have cost, so that the client's price is not nothing.
const INPUT_TOKENS: u64 = 1200;
const OUTPUT_TOKENS: u64 = 34;

pub(super) fn message(turn: &Turn, id: &str, model: &str, streamed: bool) -> Response {
    let blocks = content(turn, id);
    let stop_reason = if turn.tools.is_empty() { "end_turn" } else { "tool_use" };
    if !streamed {
        let mut message = envelope(id, model);
        message["content"] = blocks.into();
        message["stop_reason"] = stop_reason.into();
        message["usage"]["output_tokens"] = OUTPUT_TOKENS.into();
        return json_response(StatusCode::OK, &message);
    }
    let mut events = vec![json!({ "type": "message_start", "message": envelope(id, model) })];
    for (index, block) in blocks.iter().enumerate() {
        events.extend(block_events(index, block));
    }
    events.push(json!({
        "type": "message_delta",
        "delta": { "stop_reason": stop_reason, "stop_sequence": null },
        "usage": { "output_tokens": OUTPUT_TOKENS },
    }));
    events.push(json!({ "type": "message_stop" }));
    stream_response(Body::from(encode(&events)))
}

pub(super) fn status(code: u16, headers: &[(&'static str, String)]) -> Response {
    let kind = match code {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = error(status, kind, &format!("scripted {code}"));
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

pub(super) fn error(status: StatusCode, kind: &str, message: &str) -> Response {
    json_response(status, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
}

/// An answer that begins and then breaks off with its connection.
pub(super) fn broken(id: &str, model: &str) -> Response {
    let start = encode(&[json!({ "type": "message_start", "message": envelope(id, model) })]);
    let pieces = [Ok(start), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    stream_response(Body::from_stream(futures_util::stream::iter(pieces)))
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

impl Fault {
    /// `None` for a fault that is no answer at all.
    pub(super) fn answer(&self, id: &str, model: &str) -> Option<Response> {
        match self {
            Self::Status { code, headers } => Some(status(*code, headers)),
            Self::Drop => Some(broken(id, model)),
            Self::Hang => None,
        }
    }
}

fn envelope(id: &str, model: &str) -> Value {
    json!({
        "id": format!("msg_{id}"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": { "input_tokens": INPUT_TOKENS, "output_tokens": 1 },
    })
}

fn content(turn: &Turn, id: &str) -> Vec<Value> {
    let words = turn.text.iter().map(|text| json!({ "type": "text", "text": text }));
    let calls = turn.tools.iter().enumerate().map(|(index, (name, input))| {
        json!({ "type": "tool_use", "id": format!("toolu_{id}_{index}"), "name": name, "input": input })
    });
    words.chain(calls).collect()
}

/// A block as the stream has it: opened empty, filled by deltas, closed.
fn block_events(index: usize, block: &Value) -> Vec<Value> {
    let mut empty = block.clone();
    let deltas: Vec<Value> = if block["type"] == "text" {
        let text = block["text"].as_str().unwrap_or_default();
        empty["text"] = "".into();
        halves(text).map(|half| json!({ "type": "text_delta", "text": half })).to_vec()
    } else {
        let input = block["input"].to_string();
        empty["input"] = json!({});
        halves(&input).map(|half| json!({ "type": "input_json_delta", "partial_json": half })).to_vec()
    };
    let mut events = vec![json!({ "type": "content_block_start", "index": index, "content_block": empty })];
    events.extend(
        deltas
            .into_iter()
            .map(|delta| json!({ "type": "content_block_delta", "index": index, "delta": delta })),
    );
    events.push(json!({ "type": "content_block_stop", "index": index }));
    events
}

/// Two pieces, so that the client has to join them.
fn halves(text: &str) -> [&str; 2] {
    let middle = text.floor_char_boundary(text.len() / 2);
    text.split_at(middle).into()
}

fn encode(events: &[Value]) -> String {
    events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
        .collect()
}

fn stream_response(body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}
