//! The worker: a git worktree and an agent process for each attempt, logs and heartbeats streamed back.

mod agent_host;
pub mod agents;
mod attempt;
pub mod config;
mod crew;
pub mod delivery;
pub mod environment;
pub mod git;
mod heartbeat;
mod identity;
mod logs;
mod outbox;
pub mod process;
pub mod process_group;
pub mod repo;
mod roster;
mod session;
pub mod setup;
pub mod shim;
pub mod spool;
mod spool_watch;
mod uplink;
pub mod workspace;
pub mod worktree;

pub use agent_host::{StartError, Worker};
pub use config::WorkerConfig;
