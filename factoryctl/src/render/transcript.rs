//! What an agent prints, for people: its words, its tool calls by the argument
//! that matters, results cut to their beginning. Agents that print Claude Code's
//! stream-json are read; whatever else they print is shown as it is.

use anstyle::AnsiColor;
use factory_proto::v1::LogStream;
use factory_worker::agents::stream_json::{self, Event, RunResult};

use crate::render::console::{BOLD, DIM, style};
use crate::render::{plain, units};

/// Lines of a tool's result that are shown.
const RESULT_LINES: usize = 6;
/// Characters of one line of a result, or of an argument.
const WIDTH: usize = 160;

/// Reads one task's log.
#[derive(Debug, Default)]
pub struct Transcript {
    /// The agent was seen to print stream-json, so JSON that says nothing to people is passed over.
    structured: bool,
}

impl Transcript {
    /// The lines to show for one line of the log; none where it says nothing to people.
    pub fn lines(&mut self, stream: LogStream, data: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(data);
        match stream {
            LogStream::Stdout => self.stdout(data).unwrap_or_else(|| vec![plain::line(&text)]),
            LogStream::Stderr => {
                let red = style(AnsiColor::Red);
                vec![format!("{red}!{red:#} {}", plain::line(&text))]
            }
            LogStream::Setup => vec![format!("{DIM}set-up │{DIM:#} {}", plain::line(&text))],
            LogStream::Factory | LogStream::Unspecified => {
                vec![format!("{DIM}· {}{DIM:#}", plain::line(&text))]
            }
        }
    }

    /// `None`: not of a kind that is read here.
    fn stdout(&mut self, data: &[u8]) -> Option<Vec<String>> {
        let events = stream_json::read(data)?;
        self.structured |= events.iter().any(|event| !matches!(event, Event::Other { .. }));
        self.structured.then(|| events.iter().flat_map(shown).collect())
    }
}

fn shown(event: &Event) -> Vec<String> {
    match event {
        Event::Init { model, version, .. } => vec![introduction(model.as_deref(), version.as_deref())],
        Event::Text { text, subagent } => {
            let text = plain::text(text);
            indented(*subagent, text.trim().lines().map(str::to_owned))
        }
        Event::Thinking { text, subagent } => {
            let text = plain::shorten(&plain::line(text.trim()), WIDTH);
            indented(*subagent, (!text.is_empty()).then(|| format!("{DIM}∴ {text}{DIM:#}")))
        }
        Event::ToolUse { name, argument, subagent, .. } => {
            let cyan = style(AnsiColor::Cyan);
            let argument = plain::shorten(&plain::line(in_workspace(argument.trim())), WIDTH);
            let line = format!("{cyan}●{cyan:#} {BOLD}{}{BOLD:#} {argument}", plain::line(name));
            indented(*subagent, [line])
        }
        Event::ToolResult { text, is_error, subagent, .. } => {
            indented(*subagent, tool_result(text, *is_error))
        }
        Event::ApiRetry { attempt, max_retries, delay_ms, status, error } => {
            let yellow = style(AnsiColor::Yellow);
            let status = status.map(|status| format!(" {status}")).unwrap_or_default();
            let pause = units::span(i64::try_from(*delay_ms).unwrap_or(i64::MAX));
            let error = plain::line(error);
            vec![format!("{yellow}API{status} {error}{yellow:#}, try {attempt} of {max_retries} in {pause}")]
        }
        Event::ApiError { status, error, text } => {
            let red = style(AnsiColor::Red);
            let status = status.map(|status| format!(" {status}")).unwrap_or_default();
            let text = plain::shorten(&plain::line(text), WIDTH);
            vec![format!("{red}✗ API{status} {}{red:#} {text}", plain::line(error))]
        }
        Event::RateLimit { rejected: true, resets_at, kind } => {
            let yellow = style(AnsiColor::Yellow);
            let reset = resets_at.map(|at| format!(", reset at {}", units::moment(at.saturating_mul(1000))));
            let kind = plain::line(kind);
            vec![format!("{yellow}usage limit reached{yellow:#} ({kind}){}", reset.unwrap_or_default())]
        }
        Event::Result(result) => failed_result(result).into_iter().collect(),
        Event::RateLimit { .. } | Event::Background { .. } | Event::Usage { .. } | Event::Other { .. } => {
            Vec::new()
        }
    }
}

/// A path inside an attempt's workspace, `…/workspaces/<attempt id>/src/a.rs`, as seen from there.
fn in_workspace(argument: &str) -> &str {
    const UUID: usize = 36;
    let inside = || {
        let (_, rest) = argument.starts_with('/').then(|| argument.split_once("/workspaces/"))??;
        let (id, path) = rest.split_at_checked(UUID)?;
        id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-').then(|| path.strip_prefix('/'))?
    };
    inside().filter(|path| !path.is_empty()).unwrap_or(argument)
}

/// What a subagent says stands apart from what its caller says.
fn indented(subagent: bool, lines: impl IntoIterator<Item = String>) -> Vec<String> {
    let lines = lines.into_iter();
    if subagent { lines.map(|line| format!("  {DIM}│{DIM:#} {line}")).collect() } else { lines.collect() }
}

fn introduction(model: Option<&str>, version: Option<&str>) -> String {
    let model = plain::line(model.unwrap_or("unknown model"));
    let version = version.map(|version| format!("claude {}, ", plain::line(version)));
    format!("{DIM}· {}{model}{DIM:#}", version.unwrap_or_default())
}

fn tool_result(text: &str, is_error: bool) -> Vec<String> {
    let text = plain::text(text);
    let all: Vec<_> = text.trim_end().lines().collect();
    let style = if is_error { style(AnsiColor::Red) } else { DIM };
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

/// A good result is in the summary at the end; a bad one is said where it happened.
fn failed_result(result: &RunResult) -> Option<String> {
    let red = style(AnsiColor::Red);
    let said = if result.text.is_empty() { &result.subtype } else { &result.text };
    result.is_error.then(|| format!("{red}✗ {}{red:#}", plain::shorten(&plain::line(said), WIDTH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> Vec<String> {
        Transcript::default()
            .lines(LogStream::Stdout, line.as_bytes())
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
            (r#"{"file_path":"/r/workspaces/01a1fddb-8521-744d-bf62-1acb70a1d5f3/src/a.rs"}"#, "src/a.rs"),
            (
                r#"{"file_path":"/home/me/workspaces/project-with-a-name-that-is-long-enough/a.rs"}"#,
                "/home/me/workspaces/project-with-a-name-that-is-long-enough/a.rs",
            ),
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
        for line in ["hello", "{\"a\":1}", "[1]", r#"{"type":"log","message":"of a program of its own"}"#] {
            assert_eq!(shown(line), [line]);
        }
    }

    #[test]
    fn once_messages_were_seen_unknown_kinds_are_passed_over() {
        let mut transcript = Transcript::default();
        let init = br#"{"type":"system","subtype":"init","model":"m","claude_code_version":"2"}"#;
        assert_eq!(transcript.lines(LogStream::Stdout, init).len(), 1);
        let unknown = br#"{"type":"system","subtype":"unheard_of"}"#;
        assert_eq!(transcript.lines(LogStream::Stdout, unknown), [""; 0]);
    }

    #[test]
    fn an_api_that_fails_is_told() {
        assert_eq!(
            shown(
                r#"{"type":"system","subtype":"api_retry","attempt":2,"max_retries":10,"retry_delay_ms":4000,"error_status":529,"error":"overloaded"}"#
            ),
            ["API 529 overloaded, try 2 of 10 in 4.0s"]
        );
    }
}
