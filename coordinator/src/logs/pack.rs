//! Packing: a raw segment that gets no more records, written anew in compressed blocks.
//!
//! The footer is a skippable zstd frame: its magic number and length; for each
//! block its first record and its place (u64 LE each); then the offset after the
//! last record (u64), the number of blocks (u32) and [`MAGIC`].

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::LogError;
use super::segment::{Block, Contents, Stretch};

const SKIPPABLE_FRAME: u32 = 0x184D_2A5E;
const MAGIC: &[u8; 8] = b"FACTLOG1";
/// Fast, and four times smaller on what agents print.
const LEVEL: i32 = 3;

const FRAME_HEADER: usize = 8;
const ENTRY: usize = 16;
const TRAILER: usize = 8 + 4 + MAGIC.len();

/// Writes the packed form of all of `raw` to `packed`, synced, and says what it holds.
pub(super) fn pack(raw: &Stretch, packed: &Path) -> Result<Contents, LogError> {
    let temporary = packed.with_extension("zst.tmp");
    let contents = write(raw, &temporary).map_err(|error| {
        // On a full disk, half a file is room that appends need.
        let _ = fs::remove_file(&temporary);
        LogError::io("write", &temporary)(error)
    })?;
    fs::rename(&temporary, packed).map_err(LogError::io("rename", &temporary))?;
    Ok(contents)
}

fn write(raw: &Stretch, to: &Path) -> io::Result<Contents> {
    let from = File::open(&raw.path)?;
    let mut out = BufWriter::new(File::create(to)?);
    let mut contents = Contents::empty(raw.contents.end);
    for (block, next) in raw.contents.bounded_blocks() {
        let frame = zstd::bulk::compress(&raw.block(&from, block, next)?, LEVEL)?;
        out.write_all(&frame)?;
        contents.blocks.push(Block { first: block.first, at: contents.bytes });
        contents.bytes += frame.len() as u64;
    }
    out.write_all(&footer(&contents))?;
    out.into_inner()?.sync_all()?;
    Ok(contents)
}

fn footer(contents: &Contents) -> Vec<u8> {
    let length = contents.blocks.len() * ENTRY + TRAILER;
    let mut out = Vec::with_capacity(FRAME_HEADER + length);
    out.extend(SKIPPABLE_FRAME.to_le_bytes());
    out.extend((length as u32).to_le_bytes());
    for block in &contents.blocks {
        out.extend(block.first.to_le_bytes());
        out.extend(block.at.to_le_bytes());
    }
    out.extend(contents.end.to_le_bytes());
    out.extend((contents.blocks.len() as u32).to_le_bytes());
    out.extend(MAGIC);
    out
}

/// Reads the index of a packed segment from its footer.
pub(super) fn read_footer(path: &Path, first: u64) -> Result<Contents, LogError> {
    let file = File::open(path).map_err(LogError::io("open", path))?;
    let contents = try_footer(&file).map_err(LogError::io("read", path))?;
    contents.ok_or_else(|| LogError::Damaged { path: path.to_owned(), offset: first })
}

fn try_footer(file: &File) -> io::Result<Option<Contents>> {
    let length = file.metadata()?.len();
    let Some(trailer_at) = length.checked_sub(TRAILER as u64) else { return Ok(None) };
    let mut trailer = [0; TRAILER];
    file.read_exact_at(&mut trailer, trailer_at)?;
    if !trailer.ends_with(MAGIC) {
        return Ok(None);
    }
    let count = u32::from_le_bytes([trailer[8], trailer[9], trailer[10], trailer[11]]) as usize;
    let Some(entries_at) = trailer_at.checked_sub((count * ENTRY) as u64) else { return Ok(None) };
    let Some(bytes) = entries_at.checked_sub(FRAME_HEADER as u64) else { return Ok(None) };
    let mut entries = vec![0; count * ENTRY];
    file.read_exact_at(&mut entries, entries_at)?;
    let blocks: Vec<Block> = entries
        .chunks_exact(ENTRY)
        .map(|entry| Block { first: word(entry), at: word(&entry[8..]) })
        .collect();
    let ascending = blocks.windows(2).all(|pair| pair[0].first < pair[1].first && pair[0].at < pair[1].at);
    let contents = Contents { blocks, bytes, end: word(&trailer) };
    let ends = contents.blocks.last().is_none_or(|last| last.first < contents.end && last.at < bytes);
    Ok((ascending && ends).then_some(contents))
}

/// The number at the beginning of `bytes`, which has eight or more.
fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().copied().map_or(0, u64::from_le_bytes)
}
