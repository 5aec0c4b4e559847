//! The protocol as a model: what stands, and what each verb answers; `rules` says why.
//!
//! Written from the rules of leasing, and not with `factory_domain::transition`,
//! which is held to account here as well. Tasks and attempts are told by their place
//! in the order in which they came to be.

use std::fmt;
use std::time::Duration;

use factory_coordinator::store::Holding;
use factory_domain::{AgentKind, AttemptState, Conversation, FailureReason, Settled, Tally, Timestamp};

use super::steps::{End, Named, Step, Wish};

pub const OFFER: Duration = Duration::from_secs(10);
pub const LEASE: Duration = Duration::from_secs(60);
pub const LOST_AFTER: Duration = Duration::from_secs(300);
/// The pause after a first failure, and the longest.
pub const BACKOFF: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(12));
pub const MAX_INFRASTRUCTURE_FAILURES: u32 = 3;
/// What each worker offers.
pub const FLEET: [&[AgentKind]; 2] = [&[AgentKind::Scripted, AgentKind::Command], &[AgentKind::Scripted]];

#[derive(Clone)]
pub struct Model {
    pub now: Timestamp,
    pub tasks: Vec<Task>,
    pub attempts: Vec<Attempt>,
    pub workers: [Worker; FLEET.len()],
    pub feed: Vec<Fact>,
    /// Each message's key, by its place on the board.
    pub board: Vec<Option<u8>>,
    /// In the order in which they were asked.
    pub questions: Vec<Asked>,
    /// To the last step.
    pub answer: Answer,
}

#[derive(Debug, Clone)]
pub struct Task {
    pub wish: Wish,
    pub stands: Stands,
    pub tally: Tally,
    pub ended_at: Option<Timestamp>,
    /// What its agent is to be told, and has not been.
    pub untold: Vec<Untold>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untold {
    /// By its number.
    Message(u64),
    /// To a question, by its place.
    Answer(usize),
}

#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub task: usize,
    pub attempt: usize,
    pub key: u8,
    pub deadline: Option<Timestamp>,
    pub open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// Waits for others.
    Blocked,
    Queued,
    /// An attempt is live.
    Given {
        attempt: usize,
        /// Someone asked for the task's end.
        unwanted: bool,
    },
    Parked {
        until: Timestamp,
        after: FailureReason,
    },
    /// For answers.
    Waiting,
    Succeeded,
    Failed(FailureReason),
    Cancelled(Why),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Requested,
    /// This one did not succeed.
    Failed(usize),
    /// Likewise, and what waits for it goes on.
    Skipped(usize),
}

#[derive(Debug, Clone)]
pub struct Attempt {
    pub task: usize,
    pub worker: usize,
    /// Within its task.
    pub number: u32,
    pub state: AttemptState,
    /// When something happens to it, if nothing else does before.
    pub deadline: Timestamp,
    pub offered_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// That was accepted: its digest, and what it says.
    pub report: Option<(u8, End)>,
    /// The attempt that this one goes on from, and whether with its conversation.
    pub continues: Option<(usize, Conversation)>,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Worker {
    /// Processes of it that registered so far; the last one is heard.
    pub sessions: u64,
    pub last_seen: Timestamp,
    pub draining_since: Option<Timestamp>,
}

/// A line of the feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fact {
    pub task: usize,
    pub attempt: Option<usize>,
    pub kind: &'static str,
    /// The task's state from then on.
    pub state: &'static str,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Whether there was one to do it to.
    Found(bool),
    /// The tasks, and whether each was there before.
    Submitted(Vec<(usize, bool)>),
    KeyReused {
        index: usize,
        /// `None`: in this very call, of which nothing came to be.
        existing: Option<usize>,
    },
    /// In the order in which the tasks came.
    Claimed(Vec<Offer>),
    /// By the name of the state the task is in then.
    Moved(&'static str),
    Refused(Refused),
    Verdicts(Vec<(usize, Holding)>),
    Reported(Heard),
    Due(usize),
    /// The message's number.
    Said(u64),
    /// The question's place.
    Asked(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub named: Named,
    pub number: u32,
    pub continues: Option<(usize, Conversation)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    Ended,
    Superseded,
    OutOfPlace,
    Cancelling,
    /// A question that is not open any more.
    Settled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    Accepted,
    Duplicate,
    Superseded,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} task(s), {} attempt(s)", self.tasks.len(), self.attempts.len())
    }
}

impl Model {
    pub fn at(now: Timestamp) -> Self {
        Self {
            now,
            tasks: Vec::new(),
            attempts: Vec::new(),
            workers: [Worker::default(); FLEET.len()],
            feed: Vec::new(),
            board: Vec::new(),
            questions: Vec::new(),
            answer: Answer::Done,
        }
    }

    pub fn take(&mut self, step: &Step) {
        let facts = self.feed.len();
        self.answer = match step {
            Step::Submit(wishes) => self.submit(wishes),
            Step::Register { worker } => self.register(*worker),
            Step::Claim { worker, stale, slots, except } => self.claim(*worker, *stale, *slots, *except),
            Step::Accept(named) => self.accept(*named),
            Step::Decline(named) => self.decline(*named),
            Step::Started(named) => self.started(*named),
            Step::Heartbeat { worker, stale, held } => self.heartbeat(*worker, *stale, held),
            Step::Report { worker, named, digest, end } => self.report(*worker, *named, *digest, *end),
            Step::Cancel { task } => self.cancel(*task),
            Step::Wait(span) => {
                self.now = self.now.after(*span);
                Answer::Done
            }
            Step::ApplyDue => self.apply_due(),
            Step::Lapse(span) => {
                self.now = self.now.after(*span);
                self.apply_due()
            }
            Step::Restart => self.restart(),
            Step::Drain { worker } => self.set_drain(*worker, true),
            Step::Resume { worker } => self.set_drain(*worker, false),
            Step::Ask { worker, named, key, within } => self.ask(*worker, *named, *key, *within),
            Step::Answer { question, .. } => self.answer_question(*question),
            Step::Say { to, key } => self.say(*to, *key),
            Step::Told { task } => {
                self.tasks[*task].untold.clear();
                Answer::Done
            }
        };
        self.settle();
        // Tasks that move in one step do so at once: their order says nothing.
        self.feed[facts..].sort_by_key(|fact| fact.task);
    }

    pub fn hold(&mut self, attempt: usize, state: AttemptState) {
        let now = self.now;
        let attempt = &mut self.attempts[attempt];
        (attempt.state, attempt.deadline) = (state, now.after(LEASE));
        if state == AttemptState::Running {
            attempt.started_at.get_or_insert(now);
        }
    }

    pub fn end_attempt(&mut self, attempt: usize, state: AttemptState) {
        self.attempts[attempt].state = state;
        self.attempts[attempt].ended_at = Some(self.now);
    }

    pub fn stand(&mut self, task: usize, stands: Stands) {
        let over = matches!(stands, Stands::Succeeded | Stands::Failed(_) | Stands::Cancelled(_));
        self.tasks[task].stands = stands;
        self.tasks[task].ended_at = over.then_some(self.now);
        if over {
            self.withdraw_questions(task);
        }
    }

    pub fn moved(&mut self, named: Named, kind: &'static str) -> Answer {
        self.tell(named.task, Some(named.attempt), kind);
        Answer::Moved(self.state(named.task))
    }

    pub fn tell(&mut self, task: usize, attempt: Option<usize>, kind: &'static str) {
        let state = self.state(task);
        self.feed.push(Fact { task, attempt, kind, state, at: self.now });
    }

    /// The name of the state a task is in.
    pub fn state(&self, task: usize) -> &'static str {
        match self.tasks[task].stands {
            Stands::Blocked => "blocked",
            Stands::Queued => "queued",
            Stands::Given { unwanted: true, .. } => "cancelling",
            Stands::Given { attempt, .. } if self.attempts[attempt].started_at.is_some() => "running",
            Stands::Given { .. } => "leased",
            Stands::Parked { .. } => "parked",
            Stands::Waiting => "waiting",
            Stands::Succeeded => "succeeded",
            Stands::Failed(_) => "failed",
            Stands::Cancelled(_) => "cancelled",
        }
    }

    /// How a task ended for those that wait for it.
    pub fn settled(&self, task: usize) -> Option<Settled> {
        match self.tasks[task].stands {
            Stands::Succeeded => Some(Settled::Succeeded),
            Stands::Cancelled(Why::Skipped(_)) => Some(Settled::Skipped),
            Stands::Failed(_) | Stands::Cancelled(_) => Some(Settled::Failed),
            _ => None,
        }
    }

    /// When [`Step::ApplyDue`] next has something to do.
    pub fn next_due(&self) -> Option<Timestamp> {
        let due = |task: &Task| match task.stands {
            Stands::Given { attempt, .. } => Some(self.attempts[attempt].deadline),
            Stands::Parked { until, .. } => Some(until),
            _ => None,
        };
        let asked = self.deadlines().map(|(deadline, _)| deadline);
        self.tasks.iter().filter_map(due).chain(asked).min()
    }
}
