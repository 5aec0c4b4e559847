//! Whole lines out of log records. A line longer than a record comes in pieces;
//! a watch that is broken off between them must begin it again.

use bytes::{Bytes, BytesMut};
use factory_proto::v1::{LogRecord, LogStream};

use crate::watch::cursor::LogPlace;

/// A line, whole.
#[derive(Debug, PartialEq)]
pub struct Line {
    pub attempt: u32,
    /// Of its first record.
    pub offset: u64,
    /// By the worker's clock.
    pub at_ms: i64,
    pub stream: LogStream,
    pub data: Bytes,
    /// Where to go on after it.
    pub next: LogPlace,
}

/// Joins the pieces of one task's lines. A worker writes a line's pieces one
/// after the other, so at most one line is open.
#[derive(Debug, Default)]
pub struct Joiner {
    open: Option<(LogRecord, BytesMut)>,
}

impl Joiner {
    /// Takes the next record; gives the line that it completes.
    pub fn push(&mut self, attempt: u32, record: LogRecord) -> Option<Line> {
        let next = LogPlace { attempt, offset: record.offset + 1 };
        if record.continues {
            match &mut self.open {
                Some((_, data)) => data.extend_from_slice(&record.data),
                None => {
                    let data = BytesMut::from(&record.data[..]);
                    self.open = Some((record, data));
                }
            }
            return None;
        }
        let (first, data) = match self.open.take() {
            None => {
                let data = record.data.clone();
                (record, data)
            }
            Some((first, mut data)) => {
                data.extend_from_slice(&record.data);
                (first, data.freeze())
            }
        };
        Some(Line { attempt, offset: first.offset, at_ms: first.at_ms, stream: first.stream(), data, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(offset: u64, data: &'static str, continues: bool) -> LogRecord {
        LogRecord {
            offset,
            at_ms: 5,
            stream: LogStream::Stdout.into(),
            data: Bytes::from_static(data.as_bytes()),
            continues,
        }
    }

    #[test]
    fn pieces_become_one_line_with_the_place_after_it() {
        let mut joiner = Joiner::default();
        assert_eq!(joiner.push(1, record(3, "ab", true)), None);
        assert_eq!(joiner.push(1, record(4, "cd", true)), None);
        let line = joiner.push(1, record(5, "e", false)).expect("whole");
        assert_eq!((line.offset, &line.data[..], line.next.offset), (3, &b"abcde"[..], 6));
        let line = joiner.push(1, record(6, "", false)).expect("an empty line is a line");
        assert_eq!((line.offset, line.data.len()), (6, 0));
    }
}
