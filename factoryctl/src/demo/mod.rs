//! What the demo works on, what it has done, and how that looks while it happens.

pub mod progress;
pub mod scratch;
pub mod tasks;
