//! What the rules are tried with: tasks, workers and moments made in a line.

use std::collections::BTreeSet;
use std::time::Duration;

use factory_coordinator::store::{
    AgentFound, Applied, Claim, Claimed, Held, NewTask, Renewal, ReportedAttempt, Store, WorkerEntry,
};
use factory_domain::{
    AgentKind, AttemptId, Brief, Capacity, Delivery, DiffStat, Event, Failure, FailureReason, Labels, Links,
    Outcome, Report, SessionId, SpecDraft, TaskId, Timestamp, Usage, WorkerId,
};
use uuid::Uuid;

/// Seconds after the start of the test's own time.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000_000).after(Duration::from_secs(seconds))
}

pub fn draft(prompt: &str) -> SpecDraft {
    SpecDraft { prompt: prompt.into(), agent: "scripted".into(), ..SpecDraft::default() }
}

pub fn new_task(draft: SpecDraft) -> NewTask {
    NewTask {
        id: TaskId::from_uuid(Uuid::now_v7()),
        spec: draft.validate().expect("a valid spec"),
        idempotency_key: None,
        retry_of: None,
        links: Links::default(),
        brief: Brief::default(),
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    }
}

pub fn keyed(prompt: &str, key: &str) -> NewTask {
    NewTask { idempotency_key: Some(key.into()), ..new_task(draft(prompt)) }
}

pub async fn submit(store: &dyn Store, draft: SpecDraft) -> TaskId {
    let submitted = store.submit(vec![new_task(draft)], at(0)).await.expect("accepted");
    submitted[0].id
}

/// A worker that offers the scripted agent.
#[derive(Clone)]
pub struct Worker {
    pub id: WorkerId,
    pub session: SessionId,
    pub labels: Labels,
    pub agents: Vec<AgentKind>,
}

impl Worker {
    pub async fn register(store: &dyn Store, labels: &[&str]) -> Self {
        let mut worker = Self {
            id: WorkerId::from_uuid(Uuid::now_v7()),
            session: SessionId::from_uuid(Uuid::now_v7()),
            labels: Labels::default(),
            agents: vec![AgentKind::Scripted],
        };
        for pair in labels {
            let (key, value) = Labels::parse_pair(pair).expect("a label");
            worker.labels.insert(key, value).expect("a label");
        }
        store.register_worker(worker.entry(), at(0)).await.expect("registered");
        worker
    }

    /// The same worker, started again.
    pub async fn restart(&self, store: &dyn Store) -> Self {
        let again = Self { session: SessionId::from_uuid(Uuid::now_v7()), ..self.clone() };
        store.register_worker(again.entry(), at(0)).await.expect("registered");
        again
    }

    pub fn entry(&self) -> WorkerEntry {
        let version = |&kind| AgentFound { kind, version: "1.0".into(), warning: None, unusable: None };
        WorkerEntry {
            id: self.id,
            session: self.session,
            name: format!("worker-{}", self.id.short()),
            version: "0.1.0".into(),
            labels: self.labels.clone(),
            agents: self.agents.iter().map(version).collect(),
            slots: 4,
            free_disk: 1 << 40,
        }
    }

    pub fn capacity(&self, slots: u32) -> Capacity {
        Capacity {
            agents: self.agents.iter().copied().collect::<BTreeSet<_>>(),
            labels: self.labels.clone(),
            free_slots: slots,
            draining: false,
        }
    }

    /// As the only worker that is connected.
    pub fn wants(&self, slots: u32) -> Claim {
        Claim {
            worker: self.id,
            session: self.session,
            capacity: self.capacity(slots),
            except: Vec::new(),
            left_to: Vec::new(),
            connected: [self.capacity(0)].into(),
            attempt_ids: (0..slots).map(|_| AttemptId::from_uuid(Uuid::now_v7())).collect(),
        }
    }

    pub async fn claim(&self, store: &dyn Store, slots: u32, now: Timestamp) -> Vec<Claimed> {
        store.claim(self.wants(slots), now).await.expect("claimed")
    }

    /// Claims one task and takes it up to `running`.
    pub async fn run_one(&self, store: &dyn Store, now: Timestamp) -> Claimed {
        let claimed = self.accept_one(store, now).await;
        apply(store, claimed.task, Event::Started { attempt: claimed.attempt }, now).await;
        claimed
    }

    pub async fn accept_one(&self, store: &dyn Store, now: Timestamp) -> Claimed {
        let claimed = self.claim(store, 1, now).await.pop().expect("a task to claim");
        apply(store, claimed.task, Event::Accepted { attempt: claimed.attempt }, now).await;
        claimed
    }

    pub fn holds(&self, held: &[(&Claimed, bool)]) -> Renewal {
        let held = held
            .iter()
            .map(|(claimed, started)| Held {
                task: claimed.task,
                attempt: claimed.attempt,
                started: *started,
            })
            .collect();
        Renewal { worker: self.id, session: self.session, held, free_disk: 1 << 30 }
    }

    pub fn reports(&self, claimed: &Claimed, outcome: Outcome) -> ReportedAttempt {
        ReportedAttempt {
            worker: self.id,
            task: claimed.task,
            attempt: claimed.attempt,
            digest: [7; 32],
            report: report(outcome),
        }
    }
}

pub async fn apply(store: &dyn Store, task: TaskId, event: Event, now: Timestamp) -> Applied {
    store.apply(task, event, now).await.expect("the event fits")
}

pub fn report(outcome: Outcome) -> Report {
    Report {
        outcome,
        result_text: "Done.".into(),
        usage: Usage { cost_micro_usd: 1200, turns: 3, ..Usage::default() },
        agent_session: Some("a-session".into()),
        exit_code: Some(0),
        base_commit: None,
        branch: None,
        commits: Vec::new(),
        diff_stat: DiffStat { files: 1, insertions: 2, deletions: 3 },
        delivery: Delivery::None,
        log_records: 12,
        structured_output: None,
    }
}

pub fn failed(reason: FailureReason) -> Outcome {
    Outcome::Failed { failure: Failure { reason, message: "it broke".into() } }
}

/// A usage limit that is reset so many seconds into the test's time.
pub fn limited_until(seconds: u64) -> Outcome {
    let failure = Failure { reason: FailureReason::UsageLimit, message: "429".into() };
    Outcome::Limited { failure, until: at(seconds) }
}

/// The task's state by name.
pub async fn state(store: &dyn Store, task: TaskId) -> &'static str {
    store.task(task).await.expect("read").expect("the task").state.name()
}

/// What the feed says happened to `task`, in order.
pub async fn story(store: &dyn Store, task: TaskId) -> Vec<String> {
    let events = store.events_after(0, &[task], 1000).await.expect("read");
    events.into_iter().map(|event| event.kind).collect()
}
