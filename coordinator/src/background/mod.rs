//! The loops that keep the factory going when nobody calls.
//!
//! Each is a reconciler: it takes no input, looks at what is, does what is due,
//! and may be run at any time without harm. Each runs when poked and on a timer,
//! so that a lost poke costs time and nothing else, and ends on the app's token.

pub mod disk;
pub mod dispatch;
pub mod due;
pub mod embed;
pub mod remember;
pub mod report_back;
pub mod retention;
pub mod workflows;

use std::time::Duration;

/// The pause after the store has failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);
