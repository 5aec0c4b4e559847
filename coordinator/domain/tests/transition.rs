//! Random histories against the rules: whatever happens in whatever order,
//! the invariants hold.

use std::collections::HashMap;
use std::time::Duration;

use factory_domain::{
    AttemptId, AttemptState, Backoff, CancelReason, Contact, DependencyPolicy, Effect, Event, Failure,
    FailureReason, LONGEST_USAGE_LIMIT, MAX_USAGE_LIMITS, Outcome, ParkReason, QuestionId, RetryPolicy,
    ReturnReason, Standing, Tally, TaskId, TaskState, Timestamp, Waits, WorkerId, transition,
};
use proptest::prelude::*;
use uuid::Uuid;

fn attempt(n: u8) -> AttemptId {
    AttemptId::from_uuid(Uuid::from_u128(u128::from(n) + 1))
}

fn worker() -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(7))
}

fn failure() -> impl Strategy<Value = Failure> {
    prop::sample::select(FailureReason::ALL.to_vec())
        .prop_map(|reason| Failure { reason, message: "it broke".into() })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Succeeded),
        Just(Outcome::Cancelled),
        Just(Outcome::HandedOver),
        Just(Outcome::Asked),
        failure().prop_map(|failure| Outcome::Failed { failure }),
        any::<i64>().prop_map(limited_until),
    ]
}

/// The worker's word on the reset may be anything.
fn limited_until(millis: i64) -> Outcome {
    let failure = Failure { reason: FailureReason::UsageLimit, message: "it is used up".into() };
    Outcome::Limited { failure, until: Timestamp::from_millis(millis) }
}

fn other() -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(8))
}

fn question() -> QuestionId {
    QuestionId::from_uuid(Uuid::from_u128(9))
}

fn policy() -> impl Strategy<Value = DependencyPolicy> {
    prop::sample::select(vec![DependencyPolicy::Cancel, DependencyPolicy::Skip, DependencyPolicy::Run])
}

/// Events about four attempts, so that most are about a wrong one.
fn event() -> impl Strategy<Value = Event> {
    let id = || (0u8..4).prop_map(attempt);
    prop_oneof![
        3 => id().prop_map(|attempt| Event::Offered { attempt, worker: worker() }),
        3 => id().prop_map(|attempt| Event::Accepted { attempt }),
        1 => id().prop_map(|attempt| Event::Returned { attempt, why: ReturnReason::Lapsed }),
        3 => id().prop_map(|attempt| Event::Started { attempt }),
        2 => id().prop_map(|attempt| Event::ContactLost { attempt }),
        1 => id().prop_map(|attempt| Event::ContactRegained { attempt }),
        1 => id().prop_map(|attempt| Event::Lost { attempt }),
        2 => (id(), outcome()).prop_map(|(attempt, outcome)| Event::Ended { attempt, outcome }),
        1 => Just(Event::CancelRequested),
        2 => Just(Event::Woken),
        1 => Just(Event::Unblocked),
        1 => Just(Event::Released),
        1 => policy().prop_map(|policy| Event::DependencyFailed { task: other(), policy }),
        1 => id().prop_map(|attempt| Event::Asked { attempt, question: question() }),
        2 => Just(Event::Answered { question: question() }),
    ]
}

fn fresh(max_attempts: u32) -> Standing {
    Standing {
        state: TaskState::Queued,
        tally: Tally::default(),
        policy: RetryPolicy { max_attempts, max_infrastructure_failures: 5, backoff: Backoff::default() },
        open_questions: 0,
        waits: Waits::default(),
    }
}

/// Whether the table lets this event happen here at all, written apart from the code under test.
fn possible(state: &TaskState, waits: Waits, event: &Event, now: Timestamp) -> bool {
    let contact = state.lease().map(|lease| lease.contact);
    let about_live = event.attempt().is_some() && event.attempt() == state.lease().map(|lease| lease.attempt);
    let held = matches!(contact, Some(Contact::Held | Contact::Unreachable { .. }));
    match event {
        Event::Offered { .. } => *state == TaskState::Queued,
        Event::Accepted { .. } => {
            about_live && matches!(state, TaskState::Leased { .. }) && contact == Some(Contact::Offered)
        }
        Event::Returned { .. } => about_live && contact == Some(Contact::Offered),
        Event::Started { .. } => about_live && held && matches!(state, TaskState::Leased { .. }),
        Event::ContactLost { .. } => about_live && contact == Some(Contact::Held),
        Event::ContactRegained { .. } | Event::Lost { .. } => {
            about_live && matches!(contact, Some(Contact::Unreachable { .. }))
        }
        Event::Ended { .. } => about_live && held,
        Event::CancelRequested => !state.is_terminal() && !matches!(state, TaskState::Cancelling { .. }),
        Event::Unblocked => *state == TaskState::Blocked && !waits.held,
        Event::Released => *state == TaskState::Blocked && waits.held,
        Event::DependencyFailed { policy, .. } => {
            *state == TaskState::Blocked && *policy != DependencyPolicy::Run
        }
        Event::Asked { .. } => about_live,
        Event::Answered { .. } => !state.is_terminal(),
        Event::Woken => matches!(state, TaskState::Parked { until, .. } if *until <= now),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_rules_hold_over_any_history(
        max_attempts in 1u32..4,
        blocked in any::<bool>(),
        held in any::<bool>(),
        dependencies in 0u32..2,
        history in prop::collection::vec((event(), 0u64..400_000, 0u32..2), 1..80),
    ) {
        let mut standing = fresh(max_attempts);
        if blocked {
            standing.state = TaskState::Blocked;
            standing.waits = Waits { held, dependencies };
        }
        let mut now = Timestamp::from_millis(0);
        let mut attempts: HashMap<AttemptId, AttemptState> = HashMap::new();
        let mut results_accepted = 0;
        for (event, wait, open_questions) in history {
            standing.open_questions = open_questions;
            now = now.after(Duration::from_millis(wait));
            // The store never issues an id twice.
            if let Event::Offered { attempt, .. } = event && attempts.contains_key(&attempt) {
                continue;
            }
            let before = standing.clone();
            let decided = transition(&standing, &event, now);
            prop_assert_eq!(decided.is_ok(), possible(&before.state, before.waits, &event, now), "{:?} in {:?}", event, before.state);
            let Ok(decision) = decided else { continue };
            prop_assert!(!before.state.is_terminal(), "a terminal state moved");
            if let Some((id, state)) = decision.attempt
                && let Some(earlier) = attempts.insert(id, state) {
                    prop_assert!(earlier.is_live(), "a finished attempt moved from {earlier} to {state}");
                }
            if matches!(decision.state, TaskState::Succeeded { .. } | TaskState::Failed { .. }) {
                results_accepted += 1;
            }
            standing = Standing { state: decision.state, tally: decision.tally, ..before.clone() };
            if before.state == TaskState::Blocked && standing.state == TaskState::Queued {
                prop_assert!(decision.effects.contains(&Effect::Schedule), "nobody is told to look");
                prop_assert!(!before.waits.held || event == Event::Released, "{event:?} let a held task go");
                prop_assert!(event != Event::Released || before.waits.dependencies == 0, "it still waits");
            }
            standing.waits.held &= event != Event::Released;

            // Invariant 2: one live attempt at most, and it is the one the state names.
            let live: Vec<_> = attempts.iter().filter(|(_, state)| state.is_live()).map(|(id, _)| *id).collect();
            prop_assert_eq!(live.clone(), standing.state.lease().map(|lease| lease.attempt).into_iter().collect::<Vec<_>>());
            prop_assert!(results_accepted <= 1);
            prop_assert!(standing.tally.agent_failures <= max_attempts);
            prop_assert!(standing.tally.infrastructure_failures <= 5);
            prop_assert!(standing.tally.usage_limits <= MAX_USAGE_LIMITS);
            if standing.state != before.state
                && let TaskState::Parked { until, .. } = standing.state
            {
                prop_assert!(until >= now && until <= now.after(LONGEST_USAGE_LIMIT), "{until} from {now}");
            }
            if let Event::Ended { outcome: Outcome::Limited { .. }, .. } = event {
                let failures = |tally: Tally| (tally.agent_failures, tally.infrastructure_failures);
                prop_assert_eq!(failures(standing.tally), failures(before.tally), "a limit is no failure");
            }
        }
    }

    /// With the questions counted as the store counts them: what is asked is open until it is answered,
    /// whatever becomes of the attempt that asked.
    #[test]
    fn a_task_waits_for_open_questions_and_for_nothing_else(
        history in prop::collection::vec((event(), 0u64..400_000), 1..80),
    ) {
        let mut standing = fresh(3);
        let mut now = Timestamp::from_millis(0);
        for (event, wait) in history {
            now = now.after(Duration::from_millis(wait));
            let open = match event {
                Event::Asked { .. } => standing.open_questions + 1,
                // Nobody answers what is not open.
                Event::Answered { .. } if standing.open_questions == 0 => continue,
                Event::Answered { .. } => standing.open_questions - 1,
                _ => standing.open_questions,
            };
            let seen = Standing { open_questions: open, ..standing.clone() };
            let Ok(decision) = transition(&seen, &event, now) else { continue };
            let waited = standing.state == TaskState::Waiting;
            let waits = decision.state == TaskState::Waiting;
            prop_assert!(!waits || open > 0, "it waits for nothing after {event:?}");
            if waited {
                match event {
                    Event::Answered { .. } if open == 0 => {
                        prop_assert_eq!(&decision.state, &TaskState::Queued);
                        prop_assert!(decision.effects.contains(&Effect::Schedule), "nobody is told to look");
                    }
                    Event::Answered { .. } => prop_assert!(waits, "one answer of several"),
                    Event::CancelRequested => {
                        let because = CancelReason::Requested;
                        prop_assert_eq!(&decision.state, &TaskState::Cancelled { because });
                    }
                    ref other => prop_assert!(false, "{other:?} moved a task that waits"),
                }
            }
            if matches!(event, Event::Asked { .. }) || (!waited && matches!(event, Event::Answered { .. })) {
                prop_assert_eq!(&decision.state, &standing.state, "the agent works on");
            }
            if matches!(event, Event::Ended { outcome: Outcome::Asked, .. }) {
                prop_assert_eq!(decision.tally, standing.tally, "to ask costs no try");
            }
            standing = Standing { state: decision.state, tally: decision.tally, ..seen };
        }
    }

    #[test]
    fn every_terminal_state_is_final(event in event(), failure in failure()) {
        let now = Timestamp::from_millis(i64::MAX);
        for state in [
            TaskState::Succeeded { attempt: attempt(0) },
            TaskState::Failed { attempt: attempt(0), failure },
            TaskState::Cancelled { because: CancelReason::Requested },
        ] {
            let standing = Standing { state, ..fresh(3) };
            prop_assert!(transition(&standing, &event, now).is_err());
        }
    }
}

#[test]
fn a_declined_offer_costs_nothing() {
    let now = Timestamp::from_millis(0);
    let mut standing = fresh(1);
    for n in 0..4 {
        for event in [
            Event::Offered { attempt: attempt(n), worker: worker() },
            Event::Returned { attempt: attempt(n), why: ReturnReason::Declined { why: "disk full".into() } },
        ] {
            let decision = transition(&standing, &event, now).expect("accepted");
            standing = Standing { state: decision.state, tally: decision.tally, ..standing };
        }
    }
    assert_eq!(standing.state, TaskState::Queued);
    assert_eq!((standing.tally.agent_failures, standing.tally.infrastructure_failures), (0, 0));
}

/// Takes a task to where its agent runs, and ends that by a usage limit.
fn run_into_limit(standing: &Standing, n: u8, reset: i64, now: Timestamp) -> Standing {
    run_into(standing, n, limited_until(reset), now)
}

fn run_into(standing: &Standing, n: u8, outcome: Outcome, now: Timestamp) -> Standing {
    let id = attempt(n);
    let events = [
        Event::Offered { attempt: id, worker: worker() },
        Event::Accepted { attempt: id },
        Event::Started { attempt: id },
        Event::Ended { attempt: id, outcome },
    ];
    events.iter().fold(standing.clone(), |standing, event| follow(&standing, event, now))
}

fn follow(standing: &Standing, event: &Event, now: Timestamp) -> Standing {
    let decision = transition(standing, event, now).expect("accepted");
    Standing { state: decision.state, tally: decision.tally, ..standing.clone() }
}

#[test]
fn a_usage_limit_is_waited_out_at_no_cost() {
    let (now, reset) = (Timestamp::from_millis(1_000), Timestamp::from_millis(3_600_000));
    let parked = run_into_limit(&fresh(1), 0, reset.as_millis(), now);
    let TaskState::Parked { until, why: ParkReason::UsageLimit { failure } } = &parked.state else {
        panic!("{:?}", parked.state)
    };
    assert_eq!((*until, failure.reason), (reset, FailureReason::UsageLimit));
    assert_eq!((parked.tally.agent_failures, parked.tally.infrastructure_failures), (0, 0));
    assert!(transition(&parked, &Event::Woken, Timestamp::from_millis(3_599_999)).is_err(), "too early");
    assert_eq!(follow(&parked, &Event::Woken, reset).state, TaskState::Queued);
}

#[test]
fn a_task_handed_over_waits_for_the_next_worker_at_no_cost() {
    let mut standing = fresh(1);
    for n in 0..4 {
        standing = run_into(&standing, n, Outcome::HandedOver, Timestamp::from_millis(0));
        assert_eq!(standing.state, TaskState::Queued);
    }
    let Tally { agent_failures, infrastructure_failures, usage_limits, .. } = standing.tally;
    assert_eq!((agent_failures, infrastructure_failures, usage_limits), (0, 0, 0));
}

#[test]
fn an_agent_that_asked_waits_for_the_last_answer_and_goes_on_at_no_cost() {
    let now = Timestamp::from_millis(0);
    let answered = Event::Answered { question: question() };
    let mut standing = Standing { open_questions: 2, ..fresh(1) };
    standing = run_into(&standing, 0, Outcome::Asked, now);
    assert_eq!(standing.state, TaskState::Waiting);
    standing = follow(&Standing { open_questions: 1, ..standing }, &answered, now);
    assert_eq!(standing.state, TaskState::Waiting);
    standing = follow(&Standing { open_questions: 0, ..standing }, &answered, now);
    assert_eq!(standing.state, TaskState::Queued);
    // Answered before it had ended its turn: there is nothing to wait for.
    standing = run_into(&standing, 1, Outcome::Asked, now);
    assert_eq!(standing.state, TaskState::Queued);
    assert_eq!((standing.tally.agent_failures, standing.tally.infrastructure_failures), (0, 0));
}

#[test]
fn a_failure_after_asking_is_a_failure_and_a_wish_to_cancel_outweighs_a_question() {
    let now = Timestamp::from_millis(0);
    let asked = Standing { open_questions: 1, ..fresh(2) };
    let failure = Failure { reason: FailureReason::AgentError, message: "it broke".into() };
    let failed = run_into(&asked, 0, Outcome::Failed { failure }, now);
    assert!(matches!(failed.state, TaskState::Parked { .. }), "{:?}", failed.state);

    let id = attempt(1);
    let started = [
        Event::Offered { attempt: id, worker: worker() },
        Event::Accepted { attempt: id },
        Event::Started { attempt: id },
        Event::CancelRequested,
        Event::Ended { attempt: id, outcome: Outcome::Asked },
    ];
    let ended = started.iter().fold(asked, |standing, event| follow(&standing, event, now));
    assert_eq!(ended.state, TaskState::Cancelled { because: CancelReason::Requested });
}

#[test]
fn a_reset_that_frees_nothing_is_given_up_in_the_end() {
    let mut standing = fresh(1);
    let mut now = Timestamp::from_millis(0);
    for n in 0..20 {
        // The reset is always past already, by a clock that is wrong.
        standing = run_into_limit(&standing, n, 0, now);
        if let TaskState::Parked { until, .. } = standing.state {
            assert!(until > now, "a pause comes in between");
            now = until;
            standing = follow(&standing, &Event::Woken, now);
        }
    }
    assert!(matches!(&standing.state, TaskState::Failed { failure, .. }
        if failure.reason == FailureReason::UsageLimit));
    assert_eq!(standing.tally.usage_limits, MAX_USAGE_LIMITS);
}
