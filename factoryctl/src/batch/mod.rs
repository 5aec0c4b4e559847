//! A file of many tasks: read, checked as a whole, and made into one submit.
//!
//! Everything that can be found wrong without asking the coordinator is found here, all at once,
//! with the place in the file.

mod entry;
mod file;
mod place;
mod plan;
mod waves;

pub use entry::{Entry, Span};
pub use file::read;
pub use plan::{Batch, Planned, Settings, plan};
