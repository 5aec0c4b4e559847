//! End to end: what a user does, with the real binaries over real sockets.

mod alone;
mod bad_input;
mod claude;
mod dag;
mod drain;
mod endings;
mod fleet;
mod full_disk;
mod limits;
mod logins;
mod memory;
mod messages;
mod messages_api;
mod questions;
mod repos;
mod resume;
mod served;
mod service;
mod work;
mod worker_disk;
mod workflow;
