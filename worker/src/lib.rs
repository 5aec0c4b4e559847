//! The worker: a git worktree and an agent process for each attempt, logs and heartbeats streamed back.
//!
//! A [`Worker`] is a handful of loops, one a file, that share a roster of the attempts held:
//! the session (offers and orders), the heartbeat (leases), the logs and the outbox (what the
//! coordinator must not miss). Each attempt is a task of its own that acts for a pure state
//! machine (`attempt/`), with a workspace from [`repo`], an agent from [`agents`] and a
//! [`shim`] that owns the agent's processes and outlives this one.

mod agent_host;
pub mod agents;
mod attempt;
mod blocking;
mod by_hand;
pub mod checkpoint;
pub mod config;
mod crew;
pub mod delivery;
mod disk;
mod drain;
pub mod environment;
pub mod git;
mod heartbeat;
pub mod host_lease;
mod host_load;
mod identity;
mod inventory;
pub mod kept;
mod logs;
mod mcp;
mod outbox;
pub mod process;
pub mod process_group;
pub mod repo;
mod repo_jobs;
mod roster;
mod session;
pub mod setup;
pub mod shim;
pub mod shims;
pub mod spool;
mod spool_watch;
mod uplink;
pub mod workspace;
pub mod worktree;

pub use agent_host::{StartError, Worker};
pub use config::WorkerConfig;
