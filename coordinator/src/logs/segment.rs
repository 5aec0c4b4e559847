//! One file of a log: consecutive records from the one its name gives on.
//!
//! A segment is read in blocks of about 64 KiB, each beginning with a whole frame.
//! The index holds where each block begins, so that any record is found by
//! reading one block. A packed segment is the same blocks, each a zstd frame of its
//! own, and the index in a footer that zstd skips: `zstd -d` unpacks the file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use factory_proto::record::{self, Frame};
use factory_proto::v1::LogRecord;

use super::{Bounds, LogError};

/// No block is longer: its nominal size, and the longest frame that may have come last.
const MAX_BLOCK: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Raw,
    Packed,
}

impl Form {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Raw => ".seg",
            Self::Packed => ".seg.zst",
        }
    }
}

/// The path of the segment whose first record is `first`.
pub(super) fn path(dir: &Path, first: u64, form: Form) -> PathBuf {
    dir.join(format!("{first:020}{}", form.suffix()))
}

/// Reads a file's name the other way round; `None` for a file that is no segment.
pub(super) fn parse_name(name: &str) -> Option<(u64, Form)> {
    [Form::Packed, Form::Raw]
        .into_iter()
        .find_map(|form| Some((name.strip_suffix(form.suffix())?.parse().ok()?, form)))
}

/// Where a block begins: its first record, and its place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub first: u64,
    pub at: u64,
}

/// What a segment holds, as far as it is whole and acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub blocks: Vec<Block>,
    /// Where the last block ends in the file.
    pub bytes: u64,
    /// The offset after the last record.
    pub end: u64,
}

impl Contents {
    pub fn empty(first: u64) -> Self {
        Self { end: first, ..Self::default() }
    }

    /// Takes note of one more frame of `length` bytes at the end.
    pub fn push_frame(&mut self, length: usize, block_bytes: u64) {
        if self.blocks.last().is_none_or(|block| self.bytes - block.at >= block_bytes) {
            self.blocks.push(Block { first: self.end, at: self.bytes });
        }
        self.bytes += length as u64;
        self.end += 1;
    }

    /// Each block, and where the next one begins or would.
    pub fn bounded_blocks(&self) -> impl Iterator<Item = (Block, Block)> {
        let last = Block { first: self.end, at: self.bytes };
        self.blocks.iter().copied().zip(self.blocks.iter().skip(1).copied().chain([last]))
    }

    /// At most `count` blocks, the first of them the one that holds record `from`; `None` where none does.
    pub fn clip(&self, from: u64, count: usize) -> Option<Self> {
        let start = self.blocks.partition_point(|block| block.first <= from).checked_sub(1)?;
        let rest = self.blocks.get(start..).filter(|_| from < self.end)?;
        let after = rest.get(count).copied().unwrap_or(Block { first: self.end, at: self.bytes });
        let blocks = rest.iter().take(count).copied().collect();
        Some(Self { blocks, bytes: after.at, end: after.first })
    }
}

/// Reads a raw segment frame by frame, up to its end or to the first that is torn or damaged.
pub(super) fn scan(path: &Path, first: u64, block_bytes: u64) -> Result<Contents, LogError> {
    let bytes = std::fs::read(path).map_err(LogError::io("read", path))?;
    let mut contents = Contents::empty(first);
    while let Frame::Whole { record, length } = record::decode(&bytes[contents.bytes as usize..]) {
        if record.offset != contents.end {
            break;
        }
        contents.push_frame(length, block_bytes);
    }
    Ok(contents)
}

/// Some blocks of one segment that were there when this was taken. What is
/// appended later is not in it, and packing the segment leaves an opened file as it is.
#[derive(Debug)]
pub(super) struct Stretch {
    pub path: PathBuf,
    pub form: Form,
    pub contents: Contents,
}

impl Stretch {
    /// The records from `from` on, which the first block holds: one or more, within the bounds.
    pub fn read(&self, from: u64, bounds: Bounds) -> Result<Vec<LogRecord>, LogError> {
        let file = File::open(&self.path).map_err(LogError::io("open", &self.path))?;
        let mut page = Page { from, bounds, bytes: 0, records: Vec::new() };
        for (block, next) in self.contents.bounded_blocks() {
            let frames = self.block(&file, block, next).map_err(LogError::io("read", &self.path))?;
            match page.take(&frames, block, next.first) {
                Some(true) => {}
                Some(false) => break,
                // What came before is whole; the next read begins here.
                None if !page.records.is_empty() => break,
                None => {
                    let offset = page.next_offset();
                    return Err(LogError::Damaged { path: self.path.clone(), offset });
                }
            }
        }
        Ok(page.records)
    }

    /// The frames of one block, which ends where `next` begins.
    pub fn block(&self, file: &File, block: Block, next: Block) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; (next.at - block.at) as usize];
        file.read_exact_at(&mut bytes, block.at)?;
        match self.form {
            Form::Raw => Ok(bytes),
            Form::Packed => zstd::bulk::decompress(&bytes, MAX_BLOCK),
        }
    }
}

/// Records being gathered for a reader.
struct Page {
    from: u64,
    bounds: Bounds,
    bytes: usize,
    records: Vec<LogRecord>,
}

impl Page {
    fn next_offset(&self) -> u64 {
        self.from + self.records.len() as u64
    }

    /// Takes what is wanted of a block that ends before record `end`, and says
    /// whether there is room for more; `None` where the block is damaged.
    fn take(&mut self, mut frames: &[u8], block: Block, end: u64) -> Option<bool> {
        for _ in block.first..self.next_offset() {
            frames = frames.get(record::frame_length(frames)?..)?;
        }
        while self.next_offset() < end {
            let Frame::Whole { record, length } = record::decode(frames) else { return None };
            if record.offset != self.next_offset() {
                return None;
            }
            self.bytes += record.data.len();
            let full = self.records.len() >= self.bounds.records.max(1) || self.bytes > self.bounds.bytes;
            if full && !self.records.is_empty() {
                return Some(false);
            }
            self.records.push(record);
            frames = &frames[length..];
        }
        Some(true)
    }
}
