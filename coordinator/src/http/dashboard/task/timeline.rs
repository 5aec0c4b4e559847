//! What a task has come through: its events with the time between them, as a list and as a bar.

use std::sync::Arc;

use factory_domain::Timestamp;
use serde::Serialize;

use crate::app::{App, Error};
use crate::http::view::utc;
use crate::store::{FeedEvent, TaskEntry};

/// Events that are read.
const MOST: usize = 2_000;
/// Events that are listed: the newest.
const LISTED: usize = 100;
/// How wide the bar is drawn; it is stretched to its place.
const WIDTH: f64 = 1_000.0;
/// What is shorter is still seen.
const LEAST: f64 = 2.0;

#[derive(Debug, Serialize)]
pub struct Timeline {
    width: f64,
    pieces: Vec<Piece>,
    /// Newest last.
    events: Vec<Happened>,
    /// Events before those that are listed.
    left_out: usize,
}

/// A time that the task was in one state.
#[derive(Debug, Serialize)]
struct Piece {
    state: &'static str,
    x: f64,
    width: f64,
    begin: String,
    end: String,
}

#[derive(Debug, Serialize)]
struct Happened {
    at: String,
    /// Since the event before.
    after_seconds: Option<i64>,
    state: &'static str,
    /// What happened, for people.
    text: String,
    detail: Option<String>,
    attempt: Option<u32>,
    worker: Option<String>,
}

impl Timeline {
    pub async fn read(app: &Arc<App>, task: &TaskEntry) -> Result<Self, Error> {
        let mut watcher = app.watch(&[task.id.to_string()], 0, false, false).await?;
        let mut events = Vec::new();
        while events.len() < MOST
            && let Some(event) = watcher.next().await?
        {
            events.push(event);
        }
        let end = task.ended_at.unwrap_or_else(|| app.clock.now());
        Ok(Self::of(&events, end))
    }

    fn of(events: &[FeedEvent], end: Timestamp) -> Self {
        let left_out = events.len().saturating_sub(LISTED);
        let before = |index: usize| index.checked_sub(1).map(|index| &events[index]);
        let listed = events.iter().enumerate().skip(left_out);
        Self {
            width: WIDTH,
            pieces: pieces(events, end),
            events: listed.map(|(index, event)| Happened::new(event, before(index))).collect(),
            left_out,
        }
    }
}

/// The states one after the other; what follows in the same state is one piece with it.
fn pieces(events: &[FeedEvent], end: Timestamp) -> Vec<Piece> {
    let mut spans: Vec<(&'static str, i64, i64)> = Vec::new();
    for event in events {
        let (state, at) = (event.state.name(), event.at.as_millis());
        if let Some((_, _, until)) = spans.last_mut() {
            *until = at;
        }
        if spans.last().is_none_or(|(last, ..)| *last != state) {
            spans.push((state, at, at));
        }
    }
    if let Some((_, begin, until)) = spans.last_mut() {
        *until = end.as_millis().max(*begin);
    }
    if events.last().is_some_and(|event| event.state.is_terminal()) {
        // The end takes no time.
        spans.pop();
    }
    let (Some((_, first, _)), Some((_, _, last))) = (spans.first().copied(), spans.last().copied()) else {
        return Vec::new();
    };
    let room = WIDTH - LEAST * spans.len() as f64;
    let scale = room / ((last - first).max(1) as f64);
    let mut x = 0.0;
    let piece = |(state, begin, end): (&'static str, i64, i64)| {
        let width = LEAST + (end - begin) as f64 * scale;
        let left = x;
        x += width;
        let [begin, end] = [begin, end].map(|at| utc(Timestamp::from_millis(at)));
        Piece { state, x: rounded(left), width: rounded(width), begin, end }
    };
    spans.into_iter().map(piece).collect()
}

fn rounded(length: f64) -> f64 {
    (length * 100.0).round() / 100.0
}

impl Happened {
    fn new(event: &FeedEvent, before: Option<&FeedEvent>) -> Self {
        Self {
            at: utc(event.at),
            after_seconds: before.map(|before| (event.at.as_millis() - before.at.as_millis()) / 1000),
            state: event.state.name(),
            text: words(event),
            detail: event.detail.clone(),
            attempt: event.attempt_number,
            worker: event.worker_name.clone(),
        }
    }
}

fn words(event: &FeedEvent) -> String {
    let text = match (event.kind.as_str(), event.state.name()) {
        ("submitted", _) => "Submitted",
        ("offered", _) => "Offered",
        ("accepted", _) => "Accepted; the workspace is prepared",
        ("started", _) => "The agent started",
        ("returned", _) => "The offer came back",
        ("contact_lost", _) => "Nothing heard of the worker; the agent may still run",
        ("contact_regained", _) => "The worker was heard of again",
        ("cancel_requested", _) => "Someone asked for its end",
        ("asked", _) => "The agent asks",
        ("answered", _) => "Answered",
        ("woken", _) => "Its pause is over",
        ("unblocked", _) => "What it waited for is done",
        ("released", _) => "Someone let it go",
        ("dependency_failed", _) => "What it waited for did not succeed",
        ("lost", _) => "The worker is given up",
        ("ended", "parked") => "The attempt failed; it is tried again later",
        ("ended", "queued") => "The attempt was handed over; it goes on elsewhere",
        ("ended", "waiting") => "The agent ended its turn and waits for an answer",
        ("ended", "succeeded") => "Succeeded",
        ("ended", "failed") => "Failed",
        ("ended", "cancelled") => "Cancelled",
        (other, _) => return other.replace('_', " "),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use factory_domain::{CancelReason, TaskId, TaskState};

    use super::*;

    fn event(at: i64, kind: &str, state: TaskState) -> FeedEvent {
        FeedEvent {
            cursor: 1,
            at: Timestamp::from_millis(at),
            task: TaskId::from_uuid(uuid::Uuid::nil()),
            number: 1,
            attempt: None,
            attempt_number: None,
            kind: kind.to_owned(),
            state,
            worker_name: None,
            detail: None,
        }
    }

    #[test]
    fn times_in_one_state_are_one_piece_and_fill_the_bar() {
        let events = [
            event(0, "submitted", TaskState::Blocked),
            event(1_000, "unblocked", TaskState::Queued),
            event(1_500, "returned", TaskState::Queued),
            event(4_000, "cancel_requested", TaskState::Cancelled { because: CancelReason::Requested }),
        ];
        let timeline = Timeline::of(&events, Timestamp::from_millis(4_000));
        let pieces: Vec<_> =
            timeline.pieces.iter().map(|piece| (piece.state, piece.x, piece.width)).collect();
        assert_eq!(pieces, [("blocked", 0.0, 251.0), ("queued", 251.0, 749.0)]);
        let after: Vec<_> = timeline.events.iter().map(|event| event.after_seconds).collect();
        assert_eq!(after, [None, Some(1), Some(0), Some(2)]);
    }

    #[test]
    fn a_task_that_was_just_submitted_has_a_bar_too() {
        let timeline = Timeline::of(&[event(5, "submitted", TaskState::Queued)], Timestamp::from_millis(5));
        assert_eq!(timeline.pieces.len(), 1);
        assert_eq!(Timeline::of(&[], Timestamp::from_millis(5)).pieces.len(), 0);
    }

    #[test]
    fn of_many_events_the_newest_are_listed() {
        let events: Vec<_> = (0..250).map(|at| event(at, "returned", TaskState::Queued)).collect();
        let timeline = Timeline::of(&events, Timestamp::from_millis(250));
        assert_eq!((timeline.events.len(), timeline.left_out), (LISTED, 150));
    }
}
