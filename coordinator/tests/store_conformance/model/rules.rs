//! The rules, verb by verb.

use std::time::Duration;

use factory_coordinator::store::Holding;
use factory_domain::{AttemptState, Conversation, DependencyPolicy, FailureReason, Settled, Tally};

use super::protocol::{
    Answer, Attempt, BACKOFF, FLEET, Heard, LEASE, LOST_AFTER, MAX_INFRASTRUCTURE_FAILURES, Model, OFFER,
    Offer, Refused, Stands, Task, Why,
};
use super::steps::{End, Named, Wish};

impl Model {
    /// All of them or none. A key used before finds its task, for the same wish only.
    pub fn submit(&mut self, wishes: &[Wish]) -> Answer {
        let mut tasks = self.tasks.clone();
        let mut submitted = Vec::new();
        for (index, wish) in wishes.iter().enumerate() {
            let known = tasks.iter().position(|task| wish.key.is_some() && task.wish.key == wish.key);
            match known {
                Some(existing) if !tasks[existing].wish.is_same_spec(wish) => {
                    let existing = (existing < self.tasks.len()).then_some(existing);
                    return Answer::KeyReused { index, existing };
                }
                Some(existing) => submitted.push((existing, true)),
                None => {
                    submitted.push((tasks.len(), false));
                    let stands = if wish.after.is_empty() { Stands::Queued } else { Stands::Blocked };
                    let (tally, ended_at, untold) = (Tally::default(), None, Vec::new());
                    tasks.push(Task { wish: wish.clone(), stands, tally, ended_at, untold });
                }
            }
        }
        let first_new = self.tasks.len();
        self.tasks = tasks;
        for task in first_new..self.tasks.len() {
            self.tell(task, None, "submitted");
        }
        Answer::Submitted(submitted)
    }

    pub fn register(&mut self, worker: usize) -> Answer {
        self.workers[worker].sessions += 1;
        self.workers[worker].last_seen = self.now;
        Answer::Done
    }

    /// Who is not the worker's newest process is not heard.
    fn is_heard(&self, worker: usize, stale: bool) -> bool {
        self.workers[worker].sessions > 0 && !stale
    }

    /// The best of the queue that the worker can take: by priority, then by age. None has files that
    /// another has, or that one before it, which could go to that worker as well, waits for.
    pub fn claim(&mut self, worker: usize, stale: bool, slots: usize, except: Option<usize>) -> Answer {
        if !self.is_heard(worker, stale) || self.workers[worker].draining_since.is_some() {
            return Answer::Claimed(Vec::new());
        }
        let takes = |&task: &usize| {
            let Task { stands, wish, .. } = &self.tasks[task];
            *stands == Stands::Queued && FLEET[worker].contains(&wish.agent) && Some(task) != except
        };
        let mut queued: Vec<usize> = (0..self.tasks.len()).filter(takes).collect();
        queued.sort_by_key(|&task| (-self.tasks[task].wish.priority, task));
        let mut taken: Vec<&str> =
            (0..self.tasks.len()).flat_map(|task| self.held_files(task)).copied().collect();
        let mut chosen = Vec::new();
        for task in queued {
            let files = self.tasks[task].wish.files;
            if chosen.len() < slots && files.iter().all(|file| !taken.contains(file)) {
                chosen.push(task);
            }
            taken.extend(files);
        }
        Answer::Claimed(chosen.into_iter().map(|task| self.offer(worker, task)).collect())
    }

    /// From the lease to its end.
    pub fn held_files(&self, task: usize) -> &'static [&'static str] {
        match self.tasks[task] {
            Task { stands: Stands::Given { .. }, ref wish, .. } => wish.files,
            _ => &[],
        }
    }

    fn offer(&mut self, worker: usize, task: usize) -> Offer {
        let (attempt, continues) = (self.attempts.len(), self.continuation(task));
        self.tasks[task].tally.attempts += 1;
        self.tasks[task].stands = Stands::Given { attempt, unwanted: false };
        let number = self.tasks[task].tally.attempts;
        self.attempts.push(Attempt {
            task,
            worker,
            number,
            state: AttemptState::Offered,
            deadline: self.now.after(OFFER),
            offered_at: self.now,
            started_at: None,
            ended_at: None,
            report: None,
            continues,
        });
        self.tell(task, Some(attempt), "offered");
        Offer { named: Named { task, attempt }, number, continues }
    }

    /// The latest attempt that came to an agent is gone on from, with its conversation; but one that
    /// resumed a conversation and failed by the agent's own fault leaves that.
    fn continuation(&self, task: usize) -> Option<(usize, Conversation)> {
        let came_to_agent = |attempt: &Attempt| attempt.started_at.is_some() || attempt.report.is_some();
        let last = self.attempts.iter().rposition(|it| it.task == task && came_to_agent(it))?;
        let Attempt { report, continues, .. } = self.attempts[last];
        let own_fault = matches!(report, Some((_, End::Failed(FailureReason::AgentError))));
        let had_resumed = matches!(continues, Some((_, Conversation::Resume)));
        Some((last, if own_fault && had_resumed { Conversation::Afresh } else { Conversation::Resume }))
    }

    /// The fence: what is said must be said of the task's live attempt. Answers whether the task is unwanted.
    fn fenced(&self, named: Named) -> Result<bool, Refused> {
        match self.tasks[named.task].stands {
            Stands::Given { attempt, unwanted } if attempt == named.attempt => Ok(unwanted),
            _ => Err(Refused::Superseded),
        }
    }

    pub fn accept(&mut self, named: Named) -> Answer {
        match (self.fenced(named), self.attempts[named.attempt].state) {
            (Err(refused), _) => Answer::Refused(refused),
            (Ok(true), _) => Answer::Refused(Refused::Cancelling),
            (Ok(false), AttemptState::Offered) => {
                self.hold(named.attempt, AttemptState::Accepted);
                self.moved(named, "accepted")
            }
            _ => Answer::Refused(Refused::OutOfPlace),
        }
    }

    pub fn decline(&mut self, named: Named) -> Answer {
        match (self.fenced(named), self.attempts[named.attempt].state) {
            (Err(refused), _) => Answer::Refused(refused),
            (Ok(_), AttemptState::Offered) => {
                self.returned(named);
                self.moved(named, "returned")
            }
            _ => Answer::Refused(Refused::OutOfPlace),
        }
    }

    /// An offer that nobody took costs nothing.
    fn returned(&mut self, named: Named) {
        let unwanted = self.fenced(named) == Ok(true);
        self.end_attempt(named.attempt, AttemptState::Returned);
        self.stand(named.task, if unwanted { Stands::Cancelled(Why::Requested) } else { Stands::Queued });
    }

    pub fn started(&mut self, named: Named) -> Answer {
        let Attempt { state, started_at, .. } = self.attempts[named.attempt];
        match self.fenced(named) {
            Err(refused) => Answer::Refused(refused),
            Ok(false) if state != AttemptState::Offered && started_at.is_none() => {
                self.hold(named.attempt, AttemptState::Running);
                self.moved(named, "started")
            }
            Ok(_) => Answer::Refused(Refused::OutOfPlace),
        }
    }

    /// Keeps what the worker holds; says what to do with each.
    pub fn heartbeat(&mut self, worker: usize, stale: bool, held: &[(Named, bool)]) -> Answer {
        let heard = self.is_heard(worker, stale);
        if heard {
            self.workers[worker].last_seen = self.now;
        }
        let mut held = held.to_vec();
        held.sort_by_key(|(named, _)| named.attempt);
        let verdicts = held.into_iter().map(|(named, started)| {
            let verdict = match self.fenced(named) {
                Ok(unwanted) if heard && self.attempts[named.attempt].worker == worker => {
                    self.keep(named, started, unwanted);
                    if unwanted { Holding::Cancel } else { Holding::CarryOn }
                }
                _ => Holding::Superseded,
            };
            (named.attempt, verdict)
        });
        Answer::Verdicts(verdicts.collect())
    }

    fn keep(&mut self, named: Named, started: bool, unwanted: bool) {
        let Attempt { state, started_at, .. } = self.attempts[named.attempt];
        let ran = started_at.is_some();
        match state {
            // Not taken yet: its own deadline stays.
            AttemptState::Offered => {}
            // The word that it was started had been lost.
            _ if started && !ran && !unwanted => {
                self.hold(named.attempt, AttemptState::Running);
                self.moved(named, "started");
            }
            AttemptState::Unreachable => {
                // Of one that is being ended it no longer matters whether it ran.
                let runs = ran && !unwanted;
                self.hold(named.attempt, if runs { AttemptState::Running } else { AttemptState::Accepted });
                self.moved(named, "contact_regained");
            }
            _ => self.attempts[named.attempt].deadline = self.now.after(LEASE),
        }
    }

    /// One report of each attempt counts, the holder's own, and only while the attempt is live.
    pub fn report(&mut self, worker: usize, named: Named, digest: u8, end: End) -> Answer {
        let Attempt { task, worker: holder, report: accepted, state, .. } = self.attempts[named.attempt];
        if (task, holder) != (named.task, worker) {
            return Answer::Reported(Heard::Superseded);
        }
        if accepted.is_some_and(|(known, _)| known == digest) {
            return Answer::Reported(Heard::Duplicate);
        }
        let Ok(unwanted) = self.fenced(named) else { return Answer::Reported(Heard::Superseded) };
        if state == AttemptState::Offered {
            return Answer::Reported(Heard::Superseded);
        }
        self.attempts[named.attempt].report = Some((digest, end));
        let ended = match end {
            End::Succeeded => AttemptState::Succeeded,
            End::Failed(_) | End::Limited { .. } => AttemptState::Failed,
            End::Cancelled | End::HandedOver => AttemptState::Cancelled,
            End::Asked => AttemptState::Asked,
        };
        self.end_attempt(named.attempt, ended);
        match end {
            // Finished before the wish to cancel arrived is finished.
            End::Succeeded => self.stand(task, Stands::Succeeded),
            _ if unwanted => self.stand(task, Stands::Cancelled(Why::Requested)),
            End::Failed(reason) => self.fail(named, reason),
            // Nobody had asked for its end: the worker's fault.
            End::Cancelled => self.fail(named, FailureReason::WorkerError),
            End::HandedOver => self.stand(task, Stands::Queued),
            // Answered before it had ended its turn: there is nothing to wait for.
            End::Asked if self.open_questions(task) == 0 => self.stand(task, Stands::Queued),
            End::Asked => self.stand(task, Stands::Waiting),
            End::Limited { resets_in } => self.wait_out_limit(named, resets_in),
        }
        self.moved(named, "ended");
        Answer::Reported(Heard::Accepted)
    }

    /// Each kind of failure has its own bound; what cannot be mended by trying again has none.
    fn fail(&mut self, named: Named, reason: FailureReason) {
        let task = &mut self.tasks[named.task];
        let (failures, bound) = match reason {
            FailureReason::AgentError => (&mut task.tally.agent_failures, task.wish.max_attempts),
            FailureReason::WorkerError | FailureReason::WorkerLost => {
                (&mut task.tally.infrastructure_failures, MAX_INFRASTRUCTURE_FAILURES)
            }
            _ => return self.stand(named.task, Stands::Failed(reason)),
        };
        *failures += 1;
        let failures = *failures;
        self.stand(
            named.task,
            match failures < bound {
                true => {
                    Stands::Parked { until: self.now.after(pause(failures, named.attempt)), after: reason }
                }
                false => Stands::Failed(reason),
            },
        );
    }

    /// Waited out at no cost, but never for less than a failure's pause.
    fn wait_out_limit(&mut self, named: Named, resets_in: Duration) {
        let tally = &mut self.tasks[named.task].tally;
        tally.usage_limits += 1;
        let wait = resets_in.max(pause(tally.usage_limits, named.attempt));
        let until = self.now.after(wait);
        self.stand(named.task, Stands::Parked { until, after: FailureReason::UsageLimit });
    }

    pub fn cancel(&mut self, task: usize) -> Answer {
        match self.tasks[task].stands {
            Stands::Blocked | Stands::Queued | Stands::Parked { .. } | Stands::Waiting => {
                self.stand(task, Stands::Cancelled(Why::Requested))
            }
            Stands::Given { attempt, unwanted: false } => {
                self.stand(task, Stands::Given { attempt, unwanted: true });
            }
            Stands::Given { .. } => return Answer::Refused(Refused::Cancelling),
            _ => return Answer::Refused(Refused::Ended),
        }
        self.tell(task, None, "cancel_requested");
        Answer::Moved(self.state(task))
    }

    /// What time alone brings: an offer lapses, a lease runs out and later is lost, a pause ends; and then
    /// questions that nobody answered.
    pub fn apply_due(&mut self) -> Answer {
        let facts = self.feed.len();
        for task in 0..self.tasks.len() {
            match self.tasks[task].stands {
                Stands::Given { attempt, .. } if self.attempts[attempt].deadline <= self.now => {
                    self.expire(Named { task, attempt });
                }
                Stands::Parked { until, .. } if until <= self.now => {
                    self.stand(task, Stands::Queued);
                    self.tell(task, None, "woken");
                }
                _ => {}
            }
        }
        let tasks = self.feed.len() - facts;
        Answer::Due(tasks + self.expire_questions())
    }

    fn expire(&mut self, named: Named) {
        match self.attempts[named.attempt].state {
            AttemptState::Offered => {
                self.returned(named);
                self.moved(named, "returned");
            }
            AttemptState::Unreachable => {
                let unwanted = self.fenced(named) == Ok(true);
                self.end_attempt(named.attempt, AttemptState::Lost);
                match unwanted {
                    true => self.stand(named.task, Stands::Cancelled(Why::Requested)),
                    false => self.fail(named, FailureReason::WorkerLost),
                }
                self.moved(named, "lost");
            }
            _ => {
                self.attempts[named.attempt].state = AttemptState::Unreachable;
                self.attempts[named.attempt].deadline = self.now.after(LOST_AFTER);
                self.moved(named, "contact_lost");
            }
        }
    }

    /// Lets go, or ends, what waits for tasks that have ended, and what waits for them in turn.
    pub fn settle(&mut self) {
        loop {
            let blocked = (0..self.tasks.len()).filter(|&task| self.tasks[task].stands == Stands::Blocked);
            let verdicts: Vec<_> = blocked.filter_map(|task| Some((task, self.verdict(task)?))).collect();
            if verdicts.is_empty() {
                return;
            }
            for (task, stands) in verdicts {
                self.stand(task, stands);
                self.tell(
                    task,
                    None,
                    if stands == Stands::Queued { "unblocked" } else { "dependency_failed" },
                );
            }
        }
    }

    /// Where a blocked task comes to by the ends of those it waits for; `None`: it waits on.
    fn verdict(&self, task: usize) -> Option<Stands> {
        let Wish { after, policy, .. } = &self.tasks[task].wish;
        let ended: Vec<_> = after.iter().map(|&needed| (needed, self.settled(needed))).collect();
        let failed =
            ended.iter().find(|(_, settled)| *settled == Some(Settled::Failed)).map(|(task, _)| *task);
        match (failed, policy) {
            (Some(failed), DependencyPolicy::Cancel) => Some(Stands::Cancelled(Why::Failed(failed))),
            (Some(failed), DependencyPolicy::Skip) => Some(Stands::Cancelled(Why::Skipped(failed))),
            _ => ended.iter().all(|(_, settled)| settled.is_some()).then_some(Stands::Queued),
        }
    }

    /// While the coordinator was away nobody could be heard: every lease gets one full term.
    pub fn restart(&mut self) -> Answer {
        for attempt in self.attempts.iter_mut().filter(|attempt| attempt.state.is_live()) {
            attempt.deadline = self.now.after(match attempt.state {
                AttemptState::Offered => OFFER,
                AttemptState::Unreachable => LOST_AFTER,
                _ => LEASE,
            });
        }
        Answer::Done
    }

    pub fn set_drain(&mut self, worker: usize, draining: bool) -> Answer {
        let found = self.workers[worker].sessions > 0;
        if found {
            let since = self.workers[worker].draining_since.unwrap_or(self.now);
            self.workers[worker].draining_since = draining.then_some(since);
        }
        Answer::Found(found)
    }
}

/// Doubling, capped, and between half and all of it by the attempt's jitter: here the
/// ids are such that every other attempt's pause is the longest or the shortest there is.
fn pause(failures: u32, attempt: usize) -> Duration {
    let (base, cap) = BACKOFF;
    let longest = (base * 2u32.pow(failures - 1)).min(cap);
    if attempt % 2 == 1 { longest } else { longest / 2 }
}
