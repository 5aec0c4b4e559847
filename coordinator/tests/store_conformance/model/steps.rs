//! What can be done to the store, and how likely each is.

use std::fmt;
use std::time::Duration;

use factory_domain::{AgentKind, AttemptState, DependencyPolicy, FailureReason};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::Union;

use super::protocol::{FLEET, LEASE, LOST_AFTER, Model};

/// Enough that tasks get in each other's way, few enough to read.
const MAX_TASKS: usize = 6;

#[derive(Clone)]
pub enum Step {
    Submit(Vec<Wish>),
    /// A new process of the worker says hello.
    Register {
        worker: usize,
    },
    Claim {
        worker: usize,
        /// Asked by a process before the newest.
        stale: bool,
        slots: usize,
        except: Option<usize>,
    },
    Accept(Named),
    Decline(Named),
    Started(Named),
    Heartbeat {
        worker: usize,
        stale: bool,
        /// And whether it says that the agent was started.
        held: Vec<(Named, bool)>,
    },
    Report {
        worker: usize,
        named: Named,
        digest: u8,
        end: End,
    },
    Cancel {
        task: usize,
    },
    Wait(Duration),
    ApplyDue,
    /// Time passes, and nobody is late in applying what is due.
    Lapse(Duration),
    /// The coordinator's process ends, and another opens the same files.
    Restart,
    Drain {
        worker: usize,
    },
    Resume {
        worker: usize,
    },
    /// The agent of an attempt asks a person.
    Ask {
        worker: usize,
        named: Named,
        key: u8,
        /// After so long nobody is waited for.
        within: Option<Duration>,
    },
    /// Somebody answers a question of this task's.
    Answer {
        task: usize,
        question: usize,
    },
    /// Somebody says something on the board, to one task or to all.
    Say {
        to: Option<usize>,
        key: Option<u8>,
    },
    /// The agent of a task has been told all that there was.
    Told {
        task: usize,
    },
}

#[derive(Clone, PartialEq, Eq)]
pub struct Wish {
    pub key: Option<u8>,
    pub agent: AgentKind,
    pub priority: i32,
    pub max_attempts: u32,
    /// For itself alone; two overlap where they are the same.
    pub files: &'static [&'static str],
    /// Tasks that were there before, each once.
    pub after: Vec<usize>,
    pub policy: DependencyPolicy,
}

impl Wish {
    /// What a key stands for; how the task stands to others is not part of it.
    pub fn is_same_spec(&self, other: &Self) -> bool {
        let spec = |wish: &Self| (wish.agent, wish.priority, wish.max_attempts, wish.files);
        spec(self) == spec(other)
    }
}

/// As a worker names it; the attempt may be another task's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Named {
    pub task: usize,
    pub attempt: usize,
}

/// How a worker says that an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Succeeded,
    Failed(FailureReason),
    Limited { resets_in: Duration },
    Cancelled,
    HandedOver,
    Asked,
}

/// A line each, so that a history that fails can be read.
impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submit(wishes) => write!(f, "submit {wishes:?}"),
            Self::Register { worker } => write!(f, "worker {worker} registers a new session"),
            Self::Claim { worker, stale, slots, except } => {
                write!(f, "worker {worker} claims {slots} (except {except:?}, by an old session: {stale})")
            }
            Self::Accept(named) => write!(f, "accept {named:?}"),
            Self::Decline(named) => write!(f, "decline {named:?}"),
            Self::Started(named) => write!(f, "started {named:?}"),
            Self::Heartbeat { worker, stale, held } => {
                write!(f, "worker {worker} holds (attempt, started) {held:?} (by an old session: {stale})")
            }
            Self::Report { worker, named, digest, end } => {
                write!(f, "worker {worker} reports {named:?}: {end:?} (digest {digest})")
            }
            Self::Cancel { task } => write!(f, "cancel task {task}"),
            Self::Wait(span) => write!(f, "{span:?} pass"),
            Self::ApplyDue => write!(f, "apply what is due"),
            Self::Lapse(span) => write!(f, "{span:?} pass, and what is due is applied"),
            Self::Restart => write!(f, "the coordinator restarts"),
            Self::Drain { worker } => write!(f, "drain worker {worker}"),
            Self::Resume { worker } => write!(f, "resume worker {worker}"),
            Self::Ask { worker, named, key, within } => {
                write!(f, "worker {worker} asks for {named:?} (key {key}, within {within:?})")
            }
            Self::Answer { task, question } => write!(f, "answer question {question} of task {task}"),
            Self::Say { to, key } => write!(f, "say something to {to:?} (key {key:?})"),
            Self::Told { task } => write!(f, "the agent of task {task} has been told"),
        }
    }
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, agent, priority, max_attempts, files, after, policy } = self;
        write!(
            f,
            "{agent} (key {key:?}, priority {priority}, {max_attempts} tries, files {files:?}, after {after:?}, or {policy:?})"
        )
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {} of task {}", self.attempt, self.task)
    }
}

/// What may come next, the likelier what leads further.
pub fn next(model: &Model) -> BoxedStrategy<Step> {
    let (worker, stale) = (0..FLEET.len(), prop::bool::weighted(0.1));
    let mut steps = vec![
        (2, worker.clone().prop_map(|worker| Step::Register { worker }).boxed()),
        (1, worker.clone().prop_map(|worker| Step::Drain { worker }).boxed()),
        (1, worker.clone().prop_map(|worker| Step::Resume { worker }).boxed()),
        (2, select(spans(model)).prop_map(Step::Wait).boxed()),
        (2, Just(Step::ApplyDue).boxed()),
        (6, select(spans(model)).prop_map(Step::Lapse).boxed()),
        (2, Just(Step::Restart).boxed()),
    ];
    if model.tasks.len() < MAX_TASKS {
        let most = (MAX_TASKS - model.tasks.len()).min(3);
        steps.push((4, vec(wish(model.tasks.len()), 1..=most).prop_map(Step::Submit).boxed()));
    }
    if !model.tasks.is_empty() {
        let task = 0..model.tasks.len();
        steps.push((1, task.clone().prop_map(|task| Step::Cancel { task }).boxed()));
        let say = (option::weighted(0.6, task.clone()), option::weighted(0.3, 0u8..3));
        steps.push((3, say.prop_map(|(to, key)| Step::Say { to, key }).boxed()));
        steps.push((2, task.clone().prop_map(|task| Step::Told { task }).boxed()));
        let claim = (worker.clone(), stale, 0usize..3, option::weighted(0.1, task));
        let claim =
            claim.prop_map(|(worker, stale, slots, except)| Step::Claim { worker, stale, slots, except });
        steps.push((8, claim.boxed()));
    }
    if !model.attempts.is_empty() {
        steps.push((2, named(model, AttemptState::Offered).prop_map(Step::Decline).boxed()));
        steps.push((8, named(model, AttemptState::Offered).prop_map(Step::Accept).boxed()));
        steps.push((6, named(model, AttemptState::Accepted).prop_map(Step::Started).boxed()));
        steps.push((8, report(model).boxed()));
        steps.push((4, ask(model).boxed()));
        let heartbeat = (worker, stale, held(model));
        let heartbeat = heartbeat.prop_map(|(worker, stale, held)| Step::Heartbeat { worker, stale, held });
        steps.push((6, heartbeat.boxed()));
    }
    if !model.questions.is_empty() {
        let tasks: Vec<usize> = model.questions.iter().map(|asked| asked.task).collect();
        let answer =
            (0..tasks.len()).prop_map(move |question| Step::Answer { task: tasks[question], question });
        steps.push((4, answer.boxed()));
    }
    Union::new_weighted(steps).boxed()
}

/// Whether a step still makes sense where steps before it were left out.
pub fn is_possible(model: &Model, step: &Step) -> bool {
    let known = |named: &Named| named.task < model.tasks.len() && named.attempt < model.attempts.len();
    match step {
        Step::Submit(wishes) => {
            let known = |wish: &Wish| wish.after.iter().all(|task| *task < model.tasks.len());
            model.tasks.len() + wishes.len() <= MAX_TASKS && wishes.iter().all(known)
        }
        Step::Claim { except, .. } => except.is_none_or(|task| task < model.tasks.len()),
        Step::Accept(named) | Step::Decline(named) | Step::Started(named) => known(named),
        Step::Heartbeat { held, .. } => held.iter().all(|(named, _)| known(named)),
        Step::Report { named, .. } | Step::Ask { named, .. } => known(named),
        Step::Answer { task, question } => model.questions.get(*question).is_some_and(|it| it.task == *task),
        Step::Cancel { task } | Step::Told { task } => *task < model.tasks.len(),
        Step::Say { to, .. } => to.is_none_or(|task| task < model.tasks.len()),
        _ => true,
    }
}

fn wish(tasks: usize) -> impl Strategy<Value = Wish> + use<> {
    let agent = select(vec![AgentKind::Scripted, AgentKind::Scripted, AgentKind::Command]);
    let files: Vec<&[&str]> = vec![&[], &[], &["a"], &["b"], &["a", "b"]];
    let all: Vec<usize> = (0..tasks).collect();
    let after = prop_oneof![2 => Just(Vec::new()), 3 => subsequence(all, 0..=tasks.min(3)).prop_shuffle()];
    let policy = select(vec![DependencyPolicy::Cancel, DependencyPolicy::Skip, DependencyPolicy::Run]);
    (option::weighted(0.4, 0u8..2), agent, 0..2, 1u32..3, select(files), after, policy).prop_map(
        |(key, agent, priority, max_attempts, files, after, policy)| Wish {
            key,
            agent,
            priority,
            max_attempts,
            files,
            after,
            policy,
        },
    )
}

/// Up to the next moment at which something is due, to just before it, or for one of the terms.
fn spans(model: &Model) -> Vec<Duration> {
    let moment = Duration::from_millis(1);
    let mut spans = vec![moment, Duration::from_secs(5), LEASE, LOST_AFTER];
    if let Some(due) = model.next_due().map(|due| due.since(model.now)).filter(|due| *due > moment) {
        spans.extend([due, due, due, due - moment]);
    }
    spans
}

/// An attempt, likely one in this state; now and then under a task that is not its own.
fn named(model: &Model, likely: AttemptState) -> impl Strategy<Value = Named> + use<> {
    let all = |wanted: &dyn Fn(AttemptState) -> bool| -> Vec<Named> {
        let numbered = model.attempts.iter().enumerate();
        numbered
            .filter(|(_, it)| wanted(it.state))
            .map(|(attempt, it)| Named { attempt, task: it.task })
            .collect()
    };
    let choices = [(8, all(&|state| state == likely)), (3, all(&AttemptState::is_live)), (1, all(&|_| true))];
    let choices = choices.into_iter().filter(|(_, attempts)| !attempts.is_empty());
    let right = Union::new_weighted(choices.map(|(weight, attempts)| (weight, select(attempts))).collect());
    let elsewhere = option::weighted(0.05, 0..model.tasks.len());
    (right, elsewhere).prop_map(|(named, task)| Named { task: task.unwrap_or(named.task), ..named })
}

fn held(model: &Model) -> impl Strategy<Value = Vec<(Named, bool)>> + use<> {
    let attempts: Vec<usize> = (0..model.attempts.len()).collect();
    let tasks: Vec<usize> = model.attempts.iter().map(|attempt| attempt.task).collect();
    let most = attempts.len();
    let crossed = prop::bool::weighted(0.05);
    (subsequence(attempts, 0..=most), any::<bool>(), crossed).prop_map(move |(named, started, crossed)| {
        let task = |attempt: usize| if crossed { tasks[0] } else { tasks[attempt] };
        named.into_iter().map(|attempt| (Named { task: task(attempt), attempt }, started)).collect()
    })
}

fn report(model: &Model) -> impl Strategy<Value = Step> + use<> {
    let end = prop_oneof![
        3 => Just(End::Succeeded),
        3 => Just(End::Failed(FailureReason::AgentError)),
        2 => Just(End::Failed(FailureReason::WorkerError)),
        1 => Just(End::Failed(FailureReason::AuthFailed)),
        2 => (0u64..20).prop_map(|seconds| End::Limited { resets_in: Duration::from_secs(seconds) }),
        1 => Just(End::Cancelled),
        2 => Just(End::HandedOver),
        4 => Just(End::Asked),
    ];
    let holders: Vec<usize> = model.attempts.iter().map(|attempt| attempt.worker).collect();
    let other = option::weighted(0.1, 0..FLEET.len());
    (named(model, AttemptState::Running), other, 0u8..2, end).prop_map(move |(named, other, digest, end)| {
        Step::Report { worker: other.unwrap_or(holders[named.attempt]), named, digest, end }
    })
}

fn ask(model: &Model) -> impl Strategy<Value = Step> + use<> {
    let holders: Vec<usize> = model.attempts.iter().map(|attempt| attempt.worker).collect();
    let other = option::weighted(0.1, 0..FLEET.len());
    let within = option::weighted(0.4, select(vec![Duration::from_secs(5), LEASE]));
    (named(model, AttemptState::Running), other, 0u8..3, within).prop_map(
        move |(named, other, key, within)| Step::Ask {
            worker: other.unwrap_or(holders[named.attempt]),
            named,
            key,
            within,
        },
    )
}
