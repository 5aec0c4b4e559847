//! What the end-to-end tests stand on: real binaries over real sockets, and the real
//! Claude Code CLI before a scripted Messages API.

pub mod harness;
pub mod messages_api;
