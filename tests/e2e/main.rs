//! End to end: what a user does, with the real binaries.

mod messages_api;
