//! The steps taken by a real store.

use factory_coordinator::store::{
    ApplyError, Claim, FeedEvent, Held, NewTask, Renewal, Reported, ReportedAttempt, Rules, SubmitError,
};
use factory_domain::{
    AgentKind, AttemptId, Backoff, Event, Failure, FailureReason, LeaseTerms, Links, Outcome, Rejected,
    ReturnReason, SessionId, SpecDraft, TaskId, Timestamp, WorkerId,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::Reopen;
use super::protocol::{
    Answer, BACKOFF, FLEET, Heard, LEASE, LOST_AFTER, MAX_INFRASTRUCTURE_FAILURES, OFFER, Offer, Refused,
};
use super::steps::{End, Named, Step, Wish};
use crate::bench::{self, Worker};

/// An open store, and what the model's numbers stand for in it.
pub struct UnderTest<S> {
    pub runtime: Runtime,
    root: TempDir,
    /// `None` only while it is opened again.
    store: Option<S>,
    pub now: Timestamp,
    pub tasks: Vec<TaskId>,
    /// Ids given out for tasks; not all of them came to be.
    minted: usize,
    attempts: usize,
    /// That were asked.
    pub questions: usize,
    sessions: [u64; FLEET.len()],
    /// The feed as read so far, a step at a time.
    pub feed: Vec<FeedEvent>,
}

fn rules() -> Rules {
    let terms = LeaseTerms { offer: OFFER, lease: LEASE, lost_after: LOST_AFTER, ..LeaseTerms::default() };
    let backoff = Backoff { base: BACKOFF.0, cap: BACKOFF.1 };
    Rules { terms, backoff, max_infrastructure_failures: MAX_INFRASTRUCTURE_FAILURES, ..Rules::default() }
}

fn task_id(task: usize) -> TaskId {
    TaskId::from_uuid(Uuid::from_u128(1 << 64 | task as u128))
}

/// In the order of the attempts; the low bits, by which pauses are spread, are all set or all clear.
pub fn attempt_id(attempt: usize) -> AttemptId {
    let jitter = if attempt % 2 == 1 { 0xffff } else { 0 };
    AttemptId::from_uuid(Uuid::from_u128(2 << 64 | (attempt as u128) << 16 | jitter))
}

pub fn attempt_number(id: AttemptId) -> usize {
    let (_, low) = id.as_uuid().as_u64_pair();
    usize::try_from(low >> 16).expect("one of few")
}

pub fn worker_id(worker: usize) -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(3 << 64 | worker as u128))
}

pub fn session_id(worker: usize, session: u64) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(4 << 64 | (worker as u128) << 16 | u128::from(session)))
}

impl<S: Reopen> UnderTest<S> {
    pub fn new(now: Timestamp) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let root = tempfile::tempdir().expect("a directory");
        let store = runtime.block_on(S::reopen(root.path(), rules()));
        let (tasks, feed) = (Vec::new(), Vec::new());
        Self {
            runtime,
            root,
            store: Some(store),
            now,
            tasks,
            minted: 0,
            attempts: 0,
            questions: 0,
            sessions: [0; FLEET.len()],
            feed,
        }
    }

    pub fn store(&self) -> &S {
        self.store.as_ref().expect("open")
    }

    /// Takes a step, and reads what the feed has of it.
    pub fn take(&mut self, step: &Step) -> Answer {
        let answer = self.carry_out(step);
        let mut events = self.read_feed(self.last_cursor());
        // Tasks that move in one step do so at once: their order says nothing.
        events.sort_by_key(|event| event.number);
        self.feed.extend(events);
        answer
    }

    fn carry_out(&mut self, step: &Step) -> Answer {
        match step {
            Step::Submit(wishes) => self.submit(wishes),
            Step::Register { worker } => self.register(*worker),
            Step::Claim { worker, stale, slots, except } => self.claim(*worker, *stale, *slots, *except),
            Step::Accept(named) => self.apply(*named, |attempt| Event::Accepted { attempt }),
            Step::Decline(named) => {
                let why = ReturnReason::Declined { why: "the disk is full".into() };
                self.apply(*named, |attempt| Event::Returned { attempt, why })
            }
            Step::Started(named) => self.apply(*named, |attempt| Event::Started { attempt }),
            Step::Heartbeat { worker, stale, held } => self.heartbeat(*worker, *stale, held),
            Step::Report { worker, named, digest, end } => self.report(*worker, *named, *digest, *end),
            Step::Cancel { task } => self.event(*task, Event::CancelRequested),
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
            Step::Drain { worker } => {
                let drained = self.store().drain_worker(worker_id(*worker), None, self.now);
                Answer::Found(self.runtime.block_on(drained).expect("written"))
            }
            Step::Resume { worker } => {
                let resumed = self.store().resume_worker(worker_id(*worker));
                Answer::Found(self.runtime.block_on(resumed).expect("written"))
            }
            Step::Ask { worker, named, key, within } => self.ask(*worker, *named, *key, *within),
            Step::Answer { task, question } => self.answer_question(*task, *question),
            Step::Say { to, key } => self.say(*to, *key),
            Step::Told { task } => self.told(self.tasks[*task]),
        }
    }

    fn submit(&mut self, wishes: &[Wish]) -> Answer {
        let ids = (self.minted..).map(task_id);
        let tasks: Vec<NewTask> = ids.zip(wishes).map(|(id, wish)| self.new_task(id, wish)).collect();
        self.minted += tasks.len();
        match self.runtime.block_on(self.store().submit(tasks, self.now)) {
            Ok(submitted) => {
                let place = |id: TaskId, tasks: &mut Vec<TaskId>| {
                    tasks.iter().position(|known| *known == id).unwrap_or_else(|| {
                        tasks.push(id);
                        tasks.len() - 1
                    })
                };
                let submitted = submitted.into_iter().map(|one| {
                    let task = place(one.id, &mut self.tasks);
                    assert_eq!(one.number, task as u64 + 1, "tasks are numbered as they come");
                    (task, one.existed)
                });
                Answer::Submitted(submitted.collect())
            }
            Err(SubmitError::KeyReused { index, existing, .. }) => {
                let existing = self.tasks.iter().position(|known| *known == existing);
                Answer::KeyReused { index, existing }
            }
            Err(error) => panic!("{error}"),
        }
    }

    fn register(&mut self, worker: usize) -> Answer {
        self.sessions[worker] += 1;
        let entry = self.worker(worker, false).entry();
        self.runtime.block_on(self.store().register_worker(entry, self.now)).expect("registered");
        Answer::Done
    }

    fn worker(&self, worker: usize, stale: bool) -> Worker {
        let session = self.sessions[worker].saturating_sub(u64::from(stale));
        Worker {
            id: worker_id(worker),
            session: session_id(worker, session),
            labels: factory_domain::Labels::default(),
            agents: FLEET[worker].to_vec(),
        }
    }

    fn claim(&mut self, worker: usize, stale: bool, slots: usize, except: Option<usize>) -> Answer {
        let claim = Claim {
            except: except.map(|task| self.tasks[task]).into_iter().collect(),
            attempt_ids: (self.attempts..self.attempts + slots).map(attempt_id).collect(),
            ..self.worker(worker, stale).wants(u32::try_from(slots).expect("few"))
        };
        let claimed = self.runtime.block_on(self.store().claim(claim, self.now)).expect("claimed");
        self.attempts += claimed.len();
        let offers = claimed.into_iter().map(|one| Offer {
            named: Named { task: self.task(one.task), attempt: attempt_number(one.attempt) },
            number: one.attempt_number,
            continues: one.continues.map(|it| (attempt_number(it.from), it.conversation)),
        });
        Answer::Claimed(offers.collect())
    }

    pub fn task(&self, id: TaskId) -> usize {
        self.tasks.iter().position(|known| *known == id).expect("a task that was submitted")
    }

    fn apply(&self, named: Named, event: impl FnOnce(AttemptId) -> Event) -> Answer {
        self.event(named.task, event(attempt_id(named.attempt)))
    }

    fn event(&self, task: usize, event: Event) -> Answer {
        match self.runtime.block_on(self.store().apply(self.tasks[task], event, self.now)) {
            Ok(applied) => Answer::Moved(applied.state.name()),
            Err(ApplyError::Rejected(why)) => Answer::Refused(match why {
                Rejected::Ended { .. } => Refused::Ended,
                Rejected::Superseded { .. } => Refused::Superseded,
                Rejected::OutOfPlace { .. } => Refused::OutOfPlace,
                Rejected::Cancelling => Refused::Cancelling,
            }),
            Err(error) => panic!("{error}"),
        }
    }

    fn heartbeat(&self, worker: usize, stale: bool, held: &[(Named, bool)]) -> Answer {
        let Worker { id, session, .. } = self.worker(worker, stale);
        let held = held.iter().map(|(named, started)| Held {
            task: self.tasks[named.task],
            attempt: attempt_id(named.attempt),
            started: *started,
        });
        let renewal = Renewal { worker: id, session, held: held.collect(), free_disk: 1 << 30 };
        let verdicts = self.runtime.block_on(self.store().renew(renewal, self.now)).expect("renewed");
        Answer::Verdicts(verdicts.into_iter().map(|(id, holding)| (attempt_number(id), holding)).collect())
    }

    fn report(&self, worker: usize, named: Named, digest: u8, end: End) -> Answer {
        let reported = ReportedAttempt {
            worker: worker_id(worker),
            task: self.tasks[named.task],
            attempt: attempt_id(named.attempt),
            digest: [digest; 32],
            report: bench::report(self.outcome(end)),
        };
        let heard = self.runtime.block_on(self.store().report(reported, self.now)).expect("heard");
        Answer::Reported(match heard {
            Reported::Accepted(_) => Heard::Accepted,
            Reported::Duplicate => Heard::Duplicate,
            Reported::Superseded => Heard::Superseded,
        })
    }

    fn outcome(&self, end: End) -> Outcome {
        let failure = |reason| Failure { reason, message: "it broke".into() };
        match end {
            End::Succeeded => Outcome::Succeeded,
            End::Failed(reason) => Outcome::Failed { failure: failure(reason) },
            End::Limited { resets_in } => Outcome::Limited {
                failure: failure(FailureReason::UsageLimit),
                until: self.now.after(resets_in),
            },
            End::Cancelled => Outcome::Cancelled,
            End::HandedOver => Outcome::HandedOver,
            End::Asked => Outcome::Asked,
        }
    }

    fn apply_due(&self) -> Answer {
        Answer::Due(self.runtime.block_on(self.store().apply_due(self.now)).expect("applied").len())
    }

    fn restart(&mut self) -> Answer {
        let store = self.store.take().expect("open");
        self.store = Some(self.runtime.block_on(async {
            store.close().await;
            let store = S::reopen(self.root.path(), rules()).await;
            store.grant_full_term(self.now).await.expect("granted");
            store
        }));
        Answer::Done
    }

    fn new_task(&self, id: TaskId, wish: &Wish) -> NewTask {
        let Wish { key, agent, priority, max_attempts, files, after, policy } = wish;
        let argv = if *agent == AgentKind::Command { vec!["true".into()] } else { Vec::new() };
        let draft = SpecDraft {
            agent: agent.as_str().into(),
            argv,
            priority: *priority,
            max_attempts: Some(*max_attempts),
            repo: "owner/name".into(),
            touches: files.iter().map(|file| (*file).to_owned()).collect(),
            ..bench::draft("x")
        };
        let links = Links {
            after: after.iter().map(|task| self.tasks[*task]).collect(),
            on_failed_dependency: *policy,
            ..Links::default()
        };
        NewTask { id, links, idempotency_key: key.map(|key| format!("key-{key}")), ..bench::new_task(draft) }
    }
}
