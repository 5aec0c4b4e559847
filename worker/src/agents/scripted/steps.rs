//! The steps a prompt may hold, one a line. Lines that begin with no step's name are prose.

use std::time::Duration;

use serde_json::{Value, json};

use crate::mcp;

#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// `say TEXT`
    Say(String),
    /// `sleep MILLISECONDS`
    Sleep(Duration),
    /// `write PATH TEXT`; `\n` in the text is a line break
    Write { path: String, text: String },
    /// `append PATH TEXT`; where the agent was resumed and the file ends with it, it was done before
    Append { path: String, text: String },
    /// `commit MESSAGE`: everything there is to commit; a resumed agent may find nothing
    Commit(String),
    /// `run PROGRAM [ARG]…`: no shell; a failure is told and the run goes on
    Run(Vec<String>),
    /// `lines N`: so many lines of output, for load
    Lines(u64),
    /// `line BYTES`: one line of that length
    Line(usize),
    /// `cost USD`: what the run has cost in all
    Cost(f64),
    /// `tokens N`: a message to the model that used so many tokens of input
    Tokens(u64),
    /// `orphan`: a process in a session of its own that would outlive the agent
    Orphan,
    /// `linger MILLISECONDS`: the process stays so much longer than its result
    Linger(Duration),
    /// A tool of the endpoint; what it answers is printed, and a refusal fails the run. `ask: QUESTION`,
    /// `post TO: TEXT`, `read:`, `lock: PATH…`, `unlock: PATH…`, `remember KIND: TEXT`, `recall: QUERY`,
    /// `handoff ROLE: TEXT`, `child TITLE: PROMPT`, `progress: TEXT`
    Tool { name: &'static str, arguments: Value },
    /// `output JSON`: the answer by the task's schema
    Output(Value),
    /// `fail MESSAGE`
    Fail(String),
    /// `fail-once MESSAGE`: on the task's first attempt only
    FailOnce(String),
    /// `limit-once SECONDS`: on the task's first attempt only, a usage limit reset so much later
    LimitOnce(Duration),
}

impl Step {
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let text = || unescape(rest);
        Some(match name {
            "say" => Self::Say(text()),
            "sleep" => Self::Sleep(Duration::from_millis(rest.parse().ok()?)),
            "write" => path_and_text(rest).map(|(path, text)| Self::Write { path, text })?,
            "append" => path_and_text(rest).map(|(path, text)| Self::Append { path, text })?,
            "commit" if !rest.is_empty() => Self::Commit(text()),
            "run" if !rest.is_empty() => Self::Run(rest.split_whitespace().map(str::to_owned).collect()),
            "lines" => Self::Lines(rest.parse().ok()?),
            "line" => Self::Line(rest.parse().ok()?),
            "cost" => Self::Cost(rest.parse().ok()?),
            "tokens" => Self::Tokens(rest.parse().ok()?),
            "orphan" if rest.is_empty() => Self::Orphan,
            "linger" => Self::Linger(Duration::from_millis(rest.parse().ok()?)),
            "output" => Self::Output(serde_json::from_str(rest).ok()?),
            "fail" => Self::Fail(text()),
            "fail-once" => Self::FailOnce(text()),
            "limit-once" => Self::LimitOnce(Duration::from_secs(rest.parse().ok()?)),
            _ => return Self::tool(line),
        })
    }

    fn tool(line: &str) -> Option<Self> {
        // A task is addressed as `task:7`.
        let (head, rest) = line.split_once(": ").or_else(|| Some((line.strip_suffix(':')?, "")))?;
        let (name, object) = head.split_once(' ').unwrap_or((head, ""));
        let (object, text) = (object.trim(), unescape(rest.trim()));
        let paths = || rest.split_whitespace().collect::<Vec<_>>();
        let (name, arguments) = match (name, object, text.as_str()) {
            ("ask", "", question) => ("ask_user", json!({ "question": question })),
            ("post", to, content) => ("post_message", json!({ "to": to, "content": content })),
            ("read", "", "") => ("read_messages", json!({})),
            ("lock", "", _) => ("lock_files", json!({ "paths": paths(), "wait_seconds": 600 })),
            ("unlock", "", _) => ("unlock_files", json!({ "paths": paths() })),
            ("remember", kind, content) => ("memory_save", json!({ "kind": kind, "content": content })),
            ("recall", "", query) => ("memory_search", json!({ "query": query })),
            ("handoff", role, context) => ("handoff", json!({ "to_role": role, "context": context })),
            ("child", title, prompt) => ("submit_task", json!({ "title": title, "prompt": prompt })),
            ("progress", "", text) => ("report_progress", json!({ "text": text })),
            _ => return None,
        };
        Some(Self::Tool { name, arguments })
    }
}

/// The steps of a prompt; one without any is taken as something to note down. What others say, behind it, is not
/// for the agent to do.
pub fn parse(prompt: &str) -> Vec<Step> {
    let prompt = prompt.split(mcp::NEWS).next().unwrap_or_default();
    let steps: Vec<_> = prompt.lines().filter_map(|line| Step::parse(line.trim())).collect();
    if steps.is_empty() { note(prompt.trim()) } else { steps }
}

fn note(prompt: &str) -> Vec<Step> {
    let title: String = prompt.lines().next().unwrap_or_default().chars().take(60).collect();
    vec![
        Step::Say("I follow scripts and found no steps in this prompt, so I note it down.".to_owned()),
        Step::Append { path: "NOTES.md".to_owned(), text: format!("- {prompt}\n") },
        Step::Commit(format!("Note: {title}")),
    ]
}

fn path_and_text(rest: &str) -> Option<(String, String)> {
    let (path, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = if text.is_empty() { String::new() } else { unescape(text) + "\n" };
    (!path.is_empty()).then(|| (path.to_owned(), text))
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_found_among_prose() {
        let prompt =
            "Please do this:\n\n  write src/a.txt one\\ntwo\ncommit Add a\nsleep soundly\nrun git status -s";
        assert_eq!(
            parse(prompt),
            [
                Step::Write { path: "src/a.txt".into(), text: "one\ntwo\n".into() },
                Step::Commit("Add a".into()),
                Step::Run(vec!["git".into(), "status".into(), "-s".into()]),
            ]
        );
    }

    #[test]
    fn a_tool_is_a_step_and_what_others_say_is_none() {
        let prompt = format!(
            "ask: Which port?\npost task:7: Use 81.\nlock: src/** Cargo.lock\nask the user when in doubt\n\n{}\n\nsay it",
            mcp::NEWS
        );
        let tool = |name, arguments| Step::Tool { name, arguments };
        assert_eq!(
            parse(&prompt),
            [
                tool("ask_user", json!({ "question": "Which port?" })),
                tool("post_message", json!({ "to": "task:7", "content": "Use 81." })),
                tool("lock_files", json!({ "paths": ["src/**", "Cargo.lock"], "wait_seconds": 600 })),
            ]
        );
    }

    #[test]
    fn a_prompt_without_steps_is_noted_down() {
        let steps = parse("Add a login page");
        assert_eq!(steps[2], Step::Commit("Note: Add a login page".into()));
    }
}
