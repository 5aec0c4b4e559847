//! The attempt as a pure state machine: what has happened goes in, what must be done comes out.
//!
//! It has no clock, no disk and no process. [`super::run`] acts for it and tells it
//! what came of that. The one rule behind the table: an attempt is ended early
//! by a [`Cause`], the gravest cause counts, and whatever the phase, the way
//! leads to `Done` with either one report or none.

use factory_domain::{Failure, FailureReason, Outcome};
use factory_proto::v1;

/// Where an attempt stands on its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Accepted; the coordinator has not confirmed yet, so nothing may be done.
    Accepted,
    Preparing,
    /// All is ready; the agent's process is being started.
    Starting,
    Running,
    /// The agent and all its processes are gone; its work is being saved.
    Saving,
    /// The work is saved on this host and on its way to where it belongs.
    Delivering,
    /// The report is on disk, and waits for its acknowledgement.
    Reporting,
    Done,
}

impl Phase {
    pub const fn on_the_wire(self) -> v1::AttemptPhase {
        match self {
            Self::Accepted | Self::Preparing | Self::Starting => v1::AttemptPhase::Preparing,
            Self::Running => v1::AttemptPhase::Running,
            Self::Saving | Self::Delivering => v1::AttemptPhase::Finishing,
            Self::Reporting | Self::Done => v1::AttemptPhase::Reporting,
        }
    }

    /// Whether the attempt uses one of the worker's slots. It does until its report is taken:
    /// nobody ever sees more attempts live on a worker than it has slots.
    pub const fn holds_slot(self) -> bool {
        !matches!(self, Self::Done)
    }

    /// Whether nothing of the agent is left and its work is safe on this host.
    pub const fn is_saved(self) -> bool {
        matches!(self, Self::Reporting | Self::Done)
    }
}

/// Why an attempt ends before its agent is done. Later ones outweigh earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The worker stops, or drains no longer: others go on with the task.
    HandOver,
    /// A time limit, a hopeless agent, or lost contact.
    Failed(Failure),
    Cancelled,
    /// The task has gone on without this attempt: nobody wants its report.
    Superseded,
}

impl Cause {
    const fn weight(&self) -> u8 {
        match self {
            Self::HandOver => 0,
            Self::Failed(_) => 1,
            Self::Cancelled => 2,
            Self::Superseded => 3,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The coordinator's word that the acceptance is durable.
    Confirmed,
    Prepared,
    PreparationFailed(Failure),
    Started,
    StartFailed(Failure),
    /// End it early.
    End(Cause),
    /// The agent and everything it started are gone. `stopped`: it was told to end.
    AgentEnded {
        stopped: bool,
        verdict: Outcome,
    },
    /// Its commits and its patch are safe on this host. `failed`: saving them did not work.
    Saved {
        failed: Option<Failure>,
    },
    Delivered {
        failed: Option<Failure>,
    },
    /// The coordinator has the report, or will never want it.
    Acknowledged,
}

/// What follows from an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    Nothing,
    /// Make the step under way end early.
    Interrupt,
    Next(Step),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Prepare,
    Start,
    /// Read what the agent prints until it has ended.
    Follow,
    Save,
    /// Bring the work to the origin where `push`, and else keep it as a bundle.
    Deliver {
        push: bool,
    },
    /// Write the report with [`Machine::outcome`] and post it.
    Report,
    /// Remove every trace of the attempt from this host.
    Remove,
}

#[derive(Debug, Clone)]
pub struct Machine {
    phase: Phase,
    cause: Option<Cause>,
    /// The agent's verdict, once there is one.
    verdict: Option<Outcome>,
}

impl Machine {
    pub const fn accepted() -> Self {
        Self::at(Phase::Accepted)
    }

    /// An attempt whose shim was found running, or found done, after a restart of the worker.
    pub const fn adopted() -> Self {
        Self::at(Phase::Running)
    }

    /// An attempt whose report was found on disk.
    pub const fn reported() -> Self {
        Self::at(Phase::Reporting)
    }

    const fn at(phase: Phase) -> Self {
        Self { phase, cause: None, verdict: None }
    }

    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Something ends the attempt early.
    pub const fn is_ending(&self) -> bool {
        self.cause.is_some()
    }

    fn is_superseded(&self) -> bool {
        self.cause == Some(Cause::Superseded)
    }

    /// The outcome to report. What ended the attempt outweighs what the agent said.
    pub fn outcome(&self) -> Outcome {
        match &self.cause {
            Some(Cause::Failed(failure)) => Outcome::Failed { failure: failure.clone() },
            Some(Cause::HandOver) => Outcome::HandedOver,
            Some(Cause::Cancelled | Cause::Superseded) => Outcome::Cancelled,
            None => self.verdict.clone().unwrap_or_else(|| Outcome::Failed {
                failure: Failure {
                    reason: FailureReason::WorkerError,
                    message: "the attempt ended without a verdict".to_owned(),
                },
            }),
        }
    }

    /// Takes in what has happened. An input that has no place in the phase, such as an
    /// order that crossed the attempt's own end, changes nothing.
    pub fn apply(&mut self, input: Input) -> Reaction {
        match (self.phase, input) {
            (Phase::Accepted, Input::Confirmed) => self.go(Phase::Preparing, Step::Prepare),
            (Phase::Accepted, Input::End(cause)) => {
                self.weigh(cause);
                self.conclude()
            }
            (Phase::Preparing, Input::Prepared) if self.cause.is_none() => {
                self.go(Phase::Starting, Step::Start)
            }
            (Phase::Preparing, Input::Prepared | Input::PreparationFailed(_)) if self.cause.is_some() => {
                self.conclude()
            }
            (Phase::Preparing, Input::PreparationFailed(failure))
            | (Phase::Starting, Input::StartFailed(failure)) => {
                self.weigh(Cause::Failed(failure));
                self.conclude()
            }
            (Phase::Starting, Input::Started) => self.go(Phase::Running, Step::Follow),
            (Phase::Preparing | Phase::Starting | Phase::Running, Input::End(cause)) => self.interrupt(cause),
            (Phase::Running, Input::AgentEnded { stopped, verdict }) => self.agent_ended(stopped, verdict),
            // Once the agent is done, only a person's wish or a task gone on still changes the end;
            // once the work is on its way, only the latter.
            (Phase::Saving, Input::End(cause @ (Cause::Cancelled | Cause::Superseded)))
            | (Phase::Delivering, Input::End(cause @ Cause::Superseded)) => {
                self.weigh(cause);
                Reaction::Nothing
            }
            (Phase::Saving, Input::Saved { failed }) => {
                self.note_failed(failed);
                let push = self.outcome() == Outcome::Succeeded;
                self.go(Phase::Delivering, Step::Deliver { push })
            }
            (Phase::Delivering, Input::Delivered { failed }) => {
                self.note_failed(failed);
                self.conclude()
            }
            (Phase::Reporting, Input::Acknowledged) => self.go(Phase::Done, Step::Remove),
            _ => Reaction::Nothing,
        }
    }

    fn go(&mut self, phase: Phase, step: Step) -> Reaction {
        self.phase = phase;
        Reaction::Next(step)
    }

    fn weigh(&mut self, cause: Cause) {
        if self.cause.as_ref().is_none_or(|known| known.weight() < cause.weight()) {
            self.cause = Some(cause);
        }
    }

    /// Acts on the first cause; a graver one later only changes the outcome.
    fn interrupt(&mut self, cause: Cause) -> Reaction {
        let first = self.cause.is_none();
        self.weigh(cause);
        if first { Reaction::Interrupt } else { Reaction::Nothing }
    }

    fn agent_ended(&mut self, stopped: bool, verdict: Outcome) -> Reaction {
        // What was finished before the order to end reached it is finished.
        let finished = match self.cause {
            // Whoever is done has nothing to hand over, even where its process had to be ended.
            Some(Cause::HandOver) => !stopped || is_done(&verdict),
            Some(Cause::Superseded) => false,
            _ => !stopped && is_done(&verdict),
        };
        if finished {
            self.cause = None;
        }
        self.verdict = Some(verdict);
        self.go(Phase::Saving, Step::Save)
    }

    /// Work that could not be saved is no success, but it does not hide why the agent failed.
    fn note_failed(&mut self, failed: Option<Failure>) {
        if let (Some(failure), Outcome::Succeeded) = (failed, self.outcome()) {
            self.weigh(Cause::Failed(failure));
        }
    }

    /// What nobody wants any more is reported only where an agent was at work: its work goes before the
    /// report, and is saved by that.
    fn conclude(&mut self) -> Reaction {
        if self.is_superseded() && self.verdict.is_none() {
            self.go(Phase::Done, Step::Remove)
        } else {
            self.go(Phase::Reporting, Step::Report)
        }
    }
}

/// The agent has ended its turn by itself: with its work, or to wait for an answer.
fn is_done(verdict: &Outcome) -> bool {
    matches!(verdict, Outcome::Succeeded | Outcome::Asked)
}

#[cfg(test)]
mod tests;
