//! The coordinator over a real socket, with the Rust client and a worker driven by hand.

mod affinity;
mod artifacts;
mod auth;
mod board;
mod checkpoint;
mod children;
mod continuation;
mod dependencies;
mod drain;
mod embeddings;
mod leases;
mod library;
mod load;
mod locks;
mod logs;
mod memory;
mod questions;
mod repos;
mod retention;
mod setup;
mod sign_in;
mod skew;
mod tasks;
mod watch;
mod workflows;
