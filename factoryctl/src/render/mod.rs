//! How things look: one file a kind of thing. Nothing here talks to a coordinator.

pub mod advice;
pub mod batch;
pub mod board;
pub mod console;
pub mod diff;
pub mod event;
pub mod family;
pub mod json;
pub mod library;
pub mod memory;
pub mod page;
pub mod plain;
pub mod question;
pub mod repo;
pub mod summary;
pub mod table;
pub mod task;
pub mod transcript;
pub mod units;
pub mod worker;
pub mod workflow;
pub mod worktree;

pub use console::{Console, Format};
