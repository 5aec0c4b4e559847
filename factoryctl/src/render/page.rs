//! What pages about one thing have in common: named fields under a heading.

use std::fmt::Write as _;

use crate::render::console::DIM;
use crate::render::plain;

/// One field on a line of its own; nothing where it is empty.
pub fn field(page: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "  {DIM}{name:<12}{DIM:#} {}", plain::line(value));
    }
}
