//! The coordinator: a durable queue, leases over streaming gRPC, an event feed and a log store.

pub mod artifacts;
pub mod logs;
pub mod store;
