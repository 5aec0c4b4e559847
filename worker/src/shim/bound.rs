//! The agent's output, kept within the spool's bound.
//!
//! An agent is never slowed or ended for what it prints. Once its log has reached the bound, whole lines
//! are left out, with a mark in their place; the last ones of each output are held back in memory and
//! written when it has ended, since the line that says how it went is among them.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use bytes::Bytes;
use factory_proto::v1::LogStream;

use crate::spool::RecordWriter;

/// Bytes held back of each output; at least its last line.
const TAIL: usize = 256 * 1024;
/// A longer line is left out even where it is the last one. The longest that agents print as their
/// result are a few megabytes.
const MAX_LINE: usize = 8 * 1024 * 1024;
/// Whoever follows the log sees a sign of the agent's life this often, as long as it prints anything.
const MARK_EVERY: Duration = Duration::from_secs(30);

/// The log's writer, with a bound.
pub struct BoundedLog {
    writer: RecordWriter,
    /// Bytes of the log's file.
    bound: u64,
    /// Outputs whose last record is not the end of its line.
    open: [bool; 2],
    beyond: Option<Beyond>,
}

impl BoundedLog {
    pub fn new(writer: RecordWriter, bound: u64) -> Self {
        Self { writer, bound, open: [false; 2], beyond: None }
    }

    /// Takes a line of one of the agent's outputs, or a piece of one.
    pub fn piece(&mut self, at_ms: i64, stream: LogStream, data: &[u8], continues: bool) -> io::Result<()> {
        if self.beyond.is_none() && self.writer.length() < self.bound {
            self.open[output(stream)] = continues;
            return self.writer.piece(at_ms, stream, data, continues);
        }
        let now = Instant::now();
        if self.beyond.is_none() {
            self.beyond = Some(Beyond::begin(self.open, now));
            for stream in [LogStream::Stdout, LogStream::Stderr] {
                if self.open[output(stream)] {
                    self.writer.piece(at_ms, stream, b"", false)?;
                }
            }
        }
        let Some(beyond) = &mut self.beyond else { return Ok(()) };
        beyond.take(at_ms, stream, data, continues);
        match beyond.mark_due(now) {
            Some(left_out) => self.mark(at_ms, left_out),
            None => Ok(()),
        }
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The outputs have ended: writes what was held back.
    pub fn close(&mut self, at_ms: i64) -> io::Result<()> {
        if let Some(beyond) = self.beyond.take() {
            let (left_out, lines) = beyond.end();
            self.mark(at_ms, left_out)?;
            for line in lines {
                self.writer.line(line.at_ms, line.stream, line.text.into())?;
            }
        }
        self.writer.sync()
    }

    fn mark(&mut self, at_ms: i64, left_out: LeftOut) -> io::Result<()> {
        let (LeftOut { lines, bytes }, bound) = (left_out, self.bound >> 20);
        let text = if lines == 0 {
            format!(
                "the log has reached its bound of {bound} MiB (--max-spool-mib); its last lines follow at the end"
            )
        } else {
            format!(
                "{lines} lines ({bytes} bytes) left out here: the log's bound is {bound} MiB (--max-spool-mib)"
            )
        };
        self.writer.line(at_ms, LogStream::Factory, Bytes::from(text))
    }
}

fn output(stream: LogStream) -> usize {
    usize::from(stream != LogStream::Stdout)
}

/// Since the last mark.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct LeftOut {
    lines: u64,
    bytes: u64,
}

/// What comes after the bound.
struct Beyond {
    tails: [Tail; 2],
    /// Lines so far, for their order.
    count: u64,
    left_out: LeftOut,
    next_mark: Instant,
}

#[derive(Default)]
struct Tail {
    lines: VecDeque<Line>,
    /// Of `lines`.
    bytes: usize,
    /// The line that is not complete.
    open: Vec<u8>,
    /// Its rest is left out.
    discarding: bool,
}

struct Line {
    order: u64,
    at_ms: i64,
    stream: LogStream,
    text: Vec<u8>,
}

impl Beyond {
    /// `open`: outputs in the middle of a line, whose rest is left out.
    fn begin(open: [bool; 2], now: Instant) -> Self {
        let tails = open.map(|discarding| Tail { discarding, ..Tail::default() });
        Self { tails, count: 0, left_out: LeftOut::default(), next_mark: now }
    }

    fn take(&mut self, at_ms: i64, stream: LogStream, data: &[u8], continues: bool) {
        let (tail, left_out) = (&mut self.tails[output(stream)], &mut self.left_out);
        tail.open.extend_from_slice(data);
        if tail.discarding || tail.open.len() > MAX_LINE {
            left_out.bytes += tail.open.len() as u64;
            left_out.lines += u64::from(!continues);
            tail.open.clear();
            tail.discarding = continues;
            return;
        }
        if continues {
            return;
        }
        let text = std::mem::take(&mut tail.open);
        tail.bytes += text.len();
        tail.lines.push_back(Line { order: self.count, at_ms, stream, text });
        self.count += 1;
        while tail.bytes > TAIL && tail.lines.len() > 1 {
            let Some(line) = tail.lines.pop_front() else { break };
            tail.bytes -= line.text.len();
            left_out.bytes += line.text.len() as u64;
            left_out.lines += 1;
        }
    }

    fn mark_due(&mut self, now: Instant) -> Option<LeftOut> {
        if now < self.next_mark {
            return None;
        }
        self.next_mark = now + MARK_EVERY;
        Some(std::mem::take(&mut self.left_out))
    }

    /// What was left out since the last mark, and the last lines in their order.
    fn end(self) -> (LeftOut, Vec<Line>) {
        let mut lines: Vec<Line> = self.tails.into_iter().flat_map(|tail| tail.lines).collect();
        lines.sort_by_key(|line| line.order);
        (self.left_out, lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LogStream::{Stderr, Stdout};

    fn beyond() -> (Beyond, Instant) {
        let now = Instant::now();
        (Beyond::begin([false; 2], now), now)
    }

    #[test]
    fn the_last_lines_of_both_outputs_are_held_back_in_order() {
        let (mut beyond, _) = beyond();
        let long = vec![b'x'; 1000];
        for at in 0..1000 {
            beyond.take(at, Stdout, &long, false);
        }
        beyond.take(1000, Stdout, b"result, ", true);
        for at in 1001..2000 {
            beyond.take(at, Stderr, &long, false);
        }
        beyond.take(2000, Stdout, b"in two pieces", false);
        let (left_out, lines) = beyond.end();
        let held = |stream| lines.iter().filter(|line| line.stream == stream).count();
        assert_eq!((held(Stdout), held(Stderr)), (1 + 262, 262), "whole lines within the tail");
        assert_eq!(left_out, LeftOut { lines: 1999 - 524, bytes: (1999 - 524) * 1000 });
        assert_eq!(lines.last().map(|line| line.text.as_slice()), Some(&b"result, in two pieces"[..]));
        assert!(lines.is_sorted_by_key(|line| line.at_ms));
    }

    #[test]
    fn a_last_line_longer_than_the_tail_is_kept_and_an_endless_one_is_not() {
        let (mut beyond, _) = beyond();
        beyond.take(1, Stdout, b"short", false);
        beyond.take(2, Stdout, &vec![b'x'; 2 * TAIL], false);
        let chunk = vec![b'y'; 64 * 1024];
        for _ in 0..1000 {
            beyond.take(3, Stderr, &chunk, true);
            assert!(beyond.tails[1].open.len() <= MAX_LINE);
        }
        beyond.take(4, Stderr, b"", false);
        beyond.take(5, Stderr, b"after", false);
        let (left_out, lines) = beyond.end();
        assert_eq!(lines.iter().map(|line| line.text.len()).collect::<Vec<_>>(), [2 * TAIL, 5]);
        assert_eq!(left_out, LeftOut { lines: 2, bytes: 5 + 1000 * 64 * 1024 });
    }

    #[test]
    fn a_mark_comes_at_once_and_then_twice_a_minute() {
        let (mut beyond, start) = beyond();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(beyond.mark_due(at(0)), Some(LeftOut::default()));
        beyond.take(1, Stdout, &vec![b'x'; TAIL], false);
        beyond.take(2, Stdout, b"more", false);
        assert_eq!(beyond.mark_due(at(29)), None);
        assert_eq!(beyond.mark_due(at(30)), Some(LeftOut { lines: 1, bytes: TAIL as u64 }));
        assert_eq!(beyond.mark_due(at(59)), None);
        assert_eq!(beyond.mark_due(at(61)), Some(LeftOut::default()));
    }
}
