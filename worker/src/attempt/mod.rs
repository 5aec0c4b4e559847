//! The attempt, from lease to result: a pure state machine, and beside it the code that acts for it.

pub mod assignment;
mod by_hand;
mod checkpoint;
mod continuity;
mod course;
mod deadlines;
mod fetch;
mod follow;
mod journal;
mod machine;
mod prepare;
mod resume;
mod run;
mod said;
mod save;
mod seat;
mod upstreams;

pub use course::Order;
pub use machine::{Cause, Phase};
pub use run::Attempt;

use factory_domain::Timestamp;

/// This host's clock: spans of an attempt are measured on it, leases never are.
pub fn now() -> Timestamp {
    Timestamp::from_millis(jiff::Timestamp::now().as_millisecond())
}
