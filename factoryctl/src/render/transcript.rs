//! What an agent prints, for people: its words, its tool calls by the argument
//! that matters, results cut to their beginning. Agents that print Claude Code's
//! stream-json are read; whatever else they print is shown as it is.

use anstyle::AnsiColor;
use factory_proto::v1::LogStream;
use serde_json::Value;

use crate::render::console::{BOLD, DIM, style};
use crate::render::{plain, units};

/// Lines of a tool's result that are shown.
const RESULT_LINES: usize = 6;
/// Characters of one line of a result, or of an argument.
const WIDTH: usize = 160;

/// The lines to show for one line of a log; none where it says nothing to people.
pub fn lines(stream: LogStream, data: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(data);
    match stream {
        LogStream::Stdout => match serde_json::from_str::<Value>(&text) {
            Ok(message) if message["type"].is_string() => agent_message(&message),
            _ => vec![plain::line(&text)],
        },
        LogStream::Stderr => {
            let red = style(AnsiColor::Red);
            vec![format!("{red}!{red:#} {}", plain::line(&text))]
        }
        LogStream::Setup => vec![format!("{DIM}set-up │{DIM:#} {}", plain::line(&text))],
        LogStream::Factory | LogStream::Unspecified => vec![format!("{DIM}· {}{DIM:#}", plain::line(&text))],
    }
}

fn agent_message(message: &Value) -> Vec<String> {
    let lines = match (message["type"].as_str().unwrap_or_default(), message["subtype"].as_str()) {
        ("assistant", _) => blocks(message).flat_map(spoken).collect(),
        ("user", _) => blocks(message).flat_map(tool_result).collect(),
        ("system", Some("init")) => vec![introduction(message)],
        ("system", Some("api_retry")) => vec![api_retry(message)],
        ("rate_limit_event", _) => rate_limit(&message["rate_limit_info"]).into_iter().collect(),
        ("result", _) => failed_result(message),
        _ => Vec::new(),
    };
    if message["parent_tool_use_id"].is_string() {
        return lines.into_iter().map(|line| format!("  {DIM}│{DIM:#} {line}")).collect();
    }
    lines
}

fn blocks(message: &Value) -> impl Iterator<Item = &Value> {
    message["message"]["content"].as_array().into_iter().flatten()
}

/// A block of the assistant's: text, thinking, or a call of a tool.
fn spoken(block: &Value) -> Vec<String> {
    match block["type"].as_str() {
        Some("text") => {
            let text = plain::text(block["text"].as_str().unwrap_or_default());
            text.trim().lines().map(str::to_owned).collect()
        }
        Some("thinking") => {
            let text = plain::line(block["thinking"].as_str().unwrap_or_default().trim());
            if text.is_empty() {
                Vec::new()
            } else {
                vec![format!("{DIM}∴ {}{DIM:#}", plain::shorten(&text, WIDTH))]
            }
        }
        Some("tool_use") => {
            let name = plain::line(block["name"].as_str().unwrap_or("tool"));
            let cyan = style(AnsiColor::Cyan);
            let argument = plain::shorten(&salient(&block["input"]), WIDTH);
            vec![format!("{cyan}●{cyan:#} {BOLD}{name}{BOLD:#} {argument}")]
        }
        _ => Vec::new(),
    }
}

/// The argument of a call that tells it from others; all of them, as JSON, for a tool unknown here.
fn salient(input: &Value) -> String {
    const NAMES: [&str; 8] =
        ["command", "file_path", "notebook_path", "pattern", "url", "query", "description", "skill"];
    let known = NAMES.iter().find_map(|name| input[name].as_str());
    match known {
        Some(argument) => plain::line(argument.trim()),
        None if input.as_object().is_none_or(serde_json::Map::is_empty) => String::new(),
        None => plain::line(&input.to_string()),
    }
}

fn tool_result(block: &Value) -> Vec<String> {
    if block["type"] != "tool_result" {
        return Vec::new();
    }
    let text = match &block["content"] {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<_> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    };
    let text = plain::text(&text);
    let all: Vec<_> = text.trim_end().lines().collect();
    let style = if block["is_error"] == true { style(AnsiColor::Red) } else { DIM };
    let mut shown: Vec<_> = all
        .iter()
        .take(RESULT_LINES)
        .map(|line| format!("  {style}{}{style:#}", plain::shorten(line, WIDTH)))
        .collect();
    if all.len() > RESULT_LINES {
        let more = units::count((all.len() - RESULT_LINES) as u64, "more line");
        shown.push(format!("  {DIM}… +{more}{DIM:#}"));
    }
    shown
}

fn introduction(message: &Value) -> String {
    let model = plain::line(message["model"].as_str().unwrap_or("unknown model"));
    let version =
        message["claude_code_version"].as_str().map(|version| format!("claude {}, ", plain::line(version)));
    format!("{DIM}· {}{model}{DIM:#}", version.unwrap_or_default())
}

fn api_retry(message: &Value) -> String {
    let yellow = style(AnsiColor::Yellow);
    let status = message["error_status"].as_u64().map(|status| format!(" {status}")).unwrap_or_default();
    let error = plain::line(message["error"].as_str().unwrap_or("error"));
    let pause = units::span(message["retry_delay_ms"].as_f64().map_or(0, |ms| ms as i64));
    let (attempt, of) =
        (message["attempt"].as_u64().unwrap_or(0), message["max_retries"].as_u64().unwrap_or(0));
    format!("{yellow}API{status} {error}{yellow:#}, try {attempt} of {of} in {pause}")
}

fn rate_limit(info: &Value) -> Option<String> {
    let status = info["status"].as_str().filter(|status| *status != "allowed")?;
    let yellow = style(AnsiColor::Yellow);
    let reset = info["resetsAt"].as_i64().map(|at| format!(", reset at {}", units::moment(at * 1000)));
    Some(format!("{yellow}usage limit: {}{yellow:#}{}", plain::line(status), reset.unwrap_or_default()))
}

/// A good result is in the summary at the end; a bad one is said where it happened.
fn failed_result(message: &Value) -> Vec<String> {
    if message["is_error"] != true {
        return Vec::new();
    }
    let red = style(AnsiColor::Red);
    let said = message["result"].as_str().or_else(|| message["subtype"].as_str()).unwrap_or("the run failed");
    vec![format!("{red}✗ {}{red:#}", plain::shorten(&plain::line(said), WIDTH))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<String> {
        lines(LogStream::Stdout, line.as_bytes())
            .iter()
            .map(|line| anstream::adapter::strip_str(line).to_string())
            .collect()
    }

    #[test]
    fn words_and_tool_calls_are_shown_by_what_matters() {
        assert_eq!(
            shown(r#"{"type":"assistant","message":{"content":[{"type":"text","text":"Two\nlines"}]}}"#),
            ["Two", "lines"]
        );
        for (input, argument) in [
            (r#"{"command":"cargo test","description":"Run"}"#, "cargo test"),
            (r#"{"file_path":"/w/a.rs","content":"long"}"#, "/w/a.rs"),
            (r#"{"depth":3}"#, r#"{"depth":3}"#),
        ] {
            let line = format!(
                r#"{{"type":"assistant","message":{{"content":[{{"type":"tool_use","name":"T","input":{input}}}]}}}}"#
            );
            assert_eq!(shown(&line), [format!("● T {argument}")]);
        }
    }

    #[test]
    fn results_are_cut_to_their_beginning() {
        let content = (1..=20).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\\n");
        let line = format!(
            r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","content":"{content}"}}]}}}}"#
        );
        let shown = shown(&line);
        assert_eq!(shown.len(), RESULT_LINES + 1);
        assert_eq!(shown[0], "  line 1");
        assert_eq!(shown[RESULT_LINES], "  … +14 more lines");
    }

    #[test]
    fn escape_sequences_in_any_part_do_not_come_through() {
        for line in [
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"a\u001b[2Jb"}]}}"#,
            r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"B\u001b[2J","input":{"command":"x\u001b]0;t\u0007"}}]}}"#,
            r#"{"type":"user","message":{"content":[{"type":"tool_result","content":"\u001b[2J\rx"}]}}"#,
            "plain \x1b[2J text",
        ] {
            for shown in shown(line) {
                assert!(!shown.chars().any(char::is_control), "{line}: {shown:?}");
                assert!(!shown.contains("[2J"), "{line}: {shown:?}");
            }
        }
    }

    #[test]
    fn what_is_no_message_is_shown_as_it_is() {
        assert_eq!(shown("hello"), ["hello"]);
        assert_eq!(shown("{\"a\":1}"), ["{\"a\":1}"]);
        assert_eq!(shown("[1]"), ["[1]"]);
        assert_eq!(shown(r#"{"type":"system","subtype":"unheard_of"}"#), [""; 0]);
    }

    #[test]
    fn an_api_that_fails_is_told() {
        assert_eq!(
            shown(
                r#"{"type":"system","subtype":"api_retry","attempt":2,"max_retries":10,"retry_delay_ms":4000.5,"error_status":529,"error":"overloaded"}"#
            ),
            ["API 529 overloaded, try 2 of 10 in 4.0s"]
        );
    }
}
