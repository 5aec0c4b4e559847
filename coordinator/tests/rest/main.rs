//! REST on the same port: its routes, its errors, and the document that says what they are.

mod caller;
mod document;
mod fleet;
mod questions;
mod refusals;
#[expect(dead_code, reason = "it serves the tests of gRPC as well, and these use a part of it")]
#[path = "../grpc/setup.rs"]
mod setup;
mod tasks;
