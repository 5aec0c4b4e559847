//! One open stream of one worker: its hello, its credits, and its answers to offers.

use std::time::Duration;

use factory_domain::{AttemptId, Contact, Event, LeaseTerms, Rejected, ReturnReason, TaskId, TaskState};
use factory_proto::protocol::Versions;
use tokio_util::sync::CancellationToken;

use super::error::{Refusal, refusal};
use super::fleet::{Outbox, Seat};
use super::{App, Drain, Error};
use crate::store::{ApplyError, Held, Holding, Renewal, WorkerEntry};

/// A worker is not offered what it declined for at least so long, and at most for so long.
const COOL_DOWN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3600));

#[derive(Debug)]
pub struct Hello {
    pub worker: WorkerEntry,
    /// Of the protocol, those it speaks.
    pub protocol: Versions,
    /// Attempts found on its disk, or kept through a reconnect.
    pub held: Vec<Held>,
}

#[derive(Debug)]
pub struct Welcome {
    /// The version of the protocol spoken from here on.
    pub protocol: u32,
    pub terms: LeaseTerms,
    pub verdicts: Vec<(AttemptId, Holding)>,
    /// It is offered nothing new until it is resumed.
    pub drain: Option<Drain>,
}

/// A seat in the fleet, emptied by [`App::close_session`].
#[derive(Debug)]
pub struct OpenSession {
    seat: Seat,
    /// A newer stream took the seat, or nobody reads this one.
    pub over: CancellationToken,
}

/// What a worker is told when it accepts an offer.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The acceptance is durable: run it.
    Confirm,
    Withdraw {
        why: String,
    },
}

impl App {
    /// Enters the worker, says what becomes of the attempts it holds, and seats it.
    /// The welcome is in `outbox` before anything else.
    pub async fn open_session(&self, hello: Hello, outbox: Outbox) -> Result<OpenSession, Error> {
        let worker = hello.worker;
        let protocol = Versions::SPOKEN.settle(hello.protocol).map_err(|skew| Error::Protocol {
            release: worker.version.clone(),
            theirs: hello.protocol,
            skew,
        })?;
        let (seat, over) = self.fleet.connect(&worker, outbox)?;
        let session = OpenSession { seat, over };
        match self.welcome(&worker, seat, protocol, hello.held).await {
            Ok(()) => {
                tracing::info!(worker = %worker.id, name = worker.name, slots = worker.slots, "worker connected");
                Ok(session)
            }
            Err(error) => {
                self.close_session(&session);
                Err(error)
            }
        }
    }

    async fn welcome(
        &self,
        worker: &WorkerEntry,
        seat: Seat,
        protocol: u32,
        held: Vec<Held>,
    ) -> Result<(), Error> {
        self.store.register_worker(worker.clone(), self.clock.now()).await?;
        let renewal =
            Renewal { worker: worker.id, session: worker.session, held, free_disk: worker.free_disk };
        let verdicts = self.store.renew(renewal, self.clock.now()).await?;
        let _in_order = self.drains.lock().await;
        let row = self.store.worker(worker.id).await?;
        let draining = row.filter(|row| row.draining_since.is_some());
        let drain = draining.map(|row| Drain::until(row.hand_over_at, self.clock.now()));
        let welcome = Welcome { protocol, terms: self.terms, verdicts, drain };
        if self.fleet.welcome(seat, welcome) { Ok(()) } else { Err(Error::SessionOver) }
    }

    pub fn close_session(&self, session: &OpenSession) {
        self.fleet.disconnect(session.seat);
        // What was kept for it is for others now.
        self.schedule.notify_one();
        tracing::info!(worker = %session.seat.worker, "session closed; its leases go on");
    }

    /// How many offers the worker would take, those on the way included, and whether it
    /// takes none because it is about to stop.
    pub fn set_credits(&self, session: &OpenSession, free_slots: u32, stopping: bool) {
        self.fleet.set_credits(session.seat, free_slots, stopping);
        self.schedule.notify_one();
    }

    /// The worker takes an offer. Repeating it changes nothing.
    pub async fn accept(
        &self,
        session: &OpenSession,
        task: TaskId,
        attempt: AttemptId,
    ) -> Result<Answer, Error> {
        let worker = session.seat.worker;
        if self.fleet.accepted(session.seat, attempt) {
            // The offer took a slot beside the one that the worker's credits leave out by now.
            self.schedule.notify_one();
        } else if !self.is_attempt_of(attempt, session).await? {
            return Ok(Answer::Withdraw { why: "it was not offered to this worker".to_owned() });
        }
        let now = self.clock.now();
        match self.store.apply(task, Event::Accepted { attempt }, now).await {
            Ok(applied) => {
                self.settle(&applied);
                self.due.set(now.after(self.terms.lease));
                Ok(Answer::Confirm)
            }
            Err(error) => {
                let answer = self.answer_refused_acceptance(task, attempt, error).await?;
                tracing::info!(%task, %attempt, %worker, ?answer, "offer accepted again or too late");
                Ok(answer)
            }
        }
    }

    async fn answer_refused_acceptance(
        &self,
        task: TaskId,
        attempt: AttemptId,
        error: ApplyError,
    ) -> Result<Answer, Error> {
        let withdraw = |why: &str| Answer::Withdraw { why: why.to_owned() };
        match refusal(error)? {
            Refusal::Rejected(Rejected::Cancelling) => {
                let why = "the task was cancelled";
                self.return_offer(task, attempt, why.to_owned()).await?;
                Ok(withdraw(why))
            }
            Refusal::Rejected(Rejected::OutOfPlace { .. }) if self.holds(task, attempt).await? => {
                Ok(Answer::Confirm)
            }
            Refusal::Rejected(_) => Ok(withdraw("the offer has lapsed")),
            Refusal::NoSuchTask => Ok(withdraw("there is no such task")),
        }
    }

    /// Whether the task's live attempt is this one, and was accepted.
    async fn holds(&self, task: TaskId, attempt: AttemptId) -> Result<bool, Error> {
        let state = self.store.task(task).await?.map(|entry| entry.state);
        let lease = state.as_ref().and_then(TaskState::lease);
        Ok(lease.is_some_and(|lease| lease.attempt == attempt && lease.contact != Contact::Offered))
    }

    /// The worker does not take an offer, and should not be asked again for a while.
    pub async fn decline(
        &self,
        session: &OpenSession,
        task: TaskId,
        attempt: AttemptId,
        why: String,
        cool_down: Duration,
    ) -> Result<(), Error> {
        let worker = session.seat.worker;
        if !self.is_attempt_of(attempt, session).await? {
            return Ok(());
        }
        let until = self.clock.now().after(cool_down.clamp(COOL_DOWN.0, COOL_DOWN.1));
        self.fleet.declined(session.seat, task, attempt, until, why.clone());
        tracing::info!(%task, %attempt, %worker, why, "offer declined");
        self.return_offer(task, attempt, why.clone()).await?;
        self.store.note_decline(worker, why).await?;
        Ok(())
    }

    /// Gives an offer back to the queue. One that is no longer open stays as it is.
    pub(super) async fn return_offer(
        &self,
        task: TaskId,
        attempt: AttemptId,
        why: String,
    ) -> Result<(), Error> {
        let event = Event::Returned { attempt, why: ReturnReason::Declined { why } };
        match self.store.apply(task, event, self.clock.now()).await {
            Ok(applied) => self.settle(&applied),
            Err(error) => {
                refusal(error)?;
            }
        }
        Ok(())
    }

    /// The agent's process runs. Repeating it changes nothing.
    pub async fn started(
        &self,
        session: &OpenSession,
        task: TaskId,
        attempt: AttemptId,
    ) -> Result<(), Error> {
        let worker = session.seat.worker;
        // Of what was accepted on this stream it is known whose it is.
        if !self.fleet.started(session.seat, attempt) && !self.is_attempt_of(attempt, session).await? {
            return Ok(());
        }
        match self.store.apply(task, Event::Started { attempt }, self.clock.now()).await {
            Ok(applied) => self.settle(&applied),
            Err(error) => {
                if let Refusal::Rejected(why) = refusal(error)? {
                    tracing::debug!(%task, %attempt, %worker, %why, "a start that changes nothing");
                }
            }
        }
        Ok(())
    }

    async fn is_attempt_of(&self, attempt: AttemptId, session: &OpenSession) -> Result<bool, Error> {
        let entry = self.store.attempt(attempt).await?;
        Ok(entry.is_some_and(|entry| entry.worker == session.seat.worker))
    }
}
