//! The reconciler of the worker's disk: kept workspaces, the repository cache, and what crashes leave.
//!
//! A sweep takes no input but the disk itself: it looks at what is there ([`survey`]), decides what goes
//! ([`policy`], which is pure), removes that and says why ([`sweep`]). It may be ended at any moment and
//! run any number of times.
//!
//! Nothing is removed that is nowhere else. Of kept workspaces only those go that were saved with the
//! coordinator, or whose commits someone has pushed, with no changes left beside them. Worktrees made by hand are
//! a person's, and stay. A workspace that nobody owns goes only where git shows that it has neither changes nor
//! commits that the origin lacks, and a branch or a clone likewise; in doubt they stay, and are named in
//! the worker's own log.

mod floor;
mod policy;
mod survey;
mod sweep;
#[cfg(test)]
mod tests;

pub use floor::{keep_floor, shortage};
pub(crate) use survey::{Layout, Owned, entries};
pub use sweep::run;
