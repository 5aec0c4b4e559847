//! Logs as text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use factory_domain::Timestamp;
use factory_proto::v1::{LogRecord, LogStream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::utc;

/// A line of a log, or a piece of one that is longer than 64 KiB.
#[derive(Debug, Serialize, ToSchema)]
pub struct Line {
    /// Its place in its attempt's log, counted from 0.
    offset: u64,
    /// By the worker's clock.
    at: String,
    stream: Stream,
    /// Without the line break.
    text: String,
    /// The line goes on in the next of the same stream.
    continues: bool,
    /// Some of its bytes were no UTF-8, and U+FFFD stands for them.
    lossy: bool,
}

/// Where a line comes from: the agent's standard output and standard error, its set-up script, the worker itself.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Stream {
    Stdout,
    Stderr,
    Setup,
    Factory,
}

/// Reads the records of one attempt, in order, as lines. A long line may be cut in the middle of a character, which
/// is then read with the piece that has its end.
#[derive(Debug, Default)]
pub struct LineReader {
    /// By stream, the beginning of a character.
    begun: BTreeMap<i32, Vec<u8>>,
}

impl LineReader {
    pub fn read(&mut self, record: LogRecord) -> Line {
        let mut bytes = self.begun.remove(&record.stream).unwrap_or_default();
        let stream = record.stream();
        bytes.extend_from_slice(&record.data);
        if record.continues {
            let tail = bytes.split_off(bytes.len() - unfinished(&bytes));
            self.begun.insert(record.stream, tail);
        }
        let text = String::from_utf8_lossy(&bytes);
        Line {
            offset: record.offset,
            at: utc(Timestamp::from_millis(record.at_ms)),
            stream: match stream {
                LogStream::Unspecified | LogStream::Stdout => Stream::Stdout,
                LogStream::Stderr => Stream::Stderr,
                LogStream::Setup => Stream::Setup,
                LogStream::Factory => Stream::Factory,
            },
            lossy: matches!(text, Cow::Owned(_)),
            text: text.into_owned(),
            continues: record.continues,
        }
    }
}

/// Bytes at the end that are the beginning of a character, and no more of it.
fn unfinished(bytes: &[u8]) -> usize {
    let begins_a_character = |tail: &[u8]| {
        std::str::from_utf8(tail).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(|n| begins_a_character(&bytes[bytes.len() - n..])).unwrap_or(0)
}

/// A place in the logs of a task, as `<attempt>:<offset>`: that of the line to go on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct LogCursor {
    pub attempt: u32,
    pub offset: u64,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a place in a log is written <attempt>:<offset>, such as 1:57")]
pub struct NoLogCursor;

impl FromStr for LogCursor {
    type Err = NoLogCursor;

    fn from_str(text: &str) -> Result<Self, NoLogCursor> {
        let (attempt, offset) = text.split_once(':').ok_or(NoLogCursor)?;
        let attempt = attempt.parse().map_err(|_| NoLogCursor)?;
        Ok(Self { attempt, offset: offset.parse().map_err(|_| NoLogCursor)? })
    }
}

impl TryFrom<String> for LogCursor {
    type Error = NoLogCursor;

    fn try_from(text: String) -> Result<Self, NoLogCursor> {
        text.parse()
    }
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.attempt, self.offset)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use factory_proto::record;
    use proptest::prelude::*;

    use super::*;

    fn pieces(line: &[u8]) -> Vec<Line> {
        let records = record::split_line(0, 1, LogStream::Stdout, Bytes::copy_from_slice(line));
        let mut reader = LineReader::default();
        records.map(|record| reader.read(record)).collect()
    }

    #[test]
    fn a_long_line_is_read_whole_wherever_it_is_cut() {
        for lead in 0..4 {
            let line = format!("{}{}", "x".repeat(lead), "ж€🦀".repeat(40_000));
            let pieces = pieces(line.as_bytes());
            let text: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
            assert_eq!(text, line);
            assert!(pieces.len() > 1 && pieces.iter().all(|piece| !piece.lossy));
            assert!(pieces.iter().rev().skip(1).all(|piece| piece.continues));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        let [line] = &pieces(b"a\xffb\xe2\x82")[..] else { panic!("one line") };
        assert_eq!((line.text.as_str(), line.lossy), ("a\u{fffd}b\u{fffd}", true));
        let [line] = &pieces("\u{fffd} as it was printed".as_bytes())[..] else { panic!("one line") };
        assert!(!line.lossy);
    }

    #[test]
    fn the_streams_of_one_attempt_keep_their_characters_apart() {
        let mut reader = LineReader::default();
        let mut read = |stream: LogStream, data: &[u8], continues| {
            let data = Bytes::copy_from_slice(data);
            reader.read(LogRecord { offset: 0, at_ms: 0, stream: stream.into(), data, continues }).text
        };
        assert_eq!(read(LogStream::Stdout, b"a\xe2\x82", true), "a");
        assert_eq!(read(LogStream::Stderr, b"\x82", false), "\u{fffd}");
        assert_eq!(read(LogStream::Stdout, b"\xacb", false), "€b");
    }

    proptest! {
        #[test]
        fn a_place_is_read_back(attempt: u32, offset: u64) {
            let place = LogCursor { attempt, offset };
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }
    }
}
