//! What the scripted model says in one conversation, turn by turn.

use std::collections::VecDeque;

use serde_json::Value;
use tokio::sync::watch;

/// The answers of one conversation, in order. A request that offers tools takes the next one;
/// a retry of the client's is a request like any other.
#[derive(Default)]
pub struct Script {
    steps: VecDeque<Step>,
    /// Answers everything after the steps.
    forever: Option<Fault>,
}

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn turn(mut self, turn: Turn) -> Self {
        self.steps.push_back(Step::Turn(turn));
        self
    }

    /// One request is answered by this fault.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.steps.push_back(Step::Fault(fault));
        self
    }

    /// Every further request is answered by this fault.
    pub fn fault_forever(mut self, fault: Fault) -> Self {
        self.forever = Some(fault);
        self
    }

    pub(super) fn next(&mut self) -> Option<Step> {
        self.steps.pop_front().or_else(|| self.forever.clone().map(Step::Fault))
    }
}

#[derive(Clone)]
pub(super) enum Step {
    Turn(Turn),
    Fault(Fault),
}

/// One answer of the model: words, tool calls, or words and then tool calls.
#[derive(Clone, Default)]
pub struct Turn {
    pub(super) text: Option<String>,
    pub(super) tools: Vec<(String, Value)>,
    pub(super) gate: Option<Gate>,
}

impl Turn {
    /// Words alone: the agent is done.
    pub fn text(words: impl Into<String>) -> Self {
        Self { text: Some(words.into()), ..Self::default() }
    }

    /// A call of one of the agent's tools.
    pub fn tool(name: &str, input: Value) -> Self {
        Self::default().and_tool(name, input)
    }

    pub fn and_tool(mut self, name: &str, input: Value) -> Self {
        self.tools.push((name.to_owned(), input));
        self
    }

    /// Words said before the tool calls.
    pub fn saying(mut self, words: impl Into<String>) -> Self {
        self.text = Some(words.into());
        self
    }

    /// The answer waits until the test opens the gate.
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }
}

/// What can go wrong with one request.
#[derive(Clone)]
pub enum Fault {
    /// An HTTP error, with further headers such as `retry-after`.
    Status { code: u16, headers: Vec<(&'static str, String)> },
    /// No answer, as long as the server lives.
    Hang,
    /// The connection breaks in the middle of the answer.
    Drop,
}

impl Fault {
    pub fn status(code: u16) -> Self {
        Self::Status { code, headers: Vec::new() }
    }

    /// 429 with the seconds to wait.
    pub fn rate_limited(retry_after: u32) -> Self {
        Self::Status { code: 429, headers: vec![("retry-after", retry_after.to_string())] }
    }

    /// 429 as a subscription gets it whose limit is used up until then, in seconds since the epoch.
    pub fn used_up(resets_at: i64) -> Self {
        let headers = [
            ("retry-after", "3600".to_owned()),
            ("anthropic-ratelimit-unified-status", "rejected".to_owned()),
            ("anthropic-ratelimit-unified-reset", resets_at.to_string()),
            ("anthropic-ratelimit-unified-representative-claim", "five_hour".to_owned()),
        ];
        Self::Status { code: 429, headers: headers.into() }
    }
}

/// Holds an answer back until the test has seen what it waits for.
#[derive(Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        let mut opened = self.0.subscribe();
        // The sender is in `self`: it cannot be gone.
        let _ = opened.wait_for(|open| *open).await;
    }
}
