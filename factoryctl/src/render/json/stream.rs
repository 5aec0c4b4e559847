//! The lines of a stream that goes on: `watch` and `logs`.

use factory_proto::v1;
use serde::Serialize;

use super::report::FailureView;
use super::some;
use super::task::TaskView;
use crate::render::units::rfc3339;

/// An event, one line of `watch -o jsonl`.
#[derive(Debug, Serialize)]
pub struct EventView<'a> {
    #[serde(rename = "type")]
    pub line_type: &'static str,
    /// Where a watch with `--since` goes on after this line.
    pub cursor: String,
    pub at: Option<String>,
    pub task_id: &'a str,
    pub task: u64,
    pub attempt: Option<u32>,
    pub kind: &'a str,
    pub state: &'static str,
    pub worker: Option<&'a str>,
    pub detail: Option<&'a str>,
    pub failure: Option<FailureView<'a>>,
    pub wake_at: Option<String>,
}

impl<'a> EventView<'a> {
    pub fn new(event: &'a v1::Event, cursor: String) -> Self {
        Self {
            line_type: "event",
            cursor,
            at: rfc3339(event.at_ms),
            task_id: &event.task_id,
            task: event.task_number,
            attempt: (event.attempt_number != 0).then_some(event.attempt_number),
            kind: &event.kind,
            state: event.state().name(),
            worker: some(&event.worker_name),
            detail: some(&event.detail),
            failure: event.failure.as_ref().map(FailureView::from),
            wake_at: rfc3339(event.wake_at_ms),
        }
    }
}

/// A whole line of a log, one line of `watch` and `logs -o jsonl`.
#[derive(Debug, Serialize)]
pub struct LogLineView<'a> {
    #[serde(rename = "type")]
    pub line_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    pub at: Option<String>,
    pub task: u64,
    pub attempt: u32,
    /// Of the line's first record.
    pub offset: u64,
    pub stream: &'static str,
    /// Bytes that are no UTF-8 are replaced; `--raw` has them as they are.
    pub text: &'a str,
}

/// The end of one task, the last line about it in `watch -o jsonl`.
#[derive(Debug, Serialize)]
pub struct EndedView<'a> {
    #[serde(rename = "type")]
    pub line_type: &'static str,
    #[serde(flatten)]
    pub task: TaskView<'a>,
}

pub fn stream_name(stream: v1::LogStream) -> &'static str {
    match stream {
        v1::LogStream::Unspecified => "unknown",
        v1::LogStream::Stdout => "stdout",
        v1::LogStream::Stderr => "stderr",
        v1::LogStream::Setup => "setup",
        v1::LogStream::Factory => "factory",
    }
}
