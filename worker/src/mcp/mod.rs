//! The endpoint that agents are given to act beside their own work: ask, post, lock, remember, hand on.
//!
//! One listener on loopback serves all of a worker's agents. Each attempt has a secret of its own, and a
//! [`Seat`] that knows its identity: whatever an agent sends, the worker acts for that attempt alone, over its
//! own connection to the coordinator. Port and secrets are on disk, so that agents that outlive
//! the daemon go on using them after its restart; calls are stateless, so that they find nothing missing.
//!
//! Trouble is told to the agent in words and within bounds: a tool that hangs, or fails with a code, teaches a
//! model nothing.

mod access;
pub mod asked;
mod endpoint;
mod link;
mod mailbox;
mod seat;
mod tools;
mod words;

pub use access::Access;
#[cfg(test)]
pub use access::Secret;
pub use endpoint::{Endpoint, TakenSeat, Who, serve};
pub use link::Trouble;
pub use seat::Seat;
pub use tools::WAITING;
pub use words::{NEWS, news};
