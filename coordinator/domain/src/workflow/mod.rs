//! Workflows: steps by agents, one after the other, with conditions and loops.
//!
//! A [`Definition`] says which steps there are. What has become of them so far is a list of
//! [`StepRun`]s that only grows, and [`next`] says from both, and from nothing else, what
//! comes now. So a workflow can be taken up again in any step, by anyone who has the list.

mod definition;
mod review;
mod run;

pub use definition::{Definition, DefinitionDraft, DefinitionProblem, Step, StepDraft};
pub use review::{Condition, Issue, Review, Severity, VERDICT_SCHEMA, Verdict};
pub use run::{Ending, Next, StepEnd, StepRun, WorkflowState, next};
