//! The endpoint's tools, as the scripted agent calls them: one blocking request each, of the little HTTP that
//! takes on loopback.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::environment::{MCP_TOKEN_FILE, MCP_URL};
use crate::mcp::WAITING;

/// What a tool answered.
pub struct Answer {
    pub text: String,
    pub is_error: bool,
    /// The agent is to end its turn.
    pub ends_turn: bool,
}

/// Calls a tool. `key` names the call, so that it is done once where it has to be repeated.
///
/// # Errors
/// Where there is no endpoint, or it does not answer as one.
pub fn call(tool: &str, arguments: &Value, key: &str) -> io::Result<Answer> {
    let url = std::env::var(MCP_URL).map_err(|_| io::Error::other("this agent was given no endpoint"))?;
    let secret = std::fs::read_to_string(std::env::var(MCP_TOKEN_FILE).map_err(io::Error::other)?)?;
    let params = json!({ "name": tool, "arguments": arguments, "_meta": { "claudecode/toolUseId": key } });
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    read(&post(&url, &secret, &request.to_string())?)
}

fn post(url: &str, secret: &str, body: &str) -> io::Result<Value> {
    let place = url.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
    let (host, path) = place.ok_or_else(|| io::Error::other(format!("{url} is no URL of an endpoint")))?;
    let mut stream = TcpStream::connect(host)?;
    write!(
        stream,
        "POST /{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {secret}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if !head.starts_with("HTTP/1.1 200") {
        let status = head.lines().next().unwrap_or("nothing");
        return Err(io::Error::other(format!("the endpoint answered {status}: {body}")));
    }
    serde_json::from_str(body).map_err(io::Error::other)
}

fn read(answer: &Value) -> io::Result<Answer> {
    let result = &answer["result"];
    let Some(content) = result["content"].as_array() else {
        return Err(io::Error::other(format!("the endpoint answered {answer}")));
    };
    let texts: Vec<_> = content.iter().filter_map(|block| block["text"].as_str()).collect();
    Ok(Answer {
        text: texts.join("\n\n"),
        is_error: result["isError"] == true,
        ends_turn: !result["_meta"][WAITING].is_null(),
    })
}
