//! What Claude Code prints with `--output-format stream-json`, read tolerantly: one JSON
//! object a line, every field optional, unknown kinds passed over. The scripted agent
//! prints the same, so that one reader and one renderer serve both.

use factory_proto::v1::LogStream;
use serde_json::{Map, Value};

/// Something a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A conversation begins, or its next turn does.
    Init {
        session: Option<String>,
        model: Option<String>,
        version: Option<String>,
    },
    /// The agent's words.
    Text {
        text: String,
        subagent: bool,
    },
    Thinking {
        text: String,
        subagent: bool,
    },
    ToolUse {
        id: String,
        name: String,
        /// What tells this call from others of the tool: the command, the path, the pattern.
        argument: String,
        subagent: bool,
    },
    ToolResult {
        id: String,
        text: String,
        is_error: bool,
        subagent: bool,
    },
    /// A request to the model failed and will be made again.
    ApiRetry {
        attempt: u64,
        max_retries: u64,
        delay_ms: u64,
        status: Option<u16>,
        error: String,
    },
    /// A request to the model failed for good; shown in place of an answer.
    ApiError {
        status: Option<u16>,
        error: String,
        text: String,
    },
    /// Where a subscription's limits stand.
    RateLimit {
        rejected: bool,
        resets_at: Option<i64>,
        kind: String,
    },
    /// What a message of the agent's, or of a subagent's, has used so far. Comes with each line of it.
    Usage {
        /// The same for all lines of a message.
        message: String,
        tokens: Tokens,
        /// Of this line's content.
        bytes: u64,
    },
    /// What runs behind the agent's back from now on. It waits for that after its result, silently,
    /// and goes on once it has ended.
    Background {
        tasks: usize,
    },
    /// The end of a run. A process may print several; the last one counts.
    Result(RunResult),
    /// Anything else; the kind as the line names it.
    Other {
        kind: String,
    },
}

/// The agent's own account of its run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunResult {
    pub subtype: String,
    pub is_error: bool,
    /// `completed` for a run that came to its end; absent where no run took place.
    pub terminal_reason: Option<String>,
    /// The closing words, or the errors.
    pub text: String,
    pub api_error_status: Option<u16>,
    pub turns: u32,
    /// Since the conversation began, the runs before this one included.
    pub total: Spent,
    /// Since the result before it, in this run or another; `None`: not told.
    pub since_last_result: Option<Spent>,
    pub duration_ms: u64,
    pub session: Option<String>,
    /// The answer by the schema that was asked for, as JSON text.
    pub structured_output: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    pub cost_usd: f64,
    pub tokens: Tokens,
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.cost_usd += more.cost_usd;
        self.tokens.input += more.tokens.input;
        self.tokens.output += more.tokens.output;
        self.tokens.cache_read += more.tokens.cache_read;
        self.tokens.cache_write += more.tokens.cache_write;
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
}

impl Tokens {
    /// Of each kind the larger number.
    pub fn highest(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write: self.cache_write.max(other.cache_write),
        }
    }
}

/// What a line says, in its order; `None` where it is no JSON object.
pub fn read(line: &[u8]) -> Option<Vec<Event>> {
    let value: Value = serde_json::from_slice(line).ok()?;
    value.is_object().then(|| events(&value))
}

/// What the agent itself says in a line, its subagents left aside.
pub fn words(stream: LogStream, line: &[u8]) -> Vec<String> {
    if stream != LogStream::Stdout {
        return Vec::new();
    }
    let said = read(line).unwrap_or_default().into_iter().filter_map(|event| match event {
        Event::Text { text, subagent: false } => Some(text),
        _ => None,
    });
    said.collect()
}

fn events(line: &Value) -> Vec<Event> {
    match (line["type"].as_str().unwrap_or_default(), line["subtype"].as_str().unwrap_or_default()) {
        ("system", "init") => vec![Event::Init {
            session: string(&line["session_id"]),
            model: string(&line["model"]),
            version: string(&line["claude_code_version"]),
        }],
        ("system", "api_retry") => vec![Event::ApiRetry {
            attempt: number(&line["attempt"]),
            max_retries: number(&line["max_retries"]),
            delay_ms: number(&line["retry_delay_ms"]),
            status: status(&line["error_status"]),
            error: text(&line["error"]),
        }],
        ("system", "background_tasks_changed") => {
            vec![Event::Background { tasks: line["tasks"].as_array().map_or(0, Vec::len) }]
        }
        ("assistant", _) if line["is_api_error_message"] == true => vec![Event::ApiError {
            status: status(&line["api_error_status"]),
            error: text(&line["error"]),
            text: joined_text(&line["message"]["content"]),
        }],
        ("assistant", _) => usage_of_message(line).into_iter().chain(message(line)).collect(),
        ("user", _) => message(line),
        ("rate_limit_event", _) => {
            let info = &line["rate_limit_info"];
            vec![Event::RateLimit {
                rejected: info["status"] == "rejected",
                resets_at: info["resetsAt"].as_i64(),
                kind: text(&info["rateLimitType"]),
            }]
        }
        ("result", subtype) => vec![Event::Result(result(line, subtype))],
        (kind, "") => vec![Event::Other { kind: kind.to_owned() }],
        (kind, subtype) => vec![Event::Other { kind: format!("{kind}/{subtype}") }],
    }
}

fn message(line: &Value) -> Vec<Event> {
    let subagent = !line["parent_tool_use_id"].is_null();
    let content = &line["message"]["content"];
    let from_agent = line["type"] == "assistant";
    match content {
        Value::Array(blocks) => {
            blocks.iter().filter_map(|block| self::block(block, from_agent, subagent)).collect()
        }
        Value::String(words) if from_agent => vec![Event::Text { text: words.clone(), subagent }],
        _ => vec![Event::Other { kind: text(&line["type"]) }],
    }
}

fn usage_of_message(line: &Value) -> Option<Event> {
    let message = &line["message"];
    message["usage"].is_object().then(|| Event::Usage {
        message: text(&message["id"]),
        tokens: usage(&message["usage"]),
        bytes: u64::try_from(message["content"].to_string().len()).unwrap_or(u64::MAX),
    })
}

fn block(block: &Value, from_agent: bool, subagent: bool) -> Option<Event> {
    Some(match block["type"].as_str()? {
        "text" if from_agent => Event::Text { text: text(&block["text"]), subagent },
        "thinking" => Event::Thinking { text: text(&block["thinking"]), subagent },
        "tool_use" => {
            let name = text(&block["name"]);
            let argument = salient_argument(&block["input"]);
            Event::ToolUse { id: text(&block["id"]), name, argument, subagent }
        }
        "tool_result" => Event::ToolResult {
            id: text(&block["tool_use_id"]),
            text: joined_text(&block["content"]),
            is_error: block["is_error"] == true,
            subagent,
        },
        kind => Event::Other { kind: kind.to_owned() },
    })
}

fn result(line: &Value, subtype: &str) -> RunResult {
    let errors = line["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let errors: Vec<_> = errors.iter().map(text).collect();
    RunResult {
        subtype: subtype.to_owned(),
        // A result that does not say is not taken for a success.
        is_error: line["is_error"].as_bool().unwrap_or(true),
        terminal_reason: string(&line["terminal_reason"]),
        text: string(&line["result"]).unwrap_or_else(|| errors.join("\n")),
        api_error_status: status(&line["api_error_status"]),
        turns: u32::try_from(number(&line["num_turns"])).unwrap_or(u32::MAX),
        total: Spent { cost_usd: line["total_cost_usd"].as_f64().unwrap_or_default(), tokens: tokens(line) },
        since_last_result: since_last_result(&line["model_usage_since_last_result"]),
        duration_ms: number(&line["duration_ms"]),
        session: string(&line["session_id"]),
        structured_output: line.get("structured_output").filter(|it| !it.is_null()).map(Value::to_string),
    }
}

/// By model, where that is told, since it counts subagents too; else the run's own.
fn tokens(line: &Value) -> Tokens {
    if let Some(models) = line["modelUsage"].as_object().filter(|models| !models.is_empty()) {
        return tokens_of(models);
    }
    usage(&line["usage"])
}

fn usage(usage: &Value) -> Tokens {
    Tokens {
        input: number(&usage["input_tokens"]),
        output: number(&usage["output_tokens"]),
        cache_read: number(&usage["cache_read_input_tokens"]),
        cache_write: number(&usage["cache_creation_input_tokens"]),
    }
}

fn tokens_of(models: &Map<String, Value>) -> Tokens {
    let sum = |name: &str| models.values().map(|usage| number(&usage[name])).sum();
    Tokens {
        input: sum("inputTokens"),
        output: sum("outputTokens"),
        cache_read: sum("cacheReadInputTokens"),
        cache_write: sum("cacheCreationInputTokens"),
    }
}

fn since_last_result(models: &Value) -> Option<Spent> {
    let models = models.as_object()?;
    let cost_usd = models.values().filter_map(|usage| usage["costUSD"].as_f64()).sum();
    Some(Spent { cost_usd, tokens: tokens_of(models) })
}

/// Argument names that say what a call is about, the most telling first.
const SALIENT: [&str; 12] = [
    "command",
    "file_path",
    "notebook_path",
    "pattern",
    "query",
    "url",
    "skill",
    "description",
    "path",
    "prompt",
    "subject",
    "task_id",
];

fn salient_argument(input: &Value) -> String {
    let Some(arguments) = input.as_object() else { return String::new() };
    let telling = SALIENT.iter().find_map(|name| arguments.get(*name)?.as_str());
    let any = || arguments.values().find_map(Value::as_str);
    telling.or_else(any).unwrap_or_default().to_owned()
}

/// Content is a string, or blocks of which some are text.
fn joined_text(content: &Value) -> String {
    let Some(blocks) = content.as_array() else { return text(content) };
    let part = |block: &Value| match block["type"].as_str() {
        Some("text") | None => text(&block["text"]),
        Some(kind) => format!("[{kind}]"),
    };
    blocks.iter().map(part).collect::<Vec<_>>().join("\n")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn string(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_default()
}

fn status(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|code| u16::try_from(code).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Event {
        let events = read(line.as_bytes()).expect("JSON");
        assert_eq!(events.len(), 1, "{events:?}");
        events.into_iter().next().expect("just counted")
    }

    #[test]
    fn words_calls_and_results_are_told_apart() {
        let line = r#"{"type":"assistant","parent_tool_use_id":null,"message":{"content":[
            {"type":"text","text":"Let me look."},{"type":"thinking","thinking":"hm"},
            {"type":"tool_use","id":"t1","name":"Bash","input":{"description":"Says hi","command":"echo hi"}}]}}"#;
        let subagent = false;
        assert_eq!(
            read(line.as_bytes()).unwrap(),
            [
                Event::Text { text: "Let me look.".into(), subagent },
                Event::Thinking { text: "hm".into(), subagent },
                Event::ToolUse { id: "t1".into(), name: "Bash".into(), argument: "echo hi".into(), subagent },
            ]
        );
        let line = r#"{"type":"user","parent_tool_use_id":"t0","message":{"content":[{"type":"tool_result",
            "tool_use_id":"t1","is_error":true,"content":[{"type":"text","text":"no"},{"type":"image"}]}]}}"#;
        let (id, text) = ("t1".to_owned(), "no\n[image]".to_owned());
        assert_eq!(one(line), Event::ToolResult { id, text, is_error: true, subagent: true });
    }

    #[test]
    fn what_is_unknown_is_passed_over_and_what_is_no_json_is_said_to_be_none() {
        assert_eq!(
            one(r#"{"type":"system","subtype":"hook_started"}"#),
            Event::Other { kind: "system/hook_started".into() }
        );
        assert_eq!(one(r#"{"surprise":1}"#), Event::Other { kind: String::new() });
        assert_eq!(
            one(r#"{"type":"user","message":{"content":"a prompt"}}"#),
            Event::Other { kind: "user".into() }
        );
        for line in ["", "plain words", "[1]", "{\"type\":"] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_result_that_does_not_say_is_an_error() {
        let Event::Result(result) = one(r#"{"type":"result","errors":["a","b"],"num_turns":-1}"#) else {
            panic!()
        };
        assert!(result.is_error);
        assert_eq!((result.text.as_str(), result.turns), ("a\nb", 0));
    }
}
