//! REST on the same port: its routes, its errors, and the document that says what they are.

mod board;
mod caller;
mod curl;
mod document;
mod fleet;
mod latency;
mod memory;
mod questions;
mod refusals;
mod repos;
mod seeds;
#[expect(dead_code, reason = "it serves the tests of gRPC as well, and these use a part of it")]
#[path = "../grpc/setup.rs"]
mod setup;
mod slow_readers;
mod sse;
mod submit;
mod tasks;
mod workflows;
