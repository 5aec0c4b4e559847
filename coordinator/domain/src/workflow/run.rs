//! What comes next.

use super::{Condition, Definition, Review};

/// What became of one step in one round. A step runs at most once in each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRun {
    /// Counted from 0.
    pub step: usize,
    /// Counted from 1.
    pub iteration: u32,
    /// `None`: it runs.
    pub end: Option<StepEnd>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepEnd {
    /// Its condition did not hold.
    Skipped,
    /// With its review, where it gave one.
    Succeeded {
        review: Option<Review>,
    },
    Failed {
        why: String,
    },
    Cancelled,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    Start {
        step: usize,
        iteration: u32,
    },
    /// The step is passed over, for this reason.
    Skip {
        step: usize,
        iteration: u32,
        why: String,
    },
    /// A step runs.
    Wait,
    Done(Ending),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    Completed,
    Failed { why: String },
    Cancelled,
}

/// What comes after `history`, the steps so far in their order.
pub fn next(definition: &Definition, history: &[StepRun]) -> Next {
    let Some(last) = history.last() else { return Next::Start { step: 0, iteration: 1 } };
    let Some(step) = definition.steps.get(last.step) else {
        return failed(format!("step {} is not in the definition", last.step + 1));
    };
    let (step, iteration) = match &last.end {
        None => return Next::Wait,
        Some(StepEnd::Cancelled) => return Next::Done(Ending::Cancelled),
        Some(StepEnd::Failed { why }) => {
            return failed(format!("{} failed: {why}", definition.say(last.step)));
        }
        Some(StepEnd::Succeeded { review: None }) if step.judges => {
            return failed(format!("{} ended without a verdict", definition.say(last.step)));
        }
        Some(StepEnd::Succeeded { .. }) => match step.loop_to {
            Some(target) => (target, last.iteration.saturating_add(1)),
            None => (last.step + 1, last.iteration),
        },
        Some(StepEnd::Skipped) => (last.step + 1, last.iteration),
    };
    consider(definition, history, step, iteration)
}

fn failed(why: String) -> Next {
    Next::Done(Ending::Failed { why })
}

fn consider(definition: &Definition, history: &[StepRun], step: usize, iteration: u32) -> Next {
    let Some(candidate) = definition.steps.get(step) else { return Next::Done(Ending::Completed) };
    let exhausted = candidate.loop_to.is_some() && iteration > definition.max_iterations;
    let review = candidate.condition.map(|(condition, read)| (condition, latest_review(history, read)));
    match review {
        Some((condition, None)) => {
            let why = format!("there is no review to ask whether `{}` holds", condition.as_str());
            Next::Skip { step, iteration, why }
        }
        Some((condition, Some(review))) if !condition.holds(review) => {
            Next::Skip { step, iteration, why: not_so(condition, review) }
        }
        Some((_, Some(review))) if exhausted => failed(format!(
            "{} found after the last of {} rounds: {}",
            review.in_short(),
            definition.max_iterations,
            review.summary.trim()
        )),
        None if exhausted => Next::Skip {
            step,
            iteration,
            why: format!("the last of {} rounds was before", definition.max_iterations),
        },
        _ => Next::Start { step, iteration },
    }
}

fn latest_review(history: &[StepRun], step: usize) -> Option<&Review> {
    let latest = history.iter().rev().find(|run| run.step == step)?;
    match &latest.end {
        Some(StepEnd::Succeeded { review }) => review.as_ref(),
        _ => None,
    }
}

fn not_so(condition: Condition, review: &Review) -> String {
    format!("`{}` does not hold: {}", condition.as_str(), review.in_short())
}

impl Definition {
    fn say(&self, step: usize) -> String {
        let name = self.steps.get(step).map(|step| step.name.as_str()).unwrap_or_default();
        format!("step {} ({name})", step + 1)
    }
}

/// How a workflow stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkflowState {
    /// No step has begun.
    Pending,
    Running,
    Completed,
    Failed {
        why: String,
    },
    Cancelled,
}

impl WorkflowState {
    pub const NAMES: [&'static str; 5] = ["pending", "running", "completed", "failed", "cancelled"];

    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed { .. } => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Failed { why } => Some(why),
            _ => None,
        }
    }

    /// By its name and, of one that failed, why.
    pub fn from_parts(name: &str, failure: Option<String>) -> Option<Self> {
        match (name, failure) {
            ("pending", None) => Some(Self::Pending),
            ("running", None) => Some(Self::Running),
            ("completed", None) => Some(Self::Completed),
            ("failed", Some(why)) => Some(Self::Failed { why }),
            ("cancelled", None) => Some(Self::Cancelled),
            _ => None,
        }
    }

    pub const fn has_ended(&self) -> bool {
        matches!(self, Self::Completed | Self::Failed { .. } | Self::Cancelled)
    }
}

impl From<Ending> for WorkflowState {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Completed => Self::Completed,
            Ending::Failed { why } => Self::Failed { why },
            Ending::Cancelled => Self::Cancelled,
        }
    }
}
