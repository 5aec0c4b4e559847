//! The verdict on a run that printed stream-json.
//!
//! Neither the exit code nor `subtype: success` means success: a run succeeded when its
//! result says that nothing went wrong *and* that it came to its end. What failed, and
//! whether trying again can help, is read from the API's status where there is one.

use std::time::Duration;

use factory_domain::{Failure, FailureReason, Outcome, Timestamp, Usage};
use factory_proto::v1::LogStream;

use crate::agents::stream_json::{self, Event, RunResult, Spent};
use crate::agents::tail::Tail;
use crate::agents::token_meter::TokenMeter;
use crate::agents::{Conclusion, Job, Transcript};
use crate::shim::Exit;

/// What to do about a refused login, for every message that speaks of one.
pub(super) const LOG_IN: &str =
    "set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN (from `claude setup-token`) for the worker";

/// How the words begin of a run that was to resume a conversation and did not find it.
const NO_CONVERSATION: &str = "No conversation found";

/// Reads the output of Claude Code, or of what prints the same.
#[derive(Debug)]
pub struct StreamTranscript {
    /// For people: whose output it is.
    name: &'static str,
    session: Option<String>,
    model: Option<String>,
    budget_micro_usd: Option<u64>,
    meter: TokenMeter,
    /// The last result, and whether the agent went on after it.
    result: Option<RunResult>,
    went_on: bool,
    /// Tasks it waits for before it ends.
    background: usize,
    /// By this run alone.
    spent: Spent,
    last_words: String,
    trouble: Option<Trouble>,
    /// The model has said something.
    answered: bool,
    /// A login was refused, which no retry mends.
    refused: Option<String>,
    /// A subscription's limit was reached.
    limit: Option<Limit>,
    /// How long a limit is waited out that does not say when it is reset: a key's never does.
    limit_pause: Duration,
    stderr: Tail,
    /// Lines on standard output that are no events: some errors are printed there.
    stray: Tail,
}

/// A subscription's limit, as the agent tells it.
#[derive(Debug, Clone)]
struct Limit {
    /// Which one, such as `five_hour`; may be empty.
    kind: String,
    resets_at: Option<Timestamp>,
}

/// A request to the model that failed.
#[derive(Debug, Clone)]
struct Trouble {
    status: Option<u16>,
    error: String,
    text: String,
}

impl StreamTranscript {
    pub fn new(name: &'static str, job: &Job, limit_pause: Duration) -> Self {
        Self {
            name,
            session: Some(job.conversation.id().to_string()),
            model: None,
            budget_micro_usd: job.spec.budget_micro_usd,
            meter: TokenMeter::new(job.spec.budget_tokens),
            result: None,
            went_on: false,
            background: 0,
            spent: Spent::default(),
            last_words: String::new(),
            trouble: None,
            answered: false,
            refused: None,
            limit: None,
            limit_pause,
            stderr: Tail::default(),
            stray: Tail::default(),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Init { session, model, .. } => {
                self.session = session.or(self.session.take());
                self.model = model.or(self.model.take());
                self.went_on = true;
            }
            Event::Text { text, subagent: false } => {
                self.last_words = text;
                self.went_on = true;
                self.answered = true;
                self.trouble = None;
            }
            Event::ToolUse { subagent: false, .. } => {
                self.went_on = true;
                self.answered = true;
                self.trouble = None;
            }
            Event::ApiRetry { status, error, .. } => {
                if status == Some(401) {
                    self.refused = Some(error.clone());
                }
                self.trouble = Some(Trouble { status, error, text: String::new() });
            }
            Event::ApiError { status, error, text } => self.trouble = Some(Trouble { status, error, text }),
            Event::RateLimit { rejected, resets_at, kind } => {
                let resets_at = resets_at.map(|at| Timestamp::from_millis(at.saturating_mul(1000)));
                self.limit = rejected.then_some(Limit { kind, resets_at });
            }
            Event::Usage { message, tokens, bytes } => self.meter.take(message, tokens, bytes),
            Event::Background { tasks } => self.background = tasks,
            Event::Result(result) => {
                match result.since_last_result {
                    Some(spent) => self.spent += spent,
                    None => self.spent = result.total,
                }
                self.result = Some(result);
                self.went_on = false;
            }
            Event::Text { .. }
            | Event::ToolUse { .. }
            | Event::Thinking { .. }
            | Event::ToolResult { .. }
            | Event::Other { .. } => {}
        }
    }

    fn outcome(&self, exit: &Exit, now: Timestamp) -> Outcome {
        let completed = self.result.as_ref().is_some_and(RunResult::is_completed);
        let cut_short = self.went_on && exit.code != Some(0);
        if let Some(failure) = exit.failure() {
            Outcome::Failed { failure }
        } else if completed && !cut_short {
            Outcome::Succeeded
        } else if exit.stopped && !self.is_done() {
            Outcome::Cancelled
        } else {
            self.failed(exit, now)
        }
    }

    fn failed(&self, exit: &Exit, now: Timestamp) -> Outcome {
        let failure = self.failure(exit);
        if failure.reason == FailureReason::UsageLimit && !self.is_out_of_credit() {
            Outcome::Limited { failure, until: self.limited_until(now) }
        } else {
            Outcome::Failed { failure }
        }
    }

    /// No time brings credit back: someone has to pay.
    fn is_out_of_credit(&self) -> bool {
        self.limit.is_none() && self.trouble.as_ref().is_some_and(|trouble| trouble.error == "billing_error")
    }

    /// When to try again. A reset that is past has not reset anything.
    fn limited_until(&self, now: Timestamp) -> Timestamp {
        let resets_at = self.limit.as_ref().and_then(|limit| limit.resets_at);
        resets_at.filter(|at| *at > now).unwrap_or_else(|| now.after(self.limit_pause))
    }

    fn failure(&self, exit: &Exit) -> Failure {
        match &self.result {
            Some(result) if !result.is_completed() => self.failed_run(result),
            _ => self.ended_early(exit),
        }
    }

    /// The agent itself says that it failed.
    fn failed_run(&self, result: &RunResult) -> Failure {
        let name = self.name;
        let terminal = result.terminal_reason.as_deref().unwrap_or_default();
        match (result.subtype.as_str(), terminal) {
            ("error_max_budget_usd", _) | (_, "budget_exhausted") => {
                let budget = self.budget_micro_usd.map(|budget| format!(" of {}", dollars(budget)));
                let (budget, spent) = (budget.unwrap_or_default(), dollars(micro_usd(result.total.cost_usd)));
                let message =
                    format!("{name} used up its budget{budget} (it spent {spent}); raise --budget-usd");
                Failure { reason: FailureReason::Budget, message }
            }
            ("error_max_turns", _) | (_, "max_turns") => self.agent_error(format!(
                "{name} was not done after its {} turns; raise the number of turns or split the task",
                result.turns
            )),
            (_, "api_error") => self.api_failure(result),
            _ if self.trouble.is_some() || result.api_error_status.is_some() => self.api_failure(result),
            _ if result.text.starts_with(NO_CONVERSATION) => self.agent_error(format!(
                "{name} could not go on with the conversation of the attempt before this one: {}",
                said(&result.text)
            )),
            _ if result.is_error => self.agent_error(format!("{name} failed: {}", said(&result.text))),
            (_, "") => self
                .agent_error(format!("{name} ended without doing the task: {}", said(self.closing_words()))),
            (_, terminal) => self
                .agent_error(format!("{name} ended before it was done ({terminal}): {}", said(&result.text))),
        }
    }

    /// Its last request to the model failed.
    fn api_failure(&self, result: &RunResult) -> Failure {
        let trouble = self.trouble.clone().unwrap_or(Trouble {
            status: None,
            error: String::new(),
            text: String::new(),
        });
        let status = result.api_error_status.or(trouble.status);
        let text = if result.text.is_empty() { &trouble.text } else { &result.text };
        let text = if text.is_empty() { &trouble.error } else { text };
        let name = self.name;
        let reason = reason_of(status, &trouble.error, text, self.limit.is_some());
        let message = match reason {
            FailureReason::AuthFailed => format!(
                "{name} is not logged in, or its login was refused: {}. On the worker's host, {LOG_IN}",
                said(text)
            ),
            FailureReason::UsageLimit => {
                format!("{name} reached a limit of its account: {}{}", said(text), self.reset())
            }
            FailureReason::Rejected => {
                format!("{name} cannot use the model asked for: {}. Name another with --model", said(text))
            }
            FailureReason::AgentError => {
                format!("{name} gave the model more than it takes: {}. Split the task", said(text))
            }
            _ => format!("{name} got no answer from the model's API: {}", said(text)),
        };
        Failure { reason, message }
    }

    fn reset(&self) -> String {
        let Some(limit) = &self.limit else { return String::new() };
        let at = limit.resets_at.and_then(|at| jiff::Timestamp::from_millisecond(at.as_millis()).ok());
        let what = if limit.kind.is_empty() { "It".to_owned() } else { format!("The limit {}", limit.kind) };
        at.map(|at| format!(". {what} resets at {at}")).unwrap_or_default()
    }

    /// There is no result, or the agent was ended after it in the middle of something else.
    fn ended_early(&self, exit: &Exit) -> Failure {
        let words = self.stderr.brief().or_else(|| self.stray.brief());
        let words = words.map(|words| format!(": {words}")).unwrap_or_default();
        let how = match exit.signal {
            Some(9) => "was killed (signal 9; the host may have run out of memory)".to_owned(),
            _ => format!("ended with {} and no result", exit.describe()),
        };
        match &self.trouble {
            Some(trouble) => {
                let reason = reason_of(trouble.status, &trouble.error, &trouble.text, self.limit.is_some());
                let message =
                    format!("{} {how}, while the model's API failed ({})", self.name, said(&trouble.error));
                Failure { reason, message }
            }
            None => self.agent_error(format!("{} {how}{words}", self.name)),
        }
    }

    fn agent_error(&self, message: String) -> Failure {
        Failure { reason: FailureReason::AgentError, message }
    }

    fn closing_words(&self) -> &str {
        match &self.result {
            Some(result) if !result.text.is_empty() => &result.text,
            _ => &self.last_words,
        }
    }

    fn usage(&self) -> Usage {
        let Spent { cost_usd, tokens } = self.spent;
        Usage {
            cost_micro_usd: micro_usd(cost_usd),
            turns: self.result.as_ref().map(|result| result.turns).unwrap_or_default(),
            input_tokens: tokens.input,
            output_tokens: tokens.output,
            cache_read_tokens: tokens.cache_read,
            cache_write_tokens: tokens.cache_write,
            model: self.model.clone(),
        }
    }
}

impl Transcript for StreamTranscript {
    fn record(&mut self, stream: LogStream, line: &[u8]) {
        match stream {
            LogStream::Stdout => match stream_json::read(line) {
                Some(events) => events.into_iter().for_each(|event| self.event(event)),
                None => self.stray.push(line),
            },
            LogStream::Stderr => self.stderr.push(line),
            _ => {}
        }
    }

    fn give_up(&self) -> Option<Failure> {
        let refused = self.refused.as_deref().map(|error| Failure {
            reason: FailureReason::AuthFailed,
            message: format!(
                "{}'s login was refused (401 {error}). On the worker's host, {LOG_IN}",
                self.name
            ),
        });
        // What it used for a result that is out, it was worth.
        let at_work = self.result.is_none() || self.went_on;
        refused.or_else(|| self.meter.exceeded(self.name).filter(|_| at_work))
    }

    /// While a background task runs, Claude Code waits for it, for ten minutes at most by its own clock.
    fn is_done(&self) -> bool {
        self.result.is_some() && !self.went_on && self.background == 0
    }

    fn is_answered(&self) -> bool {
        self.answered
    }

    fn conclude(self: Box<Self>, exit: &Exit, now: Timestamp) -> Conclusion {
        Conclusion {
            outcome: self.outcome(exit, now),
            result_text: self.closing_words().to_owned(),
            usage: self.usage(),
            agent_session: self.session.clone(),
            structured_output: self.result.as_ref().and_then(|result| result.structured_output.clone()),
        }
    }
}

impl RunResult {
    /// The run came to its end and nothing went wrong.
    pub fn is_completed(&self) -> bool {
        !self.is_error && self.terminal_reason.as_deref() == Some("completed")
    }
}

fn reason_of(status: Option<u16>, error: &str, text: &str, limited: bool) -> FailureReason {
    match (status, error) {
        _ if text.starts_with("Not logged in") => FailureReason::AuthFailed,
        (Some(401 | 403), _) | (_, "authentication_failed") => FailureReason::AuthFailed,
        _ if limited => FailureReason::UsageLimit,
        (Some(429), _) | (_, "rate_limit" | "usage_limit_reached" | "billing_error") => {
            FailureReason::UsageLimit
        }
        (Some(404), _) | (_, "model_not_found") => FailureReason::Rejected,
        (Some(413), _) => FailureReason::AgentError,
        _ => FailureReason::ApiError,
    }
}

fn said(text: &str) -> &str {
    match text.trim().trim_end_matches('.') {
        "" => "it did not say why",
        text => text,
    }
}

fn micro_usd(usd: f64) -> u64 {
    (usd.max(0.0) * 1e6).round() as u64
}

fn dollars(micro: u64) -> String {
    format!("${:.2}", micro as f64 / 1e6)
}
