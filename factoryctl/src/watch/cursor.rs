//! Where a watch stands, as one word that can be typed.
//!
//! `118,42=1.37`: the event feed up to event 118, and of task 42 the log of its
//! first attempt up to, but without, record 37.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What a watch has shown so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchCursor {
    /// The last event shown.
    pub event: u64,
    /// By task number: the first log record not shown.
    pub logs: BTreeMap<u64, LogPlace>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPlace {
    pub attempt: u32,
    pub offset: u64,
}

impl fmt::Display for WatchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event)?;
        for (task, place) in &self.logs {
            write!(f, ",{task}={}.{}", place.attempt, place.offset)?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not a cursor such as `118,42=1.37`, as an earlier watch printed it")]
pub struct InvalidCursor;

impl FromStr for WatchCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut parts = text.split(',');
        let event = number(parts.next().unwrap_or_default())?;
        let mut logs = BTreeMap::new();
        for part in parts {
            let (task, place) = part.split_once('=').ok_or(InvalidCursor)?;
            let (attempt, offset) = place.split_once('.').ok_or(InvalidCursor)?;
            let place = LogPlace { attempt: number(attempt)?, offset: number(offset)? };
            if logs.insert(number(task)?, place).is_some() {
                return Err(InvalidCursor);
            }
        }
        Ok(Self { event, logs })
    }
}

/// Digits alone: no sign, no space.
fn number<T: FromStr>(text: &str) -> Result<T, InvalidCursor> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(InvalidCursor);
    }
    text.parse().map_err(|_| InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = WatchCursor {
            event: 118,
            logs: [(42, LogPlace { attempt: 1, offset: 37 }), (43, LogPlace { attempt: 2, offset: 0 })]
                .into(),
        };
        assert_eq!(cursor.to_string(), "118,42=1.37,43=2.0");
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!("7".parse(), Ok(WatchCursor { event: 7, logs: BTreeMap::new() }));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "x",
            "-1",
            "+1",
            "1,",
            "1,2",
            "1,2=3",
            "1,2=3.",
            "1,2=3.4,2=3.5",
            "1 ,2=3.4",
            "99999999999999999999",
        ] {
            assert_eq!(bad.parse::<WatchCursor>(), Err(InvalidCursor), "{bad:?}");
        }
    }
}
