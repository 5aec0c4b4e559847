//! Random histories of verbs against SQLite. Whatever is asked in whatever order, the rows stay
//! consistent, and the feed alone tells how every task got where it stands.

use std::collections::HashMap;
use std::path::Path;

use factory_coordinator::store::sqlite::SqliteStore;
use factory_coordinator::store::{Claimed, Rules, Store};
use factory_domain::{
    Event, FailureReason, Outcome, RetryPolicy, ReturnReason, SpecDraft, Standing, Tally, TaskId, TaskState,
    Timestamp, Waits, transition,
};
use proptest::prelude::*;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};

use crate::bench::{Worker, at, draft, failed, limited_until, new_task};

const WORKERS: usize = 2;
const MAX_ATTEMPTS: u32 = 2;

/// Something someone might ask of a store. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Step {
    Submit { priority: i32 },
    Claim { worker: usize, slots: u32 },
    Accept(usize),
    Decline(usize),
    Start(usize),
    Report { attempt: usize, worker: usize, outcome: Outcome },
    Cancel(usize),
    Heartbeat { worker: usize, started: bool },
    Restart(usize),
    Wait { seconds: u64 },
    GrantFullTerm,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        Just(Outcome::Succeeded),
        Just(Outcome::Cancelled),
        (0..10_000u64).prop_map(limited_until),
        prop::sample::select(FailureReason::ALL.to_vec()).prop_map(failed),
    ];
    prop_oneof![
        4 => (-1..=1).prop_map(|priority| Step::Submit { priority }),
        6 => (0..WORKERS, 1..4u32).prop_map(|(worker, slots)| Step::Claim { worker, slots }),
        6 => (0..8usize).prop_map(Step::Accept),
        1 => (0..8usize).prop_map(Step::Decline),
        6 => (0..8usize).prop_map(Step::Start),
        6 => (0..8usize, 0..WORKERS, outcome)
            .prop_map(|(attempt, worker, outcome)| Step::Report { attempt, worker, outcome }),
        2 => (0..8usize).prop_map(Step::Cancel),
        3 => (0..WORKERS, any::<bool>()).prop_map(|(worker, started)| Step::Heartbeat { worker, started }),
        1 => (0..WORKERS).prop_map(Step::Restart),
        4 => (1..400u64).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::GrantFullTerm),
        1 => Just(Step::Reopen),
    ]
}

struct Run<'r> {
    path: &'r Path,
    store: SqliteStore,
    workers: Vec<Worker>,
    tasks: Vec<TaskId>,
    /// Newest first, so that small numbers mostly choose live ones.
    attempts: Vec<Claimed>,
    seconds: u64,
}

impl Run<'_> {
    fn now(&self) -> Timestamp {
        at(self.seconds)
    }

    fn chosen<T>(from: &[T], n: usize) -> Option<&T> {
        from.get(n % from.len().max(1))
    }

    async fn take(&mut self, step: Step) {
        let now = self.now();
        match step {
            Step::Submit { priority } => {
                let draft = SpecDraft { priority, max_attempts: Some(MAX_ATTEMPTS), ..draft("x") };
                let submitted = self.store.submit(vec![new_task(draft)], now).await.expect("accepted");
                self.tasks.insert(0, submitted[0].id);
            }
            Step::Claim { worker, slots } => {
                let claimed = self.workers[worker].claim(&self.store, slots, now).await;
                self.attempts.splice(0..0, claimed);
            }
            Step::Accept(n) => self.tell(n, |attempt| Event::Accepted { attempt }).await,
            Step::Start(n) => self.tell(n, |attempt| Event::Started { attempt }).await,
            Step::Decline(n) => {
                let why = ReturnReason::Declined { why: "busy".into() };
                self.tell(n, |attempt| Event::Returned { attempt, why }).await;
            }
            Step::Report { attempt, worker, outcome } => {
                if let Some(claimed) = Self::chosen(&self.attempts, attempt) {
                    let reported = self.workers[worker].reports(claimed, outcome);
                    self.store.report(reported, now).await.expect("heard");
                }
            }
            Step::Cancel(n) => {
                if let Some(&task) = Self::chosen(&self.tasks, n) {
                    // Refused where it has ended; the rules themselves are tried elsewhere.
                    drop(self.store.apply(task, Event::CancelRequested, now).await);
                }
            }
            Step::Heartbeat { worker, started } => {
                let held: Vec<_> = self.attempts.iter().map(|claimed| (claimed, started)).collect();
                self.store.renew(self.workers[worker].holds(&held), now).await.expect("renewed");
            }
            Step::Restart(n) => self.workers[n] = self.workers[n].restart(&self.store).await,
            Step::Wait { seconds } => {
                self.seconds += seconds;
                self.store.apply_due(self.now()).await.expect("applied");
            }
            Step::GrantFullTerm => self.store.grant_full_term(now).await.expect("granted"),
            Step::Reopen => {
                self.store.close().await;
                self.store = SqliteStore::open(self.path, Rules::default()).await.expect("opened");
            }
        }
    }

    async fn tell(&self, n: usize, event: impl FnOnce(factory_domain::AttemptId) -> Event) {
        if let Some(claimed) = Self::chosen(&self.attempts, n) {
            drop(self.store.apply(claimed.task, event(claimed.attempt), self.now()).await);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_history_leaves_rows_that_agree(steps in prop::collection::vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let root = tempfile::tempdir().expect("a directory");
            let path = root.path().join("agent-factory.db");
            let store = SqliteStore::open(&path, Rules::default()).await.expect("opened");
            let mut workers = Vec::new();
            for _ in 0..WORKERS {
                workers.push(Worker::register(&store, &[]).await);
            }
            let mut run =
                Run { path: &path, store, workers, tasks: Vec::new(), attempts: Vec::new(), seconds: 0 };
            for step in steps {
                run.take(step).await;
            }
            run.store.close().await;
            let mut database =
                SqliteConnectOptions::new().filename(&path).connect().await.expect("opened");
            nothing_contradicts_an_invariant(&mut database).await;
            the_feed_tells_it_all(&mut database).await;
        });
    }
}

/// Questions to the rows; each must find none.
async fn nothing_contradicts_an_invariant(database: &mut SqliteConnection) {
    for (what, question) in [
        (
            "a task with more than one live attempt",
            "SELECT count(*) FROM (SELECT 1 FROM attempts
             WHERE state IN ('offered', 'accepted', 'running', 'unreachable')
             GROUP BY task_id HAVING count(*) > 1)",
        ),
        (
            "a live attempt its task does not name, or a task whose live attempt is not live",
            "SELECT count(*) FROM tasks t LEFT JOIN attempts a
                 ON a.task_id = t.id AND a.state IN ('offered', 'accepted', 'running', 'unreachable')
             WHERE (t.state IN ('leased', 'running', 'cancelling')) <> (a.id IS NOT NULL)
                OR (a.id IS NOT NULL AND a.id <> t.attempt_id)",
        ),
        (
            "a task with more than one accepted result",
            "SELECT count(*) FROM (SELECT 1 FROM events
             WHERE state ->> '$.state' IN ('succeeded', 'failed', 'cancelled')
             GROUP BY task_id HAVING count(*) > 1)",
        ),
        (
            "a success of an attempt that is not its task's result",
            "SELECT count(*) FROM attempts a JOIN tasks t ON t.id = a.task_id
             WHERE a.state = 'succeeded' AND (t.state <> 'succeeded' OR t.attempt_id <> a.id)",
        ),
        (
            "an attempt numbered past its task's count",
            "SELECT count(*) FROM attempts a JOIN tasks t ON t.id = a.task_id WHERE a.number > t.attempts",
        ),
        ("a gap in the feed", "SELECT count(*) FROM events WHERE cursor > (SELECT count(*) FROM events)"),
        ("a broken reference", "SELECT count(*) FROM pragma_foreign_key_check"),
        ("a damaged page", "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"),
    ] {
        let found: i64 = sqlx::query_scalar(question).fetch_one(&mut *database).await.expect("asked");
        assert_eq!(found, 0, "{what}");
    }
}

/// Puts every event to the domain again, and ends up where the rows are.
async fn the_feed_tells_it_all(database: &mut SqliteConnection) {
    let events: Vec<(Vec<u8>, i64, Option<String>, String)> =
        sqlx::query_as("SELECT task_id, at, event, state FROM events ORDER BY cursor")
            .fetch_all(&mut *database)
            .await
            .expect("read");
    let rules = Rules::default();
    let policy = RetryPolicy {
        max_attempts: MAX_ATTEMPTS,
        max_infrastructure_failures: rules.max_infrastructure_failures,
        backoff: rules.backoff,
    };
    let mut told: HashMap<Vec<u8>, Standing> = HashMap::new();
    for (task, at, event, state) in events {
        let Some(event) = event else {
            told.insert(
                task,
                Standing {
                    state: TaskState::Queued,
                    tally: Tally::default(),
                    policy,
                    open_questions: 0,
                    waits: Waits::default(),
                },
            );
            continue;
        };
        let event: Event = serde_json::from_str(&event).expect("an event");
        let standing = told.get_mut(&task).expect("submitted before");
        let decided = transition(standing, &event, Timestamp::from_millis(at)).expect("it happened");
        assert_eq!(decided.state, serde_json::from_str::<TaskState>(&state).expect("a state"));
        *standing = Standing { state: decided.state, tally: decided.tally, ..standing.clone() };
    }
    let rows: Vec<(Vec<u8>, String, u32, u32, u32, u32)> = sqlx::query_as(
        "SELECT id, state, attempts, agent_failures, infrastructure_failures, usage_limits
         FROM tasks ORDER BY number",
    )
    .fetch_all(&mut *database)
    .await
    .expect("read");
    assert_eq!(rows.len(), told.len());
    for (task, state, attempts, agent_failures, infrastructure_failures, usage_limits) in rows {
        let standing = &told[&task];
        assert_eq!(standing.state.name(), state);
        let tally = Tally { attempts, agent_failures, infrastructure_failures, usage_limits };
        assert_eq!(standing.tally, tally);
    }
}
