//! Log records on disk, in a worker's spool and in the coordinator's segments alike.
//!
//! A frame is `length: u32 LE`, `crc32 of the body: u32 LE`, and the body: one
//! encoded [`LogRecord`]. A file is frames one after the other. After a crash its
//! last frame may be torn; everything before it is whole.

use bytes::Bytes;
use prost::Message;

use crate::v1::{LogRecord, LogStream};

/// Bytes of one line that fit in one record; a longer line is cut into several.
pub const MAX_DATA: usize = 64 * 1024;

const HEADER: usize = 8;
/// No encoded record is longer: [`MAX_DATA`] and some room for its other fields.
const MAX_BODY: usize = MAX_DATA + 64;

/// The beginning of a buffer, read as a frame.
#[derive(Debug, PartialEq)]
pub enum Frame {
    /// One record, and the bytes it took.
    Whole { record: LogRecord, length: usize },
    /// The buffer ends before the frame does.
    Partial,
    /// These bytes are no frame: torn by a crash, or damaged.
    Damaged,
}

/// Appends one record's frame to `out`.
pub fn encode(record: &LogRecord, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER]);
    record.encode(out).expect("a Vec takes any amount");
    let body = &out[start + HEADER..];
    let length = u32::try_from(body.len()).expect("records are cut to MAX_DATA");
    let crc = crc32fast::hash(body);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + HEADER].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the frame at the beginning of `buffer`.
pub fn decode(buffer: &[u8]) -> Frame {
    let Some((header, rest)) = buffer.split_at_checked(HEADER) else { return Frame::Partial };
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let length = word(0) as usize;
    if length == 0 || length > MAX_BODY {
        return Frame::Damaged;
    }
    let Some(body) = rest.get(..length) else { return Frame::Partial };
    if crc32fast::hash(body) != word(4) {
        return Frame::Damaged;
    }
    match LogRecord::decode(body) {
        Ok(record) => Frame::Whole { record, length: HEADER + length },
        Err(_) => Frame::Damaged,
    }
}

/// The bytes that the frame at the beginning of `buffer` takes, by its own word: for
/// skipping frames that were read whole before. `None` where not even its header is there.
pub fn frame_length(buffer: &[u8]) -> Option<usize> {
    let length = buffer.first_chunk::<4>()?;
    Some(HEADER + u32::from_le_bytes(*length) as usize)
}

/// Cuts one line (without its break) into records, the first of them at `offset`.
pub fn split_line(
    offset: u64,
    at_ms: i64,
    stream: LogStream,
    line: Bytes,
) -> impl Iterator<Item = LogRecord> {
    let pieces = line.len().div_ceil(MAX_DATA).max(1);
    (0..pieces).map(move |piece| LogRecord {
        offset: offset + piece as u64,
        at_ms,
        stream: stream.into(),
        data: line.slice(piece * MAX_DATA..line.len().min((piece + 1) * MAX_DATA)),
        continues: piece + 1 < pieces,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_framed_is_read_back_and_a_torn_tail_is_not(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
            torn in 1usize..20,
        ) {
            let mut file = Vec::new();
            for (offset, line) in lines.iter().enumerate() {
                for record in split_line(offset as u64, 7, LogStream::Stdout, Bytes::from(line.clone())) {
                    encode(&record, &mut file);
                }
            }
            let cut = file.len() - torn.min(file.len());
            let mut at = 0;
            let mut read = 0;
            while let Frame::Whole { record, length } = decode(&file[at..cut]) {
                prop_assert_eq!(&record.data[..], &lines[read][..]);
                read += 1;
                at += length;
            }
            prop_assert!(read < lines.len());
            prop_assert!(read + 3 >= lines.len() - torn.min(lines.len()) / 10, "no more than the tail is lost");
        }
    }

    #[test]
    fn a_long_line_is_cut_and_says_so() {
        let line = Bytes::from(vec![b'x'; MAX_DATA * 2 + 1]);
        let records: Vec<_> = split_line(5, 0, LogStream::Stdout, line).collect();
        assert_eq!(
            records.iter().map(|r| (r.offset, r.data.len(), r.continues)).collect::<Vec<_>>(),
            [(5, MAX_DATA, true), (6, MAX_DATA, true), (7, 1, false)]
        );
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut file = Vec::new();
        for record in split_line(0, 0, LogStream::Stdout, Bytes::from_static(b"hello")) {
            encode(&record, &mut file);
        }
        let last = file.len() - 1;
        file[last] ^= 1;
        assert_eq!(decode(&file), Frame::Damaged);
    }
}
