//! The dashboard's pages as a browser without scripts meets them.

mod board;
mod browser;
mod fleet;
mod frame;
mod lists;
mod repos;
#[path = "../grpc/setup.rs"]
#[expect(dead_code, reason = "it is the gRPC suite's, and this one does not use all of it")]
mod setup;
mod submitting;
mod task;
