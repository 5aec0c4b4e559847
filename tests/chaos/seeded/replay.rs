//! The event feed, played again through the domain's own rules.

use std::collections::{BTreeMap, BTreeSet};

use factory_domain::{
    AttemptId, Event, Failure, FailureReason, Outcome, RetryPolicy, ReturnReason, Standing, Tally, TaskState,
    Timestamp, Waits, WorkerId, transition,
};
use factory_proto::v1;
use uuid::Uuid;

/// What an event feed says of itself.
#[derive(Default)]
pub struct Replay {
    /// Events that cannot have happened as told, a sentence each.
    pub inconsistent: Vec<String>,
    /// Tasks that ended more than once, or attempts whose end was taken twice.
    pub ended_twice: Vec<String>,
    /// Tasks with two live attempts at some time.
    pub live_twice: Vec<String>,
}

/// A task as the feed has told it so far.
struct Story {
    standing: Standing,
    live: BTreeSet<String>,
    ended: BTreeSet<String>,
    task_ends: u32,
}

/// `policy` gives each task's own, by its id.
pub fn replay(events: &[v1::Event], policy: impl Fn(&str) -> RetryPolicy) -> Replay {
    let mut found = Replay::default();
    let mut stories: BTreeMap<&str, Story> = BTreeMap::new();
    let mut cursor = 0;
    for event in events {
        if event.cursor <= cursor {
            found.inconsistent.push(format!("cursor {} comes after {cursor}", event.cursor));
        }
        cursor = event.cursor;
        if event.kind == "submitted" {
            let standing = Standing {
                state: TaskState::Queued,
                tally: Tally::default(),
                policy: policy(&event.task_id),
                open_questions: 0,
                waits: Waits::default(),
            };
            let story = Story { standing, live: BTreeSet::new(), ended: BTreeSet::new(), task_ends: 0 };
            if stories.insert(&event.task_id, story).is_some() {
                found.inconsistent.push(format!("task {} was submitted twice", event.task_number));
            }
            continue;
        }
        let Some(story) = stories.get_mut(event.task_id.as_str()) else {
            found.inconsistent.push(format!("task {} was never submitted", event.task_number));
            continue;
        };
        story.count(event, &mut found);
        if let Err(why) = story.play(event) {
            let v1::Event { cursor, task_number, attempt_number, kind, .. } = event;
            found.inconsistent.push(format!("{cursor}: #{task_number}.{attempt_number} {kind}: {why}"));
        }
    }
    found
}

impl Story {
    /// By the feed's words alone, without the domain's.
    fn count(&mut self, event: &v1::Event, found: &mut Replay) {
        let attempt = &event.attempt_id;
        match event.kind.as_str() {
            "offered" => {
                self.live.insert(attempt.clone());
            }
            "returned" | "lost" => {
                self.live.remove(attempt);
            }
            "ended" => {
                self.live.remove(attempt);
                if !self.ended.insert(attempt.clone()) {
                    found.ended_twice.push(format!("attempt {attempt} of task {}", event.task_number));
                }
            }
            _ => {}
        }
        if self.live.len() > 1 {
            found.live_twice.push(format!("task {}: {:?}", event.task_number, self.live));
        }
        if event.state().is_terminal() {
            self.task_ends += 1;
            if self.task_ends > 1 {
                found.ended_twice.push(format!("task {}", event.task_number));
            }
        }
    }

    fn play(&mut self, event: &v1::Event) -> Result<(), String> {
        let told = read(event)?;
        let decision = transition(&self.standing, &told, Timestamp::from_millis(event.at_ms))
            .map_err(|rejected| rejected.to_string())?;
        let (state, expected) = (decision.state.name(), event.state().name());
        if state != expected {
            return Err(format!("leads to {state}, but the feed says {expected}"));
        }
        if let TaskState::Parked { until, .. } = &decision.state
            && until.as_millis() != event.wake_at_ms
        {
            return Err(format!("wakes at {}, but the feed says {}", until.as_millis(), event.wake_at_ms));
        }
        self.standing.state = decision.state;
        self.standing.tally = decision.tally;
        if event.kind == "offered" && self.standing.tally.attempts != event.attempt_number {
            return Err(format!("is attempt {} by count", self.standing.tally.attempts));
        }
        Ok(())
    }
}

fn read(event: &v1::Event) -> Result<Event, String> {
    let attempt = || event.attempt_id.parse::<AttemptId>().map_err(|error| error.to_string());
    Ok(match event.kind.as_str() {
        // The feed names workers for people; which one it was is no matter to the rules.
        "offered" => Event::Offered { attempt: attempt()?, worker: WorkerId::from_uuid(Uuid::nil()) },
        "accepted" => Event::Accepted { attempt: attempt()? },
        "returned" => Event::Returned { attempt: attempt()?, why: ReturnReason::Lapsed },
        "started" => Event::Started { attempt: attempt()? },
        "contact_lost" => Event::ContactLost { attempt: attempt()? },
        "contact_regained" => Event::ContactRegained { attempt: attempt()? },
        "lost" => Event::Lost { attempt: attempt()? },
        "ended" => Event::Ended { attempt: attempt()?, outcome: outcome(event)? },
        "cancel_requested" => Event::CancelRequested,
        "woken" => Event::Woken,
        other => return Err(format!("`{other}` is no event")),
    })
}

fn outcome(event: &v1::Event) -> Result<Outcome, String> {
    use v1::TaskState::{Cancelled, Parked, Queued, Succeeded};
    let Some(failure) = event.failure.clone() else {
        return match event.state() {
            Succeeded => Ok(Outcome::Succeeded),
            Cancelled => Ok(Outcome::Cancelled),
            Queued => Ok(Outcome::HandedOver),
            state => Err(format!("ended as {} without a failure", state.name())),
        };
    };
    let failure: Failure = failure.try_into().map_err(|error| format!("its failure: {error}"))?;
    Ok(match event.state() {
        Succeeded => Outcome::Succeeded,
        Parked if failure.reason == FailureReason::UsageLimit => {
            Outcome::Limited { failure, until: Timestamp::from_millis(event.wake_at_ms) }
        }
        _ => Outcome::Failed { failure },
    })
}
