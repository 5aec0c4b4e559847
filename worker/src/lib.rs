//! The worker: a git worktree and an agent process for each attempt, logs and heartbeats streamed back.

pub mod agents;
pub mod environment;
pub mod process;
pub mod shim;
pub mod spool;
