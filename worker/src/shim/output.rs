//! One output of the agent, cut into log records.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use factory_proto::record::MAX_DATA;
use factory_proto::v1::LogStream;

use super::bound::BoundedLog;

/// The reading end of a pipe, and the line it is in the middle of.
pub struct Output {
    /// `None`: read to its end.
    pipe: Option<File>,
    stream: LogStream,
    cutter: LineCutter,
}

impl Output {
    pub fn new(pipe: impl Into<OwnedFd>, stream: LogStream) -> Self {
        Self { pipe: Some(File::from(pipe.into())), stream, cutter: LineCutter::default() }
    }

    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads once; blocks unless the pipe was found readable. `None`: the pipe has ended.
    pub fn read<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        let Some(pipe) = &mut self.pipe else { return Ok(None) };
        match pipe.read(buffer) {
            Ok(0) => self.pipe = None,
            Ok(length) => return Ok(Some(&buffer[..length])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Some(&[])),
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    pub fn record(&mut self, bytes: &[u8], log: &mut BoundedLog) -> io::Result<()> {
        let (at_ms, stream) = (now_ms(), self.stream);
        self.cutter.push(bytes, |data, continues| log.piece(at_ms, stream, data, continues))?;
        log.flush()
    }

    /// Keeps a last line that has no break at its end.
    pub fn finish(&mut self, log: &mut BoundedLog) -> io::Result<()> {
        let (at_ms, stream) = (now_ms(), self.stream);
        self.cutter.finish(|data, continues| log.piece(at_ms, stream, data, continues))?;
        log.flush()
    }
}

pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Cuts bytes into lines, and lines into pieces of at most [`MAX_DATA`] bytes.
#[derive(Default)]
struct LineCutter {
    /// What has come of the piece that is not complete. A full piece waits here until it is
    /// known whether its line goes on.
    piece: Vec<u8>,
}

impl LineCutter {
    fn push(
        &mut self,
        mut bytes: &[u8],
        mut emit: impl FnMut(&[u8], bool) -> io::Result<()>,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = MAX_DATA - self.piece.len();
            let line_end = bytes.iter().take(room + 1).position(|byte| *byte == b'\n');
            if let Some(end) = line_end {
                self.piece.extend_from_slice(&bytes[..end]);
                bytes = &bytes[end + 1..];
                emit(&self.piece, false)?;
                self.piece.clear();
            } else if room == 0 {
                emit(&self.piece, true)?;
                self.piece.clear();
            } else {
                let taken = room.min(bytes.len());
                self.piece.extend_from_slice(&bytes[..taken]);
                bytes = &bytes[taken..];
            }
        }
        Ok(())
    }

    fn finish(&mut self, mut emit: impl FnMut(&[u8], bool) -> io::Result<()>) -> io::Result<()> {
        if !self.piece.is_empty() {
            emit(&self.piece, false)?;
            self.piece.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut pieces = Vec::new();
        let mut cutter = LineCutter::default();
        let mut emit = |data: &[u8], continues| {
            pieces.push((data.to_vec(), continues));
            Ok(())
        };
        for chunk in chunks {
            cutter.push(chunk, &mut emit).unwrap();
        }
        cutter.finish(&mut emit).unwrap();
        pieces
    }

    #[test]
    fn a_line_just_as_long_as_a_record_is_one_record() {
        let line = [vec![b'x'; MAX_DATA], b"\nnext".to_vec()].concat();
        let pieces = cut(&[&line]);
        assert_eq!(pieces, [(vec![b'x'; MAX_DATA], false), (b"next".to_vec(), false)]);
        let longer = vec![b'x'; MAX_DATA + 1];
        assert_eq!(cut(&[&longer]), [(vec![b'x'; MAX_DATA], true), (b"x".to_vec(), false)]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn lines_come_out_as_they_went_in_however_they_arrive(
            lengths in prop::collection::vec(prop_oneof![0usize..5, MAX_DATA - 2..MAX_DATA + 3], 1..6),
            chunk in 1usize..100_000,
        ) {
            let lines: Vec<Vec<u8>> = lengths.iter().map(|length| vec![b'a'; *length]).collect();
            let mut text = lines.join(&b'\n');
            text.push(b'\n');
            let pieces = cut(&text.chunks(chunk).collect::<Vec<_>>());
            let mut joined = vec![Vec::new()];
            for (data, continues) in pieces {
                prop_assert!(data.len() <= MAX_DATA);
                joined.last_mut().expect("never empty").extend(data);
                if !continues {
                    joined.push(Vec::new());
                }
            }
            joined.pop();
            prop_assert_eq!(joined, lines);
        }
    }
}
