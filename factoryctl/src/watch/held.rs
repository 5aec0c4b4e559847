//! Events in their order, of which the end of an attempt waits for its log.

use std::collections::VecDeque;
use std::time::Duration;

use factory_proto::v1;
use tokio::time::Instant;

use crate::watch::cursor::LogPlace;

/// How long an end waits for the rest of the log: it travels on another road
/// than the report, and may be late, or never come from a worker that died.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Default)]
pub struct HeldEvents {
    queue: VecDeque<v1::Event>,
    /// About the event at the front, when it is the end of an attempt.
    wait: Option<Wait>,
}

#[derive(Debug)]
struct Wait {
    records: u64,
    deadline: Instant,
    given_up: bool,
}

impl HeldEvents {
    pub fn push(&mut self, event: v1::Event) {
        self.queue.push_back(event);
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn front(&self) -> Option<&v1::Event> {
        self.queue.front()
    }

    /// Whether the length of the log must be known before the front can be judged.
    pub fn needs_length(&self) -> bool {
        self.wait.is_none() && self.queue.front().is_some_and(ends_an_attempt)
    }

    pub fn set_length(&mut self, records: u64) {
        self.wait = Some(Wait { records, deadline: Instant::now() + PATIENCE, given_up: false });
    }

    /// When to stop waiting for the log, where something waits for it.
    pub fn deadline(&self) -> Option<Instant> {
        self.wait.as_ref().filter(|wait| !wait.given_up).map(|wait| wait.deadline)
    }

    pub fn give_up_waiting(&mut self) {
        if let Some(wait) = &mut self.wait {
            wait.given_up = true;
        }
    }

    /// The front, unless it waits for more of the log than `shown`.
    pub fn pop_ready(&mut self, shown: LogPlace, log_ended: bool) -> Option<v1::Event> {
        let event = self.queue.front()?;
        if let Some(wait) = &self.wait {
            let all = LogPlace { attempt: event.attempt_number, offset: wait.records };
            if shown < all && wait.records > 0 && !log_ended && !wait.given_up {
                return None;
            }
        }
        self.wait = None;
        self.queue.pop_front()
    }
}

fn ends_an_attempt(event: &v1::Event) -> bool {
    event.kind == "ended"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, attempt: u32) -> v1::Event {
        v1::Event { kind: kind.into(), attempt_number: attempt, ..v1::Event::default() }
    }

    fn place(attempt: u32, offset: u64) -> LogPlace {
        LogPlace { attempt, offset }
    }

    #[tokio::test]
    async fn an_end_waits_for_its_log_and_what_follows_waits_behind_it() {
        let mut held = HeldEvents::default();
        held.push(event("started", 1));
        held.push(event("ended", 1));
        held.push(event("offered", 2));
        assert_eq!(held.pop_ready(place(0, 0), false).expect("free").kind, "started");
        assert!(held.needs_length());
        held.set_length(5);
        assert_eq!(held.pop_ready(place(1, 4), false), None);
        assert_eq!(held.pop_ready(place(1, 5), false).expect("all shown").kind, "ended");
        assert_eq!(held.pop_ready(place(1, 5), false).expect("free").kind, "offered");
    }

    #[tokio::test]
    async fn it_does_not_wait_for_what_will_not_come() {
        for (shown, ended, given_up, records) in [
            (place(0, 0), true, false, 5),
            (place(0, 0), false, true, 5),
            (place(2, 0), false, false, 5),
            (place(0, 0), false, false, 0),
        ] {
            let mut held = HeldEvents::default();
            held.push(event("ended", 1));
            held.set_length(records);
            if given_up {
                held.give_up_waiting();
            }
            assert!(held.pop_ready(shown, ended).is_some());
            assert_eq!(held.deadline(), None);
        }
    }
}
