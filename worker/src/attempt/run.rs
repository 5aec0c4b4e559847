//! Acts for the machine: one task for each attempt takes it from step to step.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use factory_domain::{Checkpoint, Delivery, Failure, FailureReason, Leftovers};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::assignment::{Assignment, Progress};
use super::course::{Course, Order};
use super::journal::Journal;
use super::machine::{Input, Machine, Step};
use super::now;
use crate::agent_host::Shared;
use crate::agents::{Conclusion, Job};
use crate::blocking;
use crate::kept::{KeptWorkspaces, Why};
use crate::logs::Shipment;
use crate::mcp::TakenSeat;
use crate::outbox::{self, Enclosure, Taken};
use crate::shims::RunningShim;
use crate::spool::{RecordWriter, SpoolDir};

/// An attempt on its way. Dropped, it is left as it is: its agent goes on under its shim.
pub struct Attempt {
    course: Course,
    work: Work,
    /// Where to begin; `None`: with the coordinator's confirmation.
    first: Option<Step>,
}

/// What is done for an attempt, and what came of it.
pub(super) struct Work {
    pub(super) host: Arc<Shared>,
    pub(super) spool: SpoolDir,
    pub(super) assignment: Assignment,
    pub(super) shim: Option<Box<dyn RunningShim>>,
    /// At the endpoint, from just before the agent's start; `None` where agents cannot act.
    pub(super) seat: Option<TakenSeat>,
    /// The agent has been told to end.
    pub(super) stopping: bool,
    pub(super) findings: Findings,
    /// What the coordinator made of the report; `None`: it has none.
    taken: Option<Taken>,
    shipment: Shipment,
    /// While the daemon is the log's one writer.
    journal: Option<Arc<Journal>>,
}

/// What the report will say.
pub(super) struct Findings {
    pub(super) conclusion: Option<Conclusion>,
    pub(super) exit_code: Option<i32>,
    pub(super) work: Option<crate::worktree::Work>,
    pub(super) delivery: Delivery,
    pub(super) enclosures: Vec<Enclosure>,
    /// The last one, whose files are among the enclosures.
    pub(super) checkpoint: Option<Checkpoint>,
    /// The workspace stays.
    pub(super) keep: bool,
}

impl Findings {
    fn none() -> Self {
        Self {
            conclusion: None,
            exit_code: None,
            work: None,
            delivery: Delivery::None,
            enclosures: Vec::new(),
            checkpoint: None,
            keep: false,
        }
    }
}

impl Attempt {
    /// Puts a new attempt on disk. It waits for the coordinator's confirmation then.
    pub fn accept(
        host: &Arc<Shared>,
        assignment: Assignment,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> io::Result<Self> {
        let spool = SpoolDir::create(&host.spools(), assignment.attempt)?;
        if let Err(error) = spool.reserve().and_then(|()| assignment.write(&spool)) {
            // It is declined; nothing of it is to stay on a disk that is full.
            let _ = std::fs::remove_dir_all(spool.path());
            return Err(error);
        }
        Self::new(host, assignment, spool, Machine::accepted(), orders)
    }

    /// Takes up an attempt that an earlier start of the worker left on disk, and enters it in the roster.
    pub fn take_up(host: &Arc<Shared>, spool: SpoolDir) -> io::Result<Self> {
        let assignment = Assignment::read(&spool)?;
        let (task, attempt) = (assignment.task, assignment.attempt);
        let shim = if outbox::holds(&spool) {
            None
        } else {
            host.config.shims.adopt(&spool).map_err(io::Error::other)?
        };
        let (machine, first) = match &shim {
            Some(shim) => {
                tracing::info!(%task, %attempt, shim = shim.pid(), "agent found from before; going on with it");
                (Machine::adopted(), Some(Step::Follow))
            }
            None if outbox::holds(&spool) => (Machine::reported(), Some(Step::Report)),
            None => (Machine::accepted(), None),
        };
        let orders = host.roster.enter(task, attempt, machine.phase());
        let mut taken_up = Self::new(host, assignment, spool, machine, orders)?;
        if shim.is_some() {
            taken_up.work.take_seat_again();
        }
        Ok(Self { first, work: Work { shim, ..taken_up.work }, ..taken_up })
    }

    fn new(
        host: &Arc<Shared>,
        assignment: Assignment,
        spool: SpoolDir,
        machine: Machine,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> io::Result<Self> {
        let course = Course::new(Arc::clone(&host.roster), assignment.attempt, machine, orders);
        // A log to follow must be there; only a new attempt's may be made by the daemon here.
        let known = spool.records_path().exists();
        if !known {
            RecordWriter::open(&spool.records_path())?;
        }
        let shipment = host.logs.follow(assignment.task, &spool, &host.watch, known)?;
        let host = Arc::clone(host);
        let findings = Findings::none();
        let work = Work {
            host,
            spool,
            assignment,
            shim: None,
            seat: None,
            stopping: false,
            findings,
            taken: None,
            shipment,
            journal: None,
        };
        Ok(Self { course, work, first: None })
    }

    /// Runs the attempt to its end.
    pub async fn run(self) {
        let Assignment { task, attempt, .. } = self.work.assignment;
        let span = tracing::info_span!("attempt", %task, %attempt);
        Box::pin(self.take_steps()).instrument(span).await;
    }

    async fn take_steps(self) {
        let Self { mut course, mut work, first } = self;
        let mut next = match first {
            Some(step) => Some(step),
            None => course.attend(std::future::pending(), || {}).await,
        };
        while let Some(step) = next {
            let token = CancellationToken::new();
            let interrupt = || token.cancel();
            next = match step {
                Step::Prepare => course.attend(Box::pin(work.prepare(&token)), interrupt).await,
                Step::Start => course.attend(work.start(&token), interrupt).await,
                Step::Follow => course.attend(Box::pin(work.follow(&token)), interrupt).await,
                Step::Save => {
                    let outcome = course.outcome();
                    course.attend(Box::pin(work.save(&outcome)), interrupt).await
                }
                Step::Deliver { push } => course.attend(work.deliver(push), interrupt).await,
                Step::Report => {
                    if !outbox::holds(&work.spool) {
                        work.write_report(course.outcome()).await;
                    }
                    course.attend(work.post(), interrupt).await
                }
                Step::Remove => {
                    Box::pin(work.leave()).await;
                    None
                }
            };
        }
    }
}

impl Work {
    /// Writes down how far the attempt has come. A sync of the disk, apart from the loops.
    pub(super) async fn progress(&mut self, progress: Progress) -> io::Result<()> {
        self.assignment.progress = progress;
        let (assignment, spool) = (self.assignment.clone(), self.spool.clone());
        blocking::run(move || assignment.write(&spool)).await
    }

    /// The log, for what the worker itself has to say. Only while no shim has it.
    pub(super) async fn journal(&mut self) -> io::Result<Arc<Journal>> {
        if let Some(journal) = &self.journal {
            return Ok(Arc::clone(journal));
        }
        let journal = Arc::new(Journal::open(&self.spool, self.host.config.max_spool).await?);
        Ok(Arc::clone(self.journal.insert(journal)))
    }

    /// Says something to people in the attempt's log.
    pub(super) async fn note(&mut self, text: String) {
        match self.journal().await {
            Ok(journal) => journal.note(text),
            Err(error) => tracing::error!(%error, text, "and the attempt's log cannot be written"),
        }
    }

    /// Leaves the log to the shim.
    pub(super) fn close_journal(&mut self) {
        self.journal = None;
    }

    pub(super) fn workspace_path(&self) -> PathBuf {
        self.host.config.root.join("workspaces").join(self.assignment.attempt.to_string())
    }

    /// Where patch and bundle are put until the coordinator has them.
    pub(super) fn out_dir(&self) -> io::Result<PathBuf> {
        let path = self.spool.path().join("out");
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// The attempt as its agent's adapter sees it.
    pub(super) fn job(&self) -> io::Result<Job> {
        let agent_home = self.spool.path().join("agent-home");
        std::fs::create_dir_all(&agent_home)?;
        let assignment = &self.assignment;
        let workspace = assignment.place().map(|place| place.path().to_owned());
        Ok(Job {
            task: assignment.task,
            attempt: assignment.attempt,
            attempt_number: assignment.attempt_number,
            spec: assignment.spec.clone(),
            workspace: workspace.unwrap_or_else(|| self.workspace_path()),
            agent_home,
            conversation: assignment.conversation(),
            traceparent: assignment.traceparent.clone(),
            brief: assignment.brief.clone(),
            notices: assignment.notices.notices.clone(),
            access: self.seat.as_ref().map(|seat| seat.access.clone()),
        })
    }

    /// Ends whatever process still carries the attempt's marker. No shim is alive when this is called.
    pub(super) async fn sweep(&self) {
        if let Err(error) = self.host.config.shims.sweep(self.assignment.attempt).await {
            tracing::error!(%error, "processes of the attempt may be left");
        }
    }

    /// Hands the report to the outbox, and waits until the coordinator has decided on it.
    async fn post(&mut self) -> Input {
        let taken = self.host.outbox.deliver(self.assignment.task, self.spool.clone()).await;
        tracing::info!(?taken, "report delivered");
        self.taken = Some(taken);
        Input::Acknowledged
    }

    /// Leaves this host once the coordinator has all of the log, with the workspace or without.
    async fn leave(&mut self) {
        self.sweep().await;
        // One that ended without a report has not said so yet.
        self.host.crew.give_back(self.assignment.spec.agent, self.assignment.attempt);
        // Of a report that came too late nobody wants the rest of the log either.
        if let Some(Taken::Accepted { .. }) = self.taken {
            match outbox::log_records(&self.spool) {
                Ok(records) => self.shipment.arrived(records).await,
                Err(error) => tracing::warn!(%error, "the report cannot be read again"),
            }
        }
        if let Err(error) = self.leave_workspace().await {
            tracing::warn!(%error, "the attempt's workspace or spool could not be kept or removed; it stays");
        }
    }

    async fn leave_workspace(&mut self) -> io::Result<()> {
        if !matches!(self.assignment.progress, Progress::Saved { .. }) && self.give_back_by_hand().await? {
            self.progress(Progress::Preparing).await?;
        }
        match self.why_kept() {
            Some(why) => self.keep(why).await,
            None => self.remove().await,
        }
    }

    fn why_kept(&self) -> Option<Why> {
        let Assignment { task, attempt, ref spec, ref progress, .. } = self.assignment;
        self.assignment.place()?;
        if self.findings.keep || matches!(progress, Progress::Saved { keep: true, .. }) {
            let wished = spec.leftovers == Leftovers::Keep;
            return Some(if wished { Why::LeftChanges } else { Why::Unsaved });
        }
        let goes_on = match self.taken {
            Some(Taken::Accepted { task_ended }) => !task_ended,
            // Elsewhere, as a rule.
            Some(Taken::Superseded) | None => self.host.roster.holds_another_of(task, attempt),
        };
        (goes_on && self.can_be_gone_on_from()).then_some(Why::Resumable)
    }

    async fn keep(&self, why: Why) -> io::Result<()> {
        let (kept, spool) = (KeptWorkspaces::new(&self.host.config.root), self.spool.clone());
        blocking::run(move || kept.keep(&spool, why, now())).await
    }

    async fn remove(&mut self) -> io::Result<()> {
        let ended = matches!(self.taken, Some(Taken::Accepted { task_ended: true }));
        if !ended && !self.spool.shim_path().exists() && self.has_taken().await? {
            // No agent of this attempt's was in the workspace: it goes back to where it was taken from.
            self.progress(Progress::Preparing).await?;
        }
        let (kept, spool) = (KeptWorkspaces::new(&self.host.config.root), self.spool.clone());
        let doomed = blocking::run(move || kept.doom_spool(&spool)).await?;
        doomed.remove(&self.host.repos, &self.host.config.root.join("workspaces")).await
    }
}

/// The worker could not do its part.
pub(super) fn worker_error(why: impl ToString) -> Failure {
    Failure { reason: FailureReason::WorkerError, message: why.to_string() }
}
