//! How a task stands to others: what it waits for, whose child it is, whose work it goes on with.

use serde::{Deserialize, Serialize};

use crate::TaskId;

/// Given at the submit; of it only the hold is changed later, once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// Those that must have ended before this one starts; it starts from their branches.
    pub after: Vec<TaskId>,
    pub on_failed_dependency: DependencyPolicy,
    /// The task whose agent submitted this one, or for which it was submitted.
    pub parent: Option<TaskId>,
    /// The first attempt goes on from the last of this task: its branch, and its conversation where that was kept.
    pub goes_on_from: Option<TaskId>,
    /// It does not start until someone lets it go, whatever it waits for beside.
    #[serde(default)]
    pub hold: bool,
}

/// What becomes of a task when one that it waits for does not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyPolicy {
    /// It is cancelled, and with it what waits for it.
    #[default]
    Cancel,
    /// It is left out: cancelled itself, while what waits for it goes on as if it had succeeded.
    Skip,
    /// It runs all the same, without the work of the one that did not succeed.
    Run,
}
