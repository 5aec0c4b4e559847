//! The dashboard in a real browser, before a real coordinator and a real worker with the scripted agent.
//!
//! Without `chromium` and `chromedriver` the tests say that they are skipped; under CI that is a failure. Pictures of the
//! pages are left in `target/screenshots`. How much the pages can take, with figures:
//! `cargo test -p factory-tests --test browser -- --ignored --nocapture`.

mod outage;
mod pages;
mod sign_in;
mod stage;
mod volume;
mod work;
