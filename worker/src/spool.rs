//! What the worker keeps on disk of one attempt: a directory named by the
//! attempt's id, and in it the log of records in the framing of
//! [`factory_proto::record`].
//!
//! `records.log` has one writer at a time: the daemon until it starts the shim,
//! the shim while the agent runs, the daemon again after that. Readers may follow
//! at any time: a frame not yet whole at the end of the file is simply not there yet.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use factory_domain::AttemptId;
use factory_proto::record::{self, Frame};
use factory_proto::v1::{LogRecord, LogStream};
use rustix::fs::FallocateFlags;

/// One attempt's directory under the worker's `spool/`.
#[derive(Debug, Clone)]
pub struct SpoolDir {
    path: PathBuf,
    attempt: AttemptId,
}

impl SpoolDir {
    /// Makes the directory `<root>/<attempt>`; it may be there already. Only this user may look into
    /// it: prompts and agents' words are nobody else's.
    pub fn create(root: &Path, attempt: AttemptId) -> io::Result<Self> {
        let path = root.join(attempt.to_string());
        DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self { path, attempt })
    }

    /// A directory found on disk. Its name must be an attempt's id.
    pub fn open(path: &Path) -> io::Result<Self> {
        let attempt = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let attempt = attempt.ok_or_else(|| {
            let what = format!("{} is no spool: its name is not an attempt's id", path.display());
            io::Error::new(io::ErrorKind::InvalidInput, what)
        })?;
        if !path.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{} is no directory", path.display()),
            ));
        }
        Ok(Self { path: path.to_owned(), attempt })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// The offer, and what must be known of the attempt after a restart of the daemon.
    pub fn assignment_path(&self) -> PathBuf {
        self.path.join("assignment.json")
    }

    /// What the agent reads on its standard input.
    pub fn prompt_path(&self) -> PathBuf {
        self.path.join("prompt")
    }

    pub fn records_path(&self) -> PathBuf {
        self.path.join("records.log")
    }

    /// Who the shim and its agent are.
    pub fn shim_path(&self) -> PathBuf {
        self.path.join("shim.json")
    }

    /// What the shim itself had to complain about.
    pub fn shim_log_path(&self) -> PathBuf {
        self.path.join("shim.log")
    }

    /// How the agent ended; there only once nothing of it is left.
    pub fn exit_path(&self) -> PathBuf {
        self.path.join("exit.json")
    }

    /// Disk put by, so that an attempt whose disk is full can still say so.
    fn reserve_path(&self) -> PathBuf {
        self.path.join("reserve")
    }

    /// Puts some disk by for [`write`](Self::write).
    pub fn reserve(&self) -> io::Result<()> {
        const BYTES: u64 = 512 * 1024;
        let path = self.reserve_path();
        let reserved = File::create(&path).and_then(|file| {
            // A file system that cannot do it has no space that could be put by.
            match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BYTES) {
                Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
                reserved => reserved.map_err(io::Error::from),
            }
        });
        reserved.map_err(naming(&path))
    }

    /// Writes a file of the attempt atomically. Where the disk is full the reserve is spent on it.
    pub fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        match write_atomically(path, content) {
            Err(error)
                if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
                    && std::fs::remove_file(self.reserve_path()).is_ok() =>
            {
                tracing::warn!(%error, "the disk is full; what was put by for the attempt is used");
                write_atomically(path, content)
            }
            written => written,
        }
    }

    /// The outbox: the report until the coordinator has it.
    pub fn report_path(&self) -> PathBuf {
        self.path.join("report.pb")
    }
}

/// Writes a file that only this user can read, whatever was there before. Not synced: it is for an agent, which a host
/// that goes down takes along.
pub fn write_privately(path: &Path, content: &[u8]) -> io::Result<()> {
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        // One that was there keeps its mode otherwise.
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(content)
    };
    write().map_err(naming(path))
}

/// Names the file in an error; what kind of error it is stays.
fn naming(path: &Path) -> impl Fn(io::Error) -> io::Error {
    |error| io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Writes a file so that readers, also after a crash, see all of it or nothing.
pub fn write_atomically(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    replace(path, &new, content).map_err(|error| {
        // Half a file on a full disk only makes it fuller. The first error is the one to tell.
        let _ = std::fs::remove_file(&new);
        naming(path)(error)
    })
}

fn replace(path: &Path, new: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut file = File::create(new)?;
    file.write_all(content)?;
    file.sync_data()?;
    std::fs::rename(new, path)?;
    File::open(parent)?.sync_all()
}

/// Renames so that it stays renamed after a loss of power.
pub fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::rename(from, to)?;
    for path in [to, from] {
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Appends records to `records.log`. Blocking; one at a time for each file.
#[derive(Debug)]
pub struct RecordWriter {
    path: PathBuf,
    file: File,
    /// Bytes of whole frames in the file.
    length: u64,
    next_offset: u64,
    buffer: Vec<u8>,
    /// Records in `buffer`.
    pending: u64,
}

impl RecordWriter {
    /// Buffered frames are written on when they come to this many bytes.
    const WRITE_AT: usize = 256 * 1024;

    /// Opens or makes the file. A torn tail, left by a crash, is cut off.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(naming(path))?;
        let mut writer =
            Self { path: path.to_owned(), file, length: 0, next_offset: 0, buffer: Vec::new(), pending: 0 };
        writer.cut_torn_tail()?;
        Ok(writer)
    }

    /// Goes over what was appended since `length`, and cuts what is no whole frame: it would hide
    /// everything after it. Whole frames stay, since a reader may have had them.
    fn cut_torn_tail(&mut self) -> io::Result<()> {
        let mut frames = Frames::at(self.file.try_clone()?, self.length)?;
        while let Ok(Some(_)) = frames.next() {
            self.next_offset += 1;
        }
        self.length = frames.position;
        if self.file.metadata()?.len() == self.length { Ok(()) } else { self.file.set_len(self.length) }
    }

    /// The offset the next record will have.
    pub fn next_offset(&self) -> u64 {
        self.next_offset + self.pending
    }

    /// Bytes of the file, with what is buffered.
    pub fn length(&self) -> u64 {
        self.length + self.buffer.len() as u64
    }

    /// Appends one whole line, cut into records where it is long, and writes it out.
    pub fn line(&mut self, at_ms: i64, stream: LogStream, line: Bytes) -> io::Result<()> {
        for record in record::split_line(self.next_offset(), at_ms, stream, line) {
            record::encode(&record, &mut self.buffer);
            self.pending += 1;
        }
        self.flush()
    }

    /// Appends one record; it reaches the file with the next [`flush`](Self::flush), or before.
    /// `data` has at most [`record::MAX_DATA`] bytes.
    pub fn piece(&mut self, at_ms: i64, stream: LogStream, data: &[u8], continues: bool) -> io::Result<()> {
        let record = LogRecord {
            offset: self.next_offset(),
            at_ms,
            stream: stream.into(),
            data: Bytes::copy_from_slice(data),
            continues,
        };
        record::encode(&record, &mut self.buffer);
        self.pending += 1;
        if self.buffer.len() >= Self::WRITE_AT { self.flush() } else { Ok(()) }
    }

    /// Hands what is buffered to the kernel: from then on it survives a crash of this process.
    pub fn flush(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer);
        let (bytes, records) = (self.buffer.len() as u64, std::mem::take(&mut self.pending));
        self.buffer.clear();
        if let Err(error) = written {
            // Cutting needs no space; where it fails all the same, the next open cuts.
            let _ = self.cut_torn_tail();
            return Err(naming(&self.path)(error));
        }
        self.length += bytes;
        self.next_offset += records;
        Ok(())
    }

    /// Makes what was flushed survive a loss of power.
    pub fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_data().map_err(naming(&self.path))
    }
}

/// Follows `records.log`, also while it is written. Blocking.
#[derive(Debug)]
pub struct RecordReader {
    path: PathBuf,
    frames: Frames,
    /// The next record's offset.
    offset: u64,
}

impl RecordReader {
    /// Begins at `from_offset`, or at the end of what there is when that is earlier.
    pub fn open(path: &Path, from_offset: u64) -> io::Result<Self> {
        let mut reader = Self { path: path.to_owned(), frames: Frames::at(File::open(path)?, 0)?, offset: 0 };
        reader.seek(from_offset)?;
        Ok(reader)
    }

    /// The offset of the next record this reader returns.
    pub fn next_offset(&self) -> u64 {
        self.offset
    }

    /// Goes to a record, forwards or back.
    pub fn seek(&mut self, offset: u64) -> io::Result<()> {
        if offset < self.offset {
            self.frames = Frames::at(File::open(&self.path)?, 0)?;
            self.offset = 0;
        }
        while self.offset < offset && self.next()?.is_some() {}
        Ok(())
    }

    /// The next records, as many as come to about `max_bytes` and at least one;
    /// none at the current end of the file.
    ///
    /// # Errors
    /// `InvalidData` where the file is damaged: what comes after cannot be read.
    pub fn read_batch(&mut self, max_bytes: usize) -> io::Result<Vec<LogRecord>> {
        let mut records = Vec::new();
        let mut bytes = 0;
        while bytes < max_bytes {
            let Some(record) = self.next()? else { break };
            bytes += record.data.len() + 32;
            records.push(record);
        }
        Ok(records)
    }

    fn next(&mut self) -> io::Result<Option<LogRecord>> {
        let next = self.frames.next().map_err(|error| {
            let place = format!("{}, record {}", self.path.display(), self.offset);
            io::Error::new(error.kind(), format!("{place}: {error}"))
        })?;
        if next.is_some() {
            self.offset += 1;
        }
        Ok(next)
    }
}

/// The frames of a file, one after the other.
#[derive(Debug)]
struct Frames {
    file: BufReader<File>,
    /// Bytes of the file already returned as whole frames.
    position: u64,
    /// The beginning of the next frame, as far as it has been read.
    buffer: Vec<u8>,
}

impl Frames {
    const HEADER: usize = 8;

    /// The frames from `position` on, where one begins.
    fn at(mut file: File, position: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(position))?;
        Ok(Self { file: BufReader::with_capacity(64 * 1024, file), position, buffer: Vec::new() })
    }

    /// `None`: the file has no further whole frame, for now.
    fn next(&mut self) -> io::Result<Option<LogRecord>> {
        loop {
            let wanted = match record::decode(&self.buffer) {
                Frame::Whole { record, length } => {
                    self.buffer.clear();
                    self.position += length as u64;
                    return Ok(Some(record));
                }
                Frame::Damaged => {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "the log is damaged here"));
                }
                Frame::Partial => self.missing(),
            };
            let before = self.buffer.len();
            (&mut self.file).take(wanted as u64).read_to_end(&mut self.buffer)?;
            if self.buffer.len() == before {
                self.rewind_if_cut()?;
                return Ok(None);
            }
        }
    }

    /// Bytes that the frame at the beginning of the buffer still lacks.
    fn missing(&self) -> usize {
        let length = match self.buffer.first_chunk::<4>() {
            Some(word) if self.buffer.len() >= Self::HEADER => u32::from_le_bytes(*word) as usize,
            _ => 0,
        };
        Self::HEADER + length - self.buffer.len()
    }

    /// Half a frame may be cut off by the next writer, and another put in its place.
    fn rewind_if_cut(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.buffer.clear();
            self.file.seek(SeekFrom::Start(self.position))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &[u8]) -> Bytes {
        Bytes::copy_from_slice(text)
    }

    fn texts(records: &[LogRecord]) -> Vec<&[u8]> {
        records.iter().map(|record| &record.data[..]).collect()
    }

    #[test]
    fn a_reader_follows_a_writer_through_a_torn_tail() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.log");
        let mut writer = RecordWriter::open(&path).unwrap();
        writer.line(1, LogStream::Stdout, line(b"one")).unwrap();
        writer.line(2, LogStream::Stderr, line(b"two")).unwrap();
        drop(writer);
        let whole = std::fs::read(&path).unwrap();
        let mut reader = RecordReader::open(&path, 0).unwrap();
        assert_eq!(texts(&reader.read_batch(1 << 20).unwrap()), [b"one", b"two"]);

        // Half a frame: not there yet.
        let torn = [&whole[..], &whole[..11]].concat();
        std::fs::write(&path, &torn).unwrap();
        assert!(reader.read_batch(1 << 20).unwrap().is_empty());

        // The next writer cuts it and goes on; the reader sees what came in its place.
        let mut writer = RecordWriter::open(&path).unwrap();
        assert_eq!((std::fs::metadata(&path).unwrap().len(), writer.next_offset()), (whole.len() as u64, 2));
        writer.line(3, LogStream::Factory, line(b"three, which is longer")).unwrap();
        let records = reader.read_batch(1 << 20).unwrap();
        assert_eq!(texts(&records), [b"three, which is longer"]);
        assert_eq!((records[0].offset, reader.next_offset()), (2, 3));

        reader.seek(1).unwrap();
        assert_eq!(
            texts(&reader.read_batch(1).unwrap()),
            [b"two"],
            "one at least, and no more than asked for"
        );
        assert_eq!(RecordReader::open(&path, 99).unwrap().next_offset(), 3);
    }

    #[test]
    fn a_long_line_is_several_records_and_comes_back_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.log");
        let long: Vec<u8> = (0..2_000_000u32).map(|at| at as u8).collect();
        RecordWriter::open(&path).unwrap().line(1, LogStream::Stdout, line(&long)).unwrap();
        let mut reader = RecordReader::open(&path, 0).unwrap();
        let mut joined = Vec::new();
        loop {
            let records = reader.read_batch(100_000).unwrap();
            let Some(last) = records.last() else { break };
            assert_eq!(last.continues, joined.len() + texts(&records).concat().len() < long.len());
            joined.extend(texts(&records).concat());
        }
        assert!(joined == long);
    }

    #[test]
    fn a_write_that_failed_halfway_keeps_the_records_that_made_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.log");
        let mut writer = RecordWriter::open(&path).unwrap();
        writer.line(1, LogStream::Stdout, line(b"one")).unwrap();
        // As a full disk leaves it: one frame of the write whole, the next torn.
        let bytes = std::fs::read(&path).unwrap();
        let mut second = Vec::new();
        let records = record::split_line(1, 2, LogStream::Stdout, line(b"two"));
        records.for_each(|record| record::encode(&record, &mut second));
        std::fs::write(&path, [&bytes[..], &second, &second[..9]].concat()).unwrap();
        writer.cut_torn_tail().unwrap();
        writer.line(3, LogStream::Stdout, line(b"three")).unwrap();
        let records = RecordReader::open(&path, 0).unwrap().read_batch(1 << 20).unwrap();
        assert_eq!(texts(&records), [&b"one"[..], b"two", b"three"]);
        assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn damage_in_the_middle_is_an_error_that_names_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("records.log");
        let mut writer = RecordWriter::open(&path).unwrap();
        for text in [b"one", b"two", b"six"] {
            writer.line(1, LogStream::Stdout, line(text)).unwrap();
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
        let mut reader = RecordReader::open(&path, 0).unwrap();
        assert_eq!(texts(&reader.read_batch(1).unwrap()), [b"one"]);
        let error = reader.read_batch(1 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("records.log, record 1"), "{error}");
    }

    #[test]
    fn a_directory_that_is_not_an_attempts_is_no_spool() {
        let dir = tempfile::tempdir().unwrap();
        assert!(SpoolDir::open(dir.path()).is_err());
        let attempt = AttemptId::from_uuid(uuid::Uuid::now_v7());
        let made = SpoolDir::create(dir.path(), attempt).unwrap();
        assert_eq!(SpoolDir::open(made.path()).unwrap().attempt(), attempt);
    }
}
