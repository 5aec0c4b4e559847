//! The worker: a git worktree and an agent process for each attempt, logs and heartbeats streamed back.

pub mod agents;
pub mod delivery;
pub mod environment;
pub mod git;
pub mod process;
pub mod process_group;
pub mod repo;
pub mod setup;
pub mod shim;
pub mod spool;
pub mod workspace;
pub mod worktree;
