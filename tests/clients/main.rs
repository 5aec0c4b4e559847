//! Clients in other languages, against the real coordinator: gRPC from Python, and the REST API as its OpenAPI
//! document has it.

mod openapi;
mod python;
