//! A batch: as planned, and as submitted.

use factory_proto::v1;
use serde::Serialize;

use super::task::SubmittedView;
use crate::batch::Planned;

/// A task that was not sent.
#[derive(Debug, Serialize)]
pub struct PlannedView<'a> {
    pub name: &'a str,
    pub wave: usize,
    pub phase: Option<&'a str>,
    pub title: String,
    pub role: &'a str,
    pub agent: &'a str,
    pub repo: &'a str,
    pub directory: &'a str,
    pub after: &'a [String],
    pub touches: &'a [String],
    pub keys: &'a [String],
}

impl<'a> PlannedView<'a> {
    /// `spec` is the task's own.
    pub fn new(planned: &'a Planned, spec: &'a v1::TaskSpec) -> Self {
        Self {
            name: &planned.name,
            wave: planned.wave,
            phase: planned.phase.as_ref().map(|phase| phase.0.as_str()),
            title: planned.title(),
            role: &spec.role,
            agent: &spec.agent,
            repo: &spec.repo,
            directory: &spec.directory,
            after: &planned.task.after,
            touches: &spec.touches,
            keys: &spec.keys,
        }
    }
}

/// A task that was.
#[derive(Debug, Serialize)]
pub struct BatchTaskView<'a> {
    pub name: &'a str,
    #[serde(flatten)]
    pub submitted: SubmittedView<'a>,
}
