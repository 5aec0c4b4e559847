//! The coordinator: a durable queue, leases over streaming gRPC, an event feed and a log store.
//!
//! [`Coordinator::start`] runs one inside any program; the daemon in `main.rs` is such a program.
//! [`Coordinator::start_on`] takes the network, the store and the clock from its caller.
//!
//! | room | what |
//! |---|---|
//! | `app` | the use cases, one a file |
//! | `store` | tasks, attempts, events, workers: a trait of verbs, and SQLite behind it |
//! | `logs`, `artifacts` | what agents print, and the files kept of their work |
//! | `library` | roles and templates: the built-in ones, and a user's own |
//! | `embeddings` | texts as vectors, by an endpoint elsewhere |
//! | `auth` | who may call, and from where |
//! | `grpc`, `http` | handlers that translate |
//! | `background` | the loops that offer tasks and apply what is due |

mod app;
pub mod artifacts;
mod auth;
mod background;
pub mod clock;
pub mod config;
mod coordinator;
pub mod embeddings;
mod grpc;
mod http;
pub mod library;
pub mod logs;
pub mod server;
pub mod store;
pub mod telemetry;

pub use config::Config;
pub use coordinator::{Coordinator, Footing, StartError};
