//! What the store holds, beside the model: rows and feed.

use std::collections::BTreeMap;

use factory_coordinator::store::FeedEvent;
use factory_domain::{AttemptState, CancelReason, Contact, FailureReason, ParkReason, TaskState};

use super::Reopen;
use super::protocol::{FLEET, Fact, Model, Stands, Why};
use super::store::{UnderTest, attempt_id, attempt_number, session_id, worker_id};

/// What the feed tells of.
const KINDS: [&str; 15] = [
    "submitted",
    "offered",
    "accepted",
    "returned",
    "started",
    "contact_lost",
    "contact_regained",
    "lost",
    "ended",
    "cancel_requested",
    "woken",
    "unblocked",
    "dependency_failed",
    "asked",
    "answered",
];

impl<S: Reopen> UnderTest<S> {
    pub fn last_cursor(&self) -> u64 {
        self.feed.iter().map(|event| event.cursor).max().unwrap_or(0)
    }

    pub fn read_feed(&self, after: u64) -> Vec<FeedEvent> {
        let events = self.runtime.block_on(self.store().events_after(after, &[], 10_000)).expect("read");
        let cursors = events.iter().map(|event| event.cursor);
        assert!(cursors.clone().eq((after + 1..).take(events.len())), "cursors after {after}: {cursors:?}");
        events
    }

    /// The feed has just what happened.
    pub fn compare_feed(&self, model: &Model) {
        assert_eq!(*self.store().feed().borrow(), self.last_cursor(), "the feed's newest cursor");
        for (event, wanted) in self.feed.iter().zip(&model.feed) {
            assert_eq!(self.fact(event).as_ref(), Some(wanted));
        }
        assert_eq!(self.feed.len(), model.feed.len(), "events");
    }

    /// `None`: of a kind or a state that is not known.
    fn fact(&self, event: &FeedEvent) -> Option<Fact> {
        let task = self.task(event.task);
        let kind = KINDS.into_iter().find(|kind| *kind == event.kind)?;
        let attempt = event.attempt.map(attempt_number);
        Some(Fact { task, attempt, kind, state: event.state.name(), at: event.at })
    }

    /// Read once more from its start the feed is the same, and ends where the rows stand.
    pub fn replay(&self, model: &Model) {
        let mut again = self.read_feed(0);
        let mut first = self.feed.clone();
        first.sort_by_key(|event| event.cursor);
        let told = |event: &FeedEvent| (event.cursor, self.fact(event));
        assert!(again.iter().map(told).eq(first.iter().map(told)), "the feed is not what it was");
        let last: BTreeMap<usize, &'static str> =
            again.drain(..).map(|event| (self.task(event.task), event.state.name())).collect();
        let stand: BTreeMap<usize, &'static str> =
            (0..model.tasks.len()).map(|task| (task, model.state(task))).collect();
        assert_eq!(last, stand, "where the feed leaves the tasks");
        self.runtime.block_on(self.store().close());
    }

    /// What the rows say is what the model says.
    pub fn compare_rows(&self, model: &Model) {
        self.runtime.block_on(async {
            for task in 0..model.tasks.len() {
                self.compare_task(model, task).await;
                self.compare_inbox(model, task).await;
                self.compare_files(model, task).await;
            }
            for worker in 0..FLEET.len() {
                self.compare_worker(model, worker).await;
            }
            let due = self.store().next_due().await.expect("read");
            assert_eq!(due, model.next_due(), "when something is due next");
            let live = model.tasks.iter().filter(|task| task.ended_at.is_none()).count();
            assert_eq!(self.store().live_count().await.expect("counted"), live as u64, "live tasks");
        });
    }

    async fn compare_files(&self, model: &Model, task: usize) {
        let held = self.store().files_of(self.tasks[task]).await.expect("read");
        let held: Vec<&str> = held.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(held, model.held_files(task), "the files of task {task}");
    }

    async fn compare_task(&self, model: &Model, task: usize) {
        let wanted = &model.tasks[task];
        let entry = self.store().task(self.tasks[task]).await.expect("read").expect("the task");
        assert_eq!(entry.state.name(), model.state(task), "state of task {task}");
        assert_eq!(self.stands(&entry.state), wanted.stands, "task {task}");
        assert_eq!((entry.tally, entry.ended_at), (wanted.tally, wanted.ended_at), "task {task}");
        assert_eq!(entry.open_questions as usize, model.open_questions(task), "questions of task {task}");

        let after: Vec<_> = entry.after.iter().map(|one| (self.task(one.id), one.settled)).collect();
        let needed = wanted.wish.after.iter().map(|&needed| (needed, model.settled(needed)));
        assert_eq!(after, needed.collect::<Vec<_>>(), "what task {task} waits for");

        let rows = self.store().attempts(self.tasks[task]).await.expect("read");
        let told = model.attempts.iter().enumerate().filter(|(_, attempt)| attempt.task == task);
        let told: Vec<_> = told.collect();
        assert_eq!(rows.len(), told.len(), "attempts of task {task}");
        for (row, (attempt, wanted)) in rows.iter().zip(told) {
            let seen = (row.id, row.number, row.worker, row.state);
            let model = (attempt_id(attempt), wanted.number, worker_id(wanted.worker), wanted.state);
            assert_eq!(seen, model, "attempt {attempt}");
            let seen = (row.offered_at, row.started_at, row.ended_at);
            assert_eq!(seen, (wanted.offered_at, wanted.started_at, wanted.ended_at), "attempt {attempt}");
            assert_eq!(row.report.is_some(), wanted.report.is_some(), "report of attempt {attempt}");
            let continues = row.continues.as_ref().map(|it| (attempt_number(it.from), it.conversation));
            assert_eq!(continues, wanted.continues, "what attempt {attempt} goes on from");
            assert_eq!(row.returned_because.is_some(), wanted.state == AttemptState::Returned);
            if let Some(lease) = entry.state.lease().filter(|lease| lease.attempt == row.id) {
                assert_eq!((lease.worker, name_of(lease.contact)), (row.worker, contact_in(wanted.state)));
            }
        }
        // By the rows alone, whatever the model thinks.
        let count = |which: &dyn Fn(AttemptState) -> bool| rows.iter().filter(|row| which(row.state)).count();
        assert!(count(&AttemptState::is_live) <= 1, "task {task} has two live attempts");
        let successes = count(&|state| state == AttemptState::Succeeded);
        assert_eq!(successes, usize::from(entry.state.name() == "succeeded"), "results of task {task}");
    }

    fn stands(&self, state: &TaskState) -> Stands {
        match state {
            TaskState::Blocked => Stands::Blocked,
            TaskState::Queued => Stands::Queued,
            TaskState::Leased { lease } | TaskState::Running { lease } => {
                Stands::Given { attempt: attempt_number(lease.attempt), unwanted: false }
            }
            TaskState::Cancelling { lease } => {
                Stands::Given { attempt: attempt_number(lease.attempt), unwanted: true }
            }
            TaskState::Parked { until, why } => {
                let is_limit = matches!(why, ParkReason::UsageLimit { .. });
                assert_eq!(is_limit, why.failure().reason == FailureReason::UsageLimit);
                Stands::Parked { until: *until, after: why.failure().reason }
            }
            TaskState::Waiting => Stands::Waiting,
            TaskState::Succeeded { .. } => Stands::Succeeded,
            TaskState::Failed { failure, .. } => Stands::Failed(failure.reason),
            TaskState::Cancelled { because } => Stands::Cancelled(match because {
                CancelReason::Requested => Why::Requested,
                CancelReason::DependencyFailed { task } => Why::Failed(self.task(*task)),
                CancelReason::Skipped { task } => Why::Skipped(self.task(*task)),
            }),
        }
    }

    async fn compare_worker(&self, model: &Model, worker: usize) {
        let wanted = &model.workers[worker];
        let row = self.store().worker(worker_id(worker)).await.expect("read");
        let seen =
            row.map(|row| (row.entry.session, row.last_seen_at, row.draining_since, row.busy as usize));
        let live = model.attempts.iter().filter(|held| held.worker == worker && held.state.is_live()).count();
        let session = session_id(worker, wanted.sessions);
        let wanted =
            (wanted.sessions > 0).then_some((session, wanted.last_seen, wanted.draining_since, live));
        assert_eq!(seen, wanted, "worker {worker}");
    }
}

fn name_of(contact: Contact) -> &'static str {
    match contact {
        Contact::Offered => "offered",
        Contact::Held => "held",
        Contact::Unreachable { .. } => "unreachable",
    }
}

fn contact_in(state: AttemptState) -> &'static str {
    match state {
        AttemptState::Offered => "offered",
        AttemptState::Unreachable => "unreachable",
        _ => "held",
    }
}
