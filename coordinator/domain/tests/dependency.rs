//! Graphs that nobody thought of: nothing starts before what it waits for, and everything ends.

use factory_domain::dependency::{circle, verdict};
use factory_domain::{
    AttemptId, Backoff, Contact, Dependency, DependencyPolicy, Event, Failure, FailureReason, Lease, Outcome,
    RetryPolicy, Settled, Standing, Tally, TaskId, TaskState, Timestamp, Waits, WorkerId, transition,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use uuid::Uuid;

const NOW: Timestamp = Timestamp::from_millis(0);

#[derive(Debug, Clone)]
struct Plan {
    /// Of tasks before it.
    after: Vec<usize>,
    policy: DependencyPolicy,
    succeeds: bool,
}

fn plan(before: usize) -> impl Strategy<Value = Plan> {
    let policy = select(vec![DependencyPolicy::Cancel, DependencyPolicy::Skip, DependencyPolicy::Run]);
    let all: Vec<usize> = (0..before).collect();
    (subsequence(all, 0..=before.min(3)), policy, prop::bool::weighted(0.7))
        .prop_map(|(after, policy, succeeds)| Plan { after, policy, succeeds })
}

fn graph() -> impl Strategy<Value = Vec<Plan>> {
    (1usize..12).prop_flat_map(|tasks| (0..tasks).map(plan).collect::<Vec<_>>())
}

fn task_id(task: usize) -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(task as u128))
}

struct World {
    plans: Vec<Plan>,
    states: Vec<TaskState>,
}

impl World {
    fn apply(&mut self, task: usize, event: &Event) {
        let backoff = Backoff::default();
        let policy = RetryPolicy { max_attempts: 1, max_infrastructure_failures: 1, backoff };
        let state = self.states[task].clone();
        let standing =
            Standing { state, tally: Tally::default(), policy, open_questions: 0, waits: Waits::default() };
        self.states[task] = transition(&standing, event, NOW).expect("the event fits").state;
    }

    /// What the store does in the transaction in which something ended.
    fn settle(&mut self) {
        while let Some((task, event)) = (0..self.plans.len()).find_map(|task| {
            let blocked = self.states[task] == TaskState::Blocked;
            blocked.then(|| self.verdict(task)).flatten().map(|event| (task, event))
        }) {
            self.apply(task, &event);
        }
    }

    fn verdict(&self, task: usize) -> Option<Event> {
        let Plan { after, policy, .. } = &self.plans[task];
        let settled = |&needed: &usize| Dependency {
            task: task_id(needed),
            settled: Settled::of(&self.states[needed]),
        };
        verdict(*policy, &after.iter().map(settled).collect::<Vec<_>>())
    }

    fn run(&mut self, task: usize) {
        let attempt = AttemptId::from_uuid(Uuid::from_u128(task as u128));
        let worker = WorkerId::from_uuid(Uuid::from_u128(1));
        self.states[task] = TaskState::Running { lease: Lease { attempt, worker, contact: Contact::Held } };
        let failure = Failure { reason: FailureReason::AgentError, message: "it broke".into() };
        let outcome = match self.plans[task].succeeds {
            true => Outcome::Succeeded,
            false => Outcome::Failed { failure },
        };
        self.apply(task, &Event::Ended { attempt, outcome });
    }
}

proptest! {
    #[test]
    fn nothing_starts_before_what_it_waits_for_and_everything_ends(
        plans in graph(),
        order in vec(any::<Index>(), 12),
    ) {
        let states = plans.iter().map(|plan| match plan.after.is_empty() {
            true => TaskState::Queued,
            false => TaskState::Blocked,
        });
        let mut world = World { states: states.collect(), plans };
        let mut ran = Vec::new();
        for next in order {
            world.settle();
            let queued: Vec<usize> =
                (0..world.plans.len()).filter(|&task| world.states[task] == TaskState::Queued).collect();
            if queued.is_empty() {
                break;
            }
            let task = *next.get(&queued);
            for needed in &world.plans[task].after {
                let settled = Settled::of(&world.states[*needed]);
                prop_assert!(settled.is_some(), "{task} starts before {needed}");
                let goes_without = world.plans[task].policy == DependencyPolicy::Run;
                prop_assert!(settled != Some(Settled::Failed) || goes_without, "{task} runs without {needed}");
            }
            ran.push(task);
            world.run(task);
        }
        world.settle();
        for (task, state) in world.states.iter().enumerate() {
            prop_assert!(state.is_terminal(), "{task} is {}", state.name());
            let failed_before = |needed: &usize| Settled::of(&world.states[*needed]) == Some(Settled::Failed);
            let held_back = world.plans[task].policy != DependencyPolicy::Run
                && world.plans[task].after.iter().any(failed_before);
            prop_assert_eq!(ran.contains(&task), !held_back, "{} ran", task);
        }
    }

    #[test]
    fn a_circle_is_found_where_there_is_one(edges in vec((0usize..8, 0usize..8), 0..14)) {
        let mut next = vec![Vec::new(); 8];
        for (from, to) in edges {
            next[from].push(to);
        }
        // What leads to nothing that is left is taken away, until nothing is, or only circles are.
        let mut left: Vec<usize> = (0..next.len()).collect();
        while let Some(end) = left.iter().position(|node| !next[*node].iter().any(|to| left.contains(to))) {
            left.remove(end);
        }
        match circle(&next) {
            None => prop_assert!(left.is_empty(), "{left:?}"),
            Some(around) => {
                prop_assert!(around.len() > 1 && around.first() == around.last(), "{around:?}");
                prop_assert!(around.windows(2).all(|step| next[step[0]].contains(&step[1])), "{around:?}");
            }
        }
    }
}
