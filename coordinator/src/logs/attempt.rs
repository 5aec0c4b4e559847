//! The log of one attempt: its segments, in order, and who may touch them when.
//!
//! Everything here blocks, and is called off the async threads. Appending, sealing
//! and packing each need the file's other users kept out: the caller holds `writer`
//! over [`AttemptLog::append`] and [`AttemptLog::seal`], and packs one at a time.
//! Readers take no part in that: they copy what they need of the index under a
//! short lock, and read files that no one changes before the place they read to.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use factory_domain::AttemptId;
use factory_proto::record;
use factory_proto::v1::LogRecord;
use tokio::sync::watch;

use super::segment::{self, Contents, Form, Stretch};
use super::{Bounds, Extent, LogError, Page, Sizes, pack};

/// Its presence says that the log is closed.
const SEALED: &str = "sealed";

#[derive(Debug)]
pub(super) struct AttemptLog {
    id: AttemptId,
    dir: PathBuf,
    sizes: Sizes,
    segments: RwLock<Vec<Segment>>,
    pub extent: watch::Sender<Extent>,
    pub writer: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug)]
struct Segment {
    first: u64,
    form: Form,
    /// Read from the file when first needed.
    contents: Option<Contents>,
}

/// Where an append goes.
struct Tail {
    first: u64,
    contents: Contents,
    /// Among the segments; their number where this one is new.
    place: usize,
}

pub(super) struct Appended {
    pub extent: Extent,
    /// The segment before has become full, and may be packed.
    pub rotated: bool,
}

impl AttemptLog {
    /// Finds what is on disk, and cuts the torn tail of the last segment.
    pub fn open(id: AttemptId, dir: PathBuf, sizes: Sizes) -> Result<Self, LogError> {
        let mut segments: Vec<Segment> =
            list(&dir)?.into_iter().map(|(first, form)| Segment { first, form, contents: None }).collect();
        let mut next_offset = 0;
        if let Some(last) = segments.last_mut() {
            let contents = load(&dir, last.first, last.form, sizes)?;
            if last.form == Form::Raw {
                cut(id, &segment::path(&dir, last.first, Form::Raw), &contents)?;
            }
            next_offset = contents.end;
            last.contents = Some(contents);
        }
        let marker = dir.join(SEALED);
        let sealed = marker.try_exists().map_err(LogError::io("look for", &marker))?;
        Ok(Self {
            id,
            dir,
            sizes,
            segments: RwLock::new(segments),
            extent: watch::Sender::new(Extent { next_offset, sealed }),
            writer: Arc::default(),
        })
    }

    pub fn id(&self) -> AttemptId {
        self.id
    }

    pub fn extent(&self) -> Extent {
        *self.extent.borrow()
    }

    /// Appends what is new in `records`, all of it or nothing.
    pub fn append(&self, records: &[LogRecord]) -> Result<Appended, LogError> {
        let extent = self.extent();
        let new = self.new_records(records, extent)?;
        if new.is_empty() {
            return Ok(Appended { extent, rotated: false });
        }
        let Tail { first, mut contents, place } = self.tail(extent.next_offset)?;
        let at = contents.bytes;
        let mut frames = Vec::with_capacity(new.iter().map(|record| record.data.len() + 40).sum());
        for record in new {
            let start = frames.len();
            record::encode(record, &mut frames);
            contents.push_frame(frames.len() - start, self.sizes.block);
        }
        write_at(&segment::path(&self.dir, first, Form::Raw), at, &frames)?;

        let extent = Extent { next_offset: contents.end, ..extent };
        let mut segments = self.write_segments();
        segments.truncate(place);
        segments.push(Segment { first, form: Form::Raw, contents: Some(contents) });
        drop(segments);
        self.extent.send_replace(extent);
        Ok(Appended { extent, rotated: at == 0 && place > 0 })
    }

    /// The part of `records` that is not here yet; none of them where they begin after a gap.
    fn new_records<'a>(&self, records: &'a [LogRecord], extent: Extent) -> Result<&'a [LogRecord], LogError> {
        let Some(first) = records.first().filter(|first| first.offset <= extent.next_offset) else {
            return Ok(&[]);
        };
        for (expected, record) in (first.offset..).zip(records) {
            if record.offset != expected {
                return Err(LogError::NotConsecutive { attempt: self.id, expected, found: record.offset });
            }
            if record.data.len() > record::MAX_DATA {
                return Err(LogError::TooLong {
                    attempt: self.id,
                    offset: record.offset,
                    bytes: record.data.len(),
                });
            }
        }
        let known = (extent.next_offset - first.offset) as usize;
        Ok(if extent.sealed { &[] } else { records.get(known..).unwrap_or_default() })
    }

    /// The segment to append to: the last, or a new one where there is none or that is full.
    fn tail(&self, next_offset: u64) -> Result<Tail, LogError> {
        let (count, last) = {
            let segments = self.read_segments();
            (segments.len(), segments.last().map(|last| (last.first, last.form, last.contents.clone())))
        };
        match last {
            Some((first, Form::Raw, Some(contents))) if contents.bytes < self.sizes.segment => {
                return Ok(Tail { first, contents, place: count - 1 });
            }
            // Synced before there is a next one, so that a power cut tears the end of a log and never its middle.
            Some((first, Form::Raw, _)) => sync(&segment::path(&self.dir, first, Form::Raw))?,
            Some((_, Form::Packed, _)) => {}
            None => fs::create_dir_all(&self.dir).map_err(LogError::io("create", &self.dir))?,
        }
        Ok(Tail { first: next_offset, contents: Contents::empty(next_offset), place: count })
    }

    /// The records from `from` on: one or more, unless the log ends there. A page also ends with its segment.
    pub fn read(&self, from: u64, bounds: Bounds) -> Result<Page, LogError> {
        let extent = self.extent();
        let mut records = Vec::new();
        while from < extent.next_offset && records.is_empty() {
            let stretch = self.stretch(from, bounds)?;
            match stretch.read(from, bounds) {
                Ok(found) => records = found,
                // It was packed since, and is there under its other name.
                Err(error) if error.is_not_found() && self.form_at(from) != Some(stretch.form) => {}
                Err(error) => return Err(error),
            }
        }
        let next_offset = from + records.len() as u64;
        // Some may have been appended since, and found.
        let end = if records.is_empty() { extent.next_offset } else { extent.next_offset.max(next_offset) };
        Ok(Page { records, next_offset, end, sealed: extent.sealed })
    }

    /// The blocks that answer a read.
    fn stretch(&self, from: u64, bounds: Bounds) -> Result<Stretch, LogError> {
        loop {
            let (first, form) = {
                let segments = self.read_segments();
                let after = segments.partition_point(|segment| segment.first <= from);
                let Some(segment) = after.checked_sub(1).and_then(|n| segments.get(n)) else {
                    return Err(LogError::Damaged { path: self.dir.clone(), offset: from });
                };
                if let Some(contents) = &segment.contents {
                    let path = segment::path(&self.dir, segment.first, segment.form);
                    let blocks = (bounds.bytes as u64 / self.sizes.block).saturating_add(2);
                    return match contents.clip(from, usize::try_from(blocks).unwrap_or(usize::MAX)) {
                        Some(contents) => Ok(Stretch { path, form: segment.form, contents }),
                        None => Err(LogError::Damaged { path, offset: from }),
                    };
                }
                (segment.first, segment.form)
            };
            match load(&self.dir, first, form, self.sizes) {
                Ok(contents) => self.keep(first, form, contents),
                Err(error) if error.is_not_found() && self.form_at(first) != Some(form) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Keeps an index that was read, unless the segment has changed its form since.
    fn keep(&self, first: u64, form: Form, contents: Contents) {
        let mut segments = self.write_segments();
        let found = segments.iter_mut().find(|segment| segment.first == first && segment.form == form);
        if let Some(segment) = found {
            segment.contents.get_or_insert(contents);
        }
    }

    fn form_at(&self, offset: u64) -> Option<Form> {
        let segments = self.read_segments();
        let after = segments.partition_point(|segment| segment.first <= offset);
        Some(segments.get(after.checked_sub(1)?)?.form)
    }

    /// Closes the log for good: what it holds is synced, and nothing is appended any more.
    pub fn seal(&self) -> Result<(), LogError> {
        if self.extent().sealed {
            return Ok(());
        }
        fs::create_dir_all(&self.dir).map_err(LogError::io("create", &self.dir))?;
        let last = self.read_segments().last().map(|last| (last.first, last.form));
        if let Some((first, Form::Raw)) = last {
            sync(&segment::path(&self.dir, first, Form::Raw))?;
        }
        let marker = self.dir.join(SEALED);
        File::create(&marker).map_err(LogError::io("create", &marker))?;
        // Its own names, and its name in the two directories above.
        for dir in self.dir.ancestors().take(3) {
            sync(dir)?;
        }
        self.extent.send_modify(|extent| extent.sealed = true);
        Ok(())
    }

    /// Forgets what was there; its files are about to go. The log begins anew, unsealed.
    pub fn empty(&self) {
        self.write_segments().clear();
        self.extent.send_replace(Extent { next_offset: 0, sealed: false });
    }

    /// The segments that get no more records and are not packed yet.
    pub fn unpacked(&self) -> Vec<u64> {
        let sealed = self.extent().sealed;
        let segments = self.read_segments();
        let open = usize::from(!sealed);
        let closed = segments.len().saturating_sub(open);
        segments[..closed].iter().filter(|segment| segment.form == Form::Raw).map(|s| s.first).collect()
    }

    /// Packs one of [`AttemptLog::unpacked`]. Readers of the raw file go on undisturbed.
    pub fn pack(&self, first: u64) -> Result<(), LogError> {
        let raw = segment::path(&self.dir, first, Form::Raw);
        let contents = load(&self.dir, first, Form::Raw, self.sizes)?;
        if contents.end != self.end_of(first) {
            return Err(LogError::Damaged { path: raw, offset: contents.end });
        }
        let stretch = Stretch { path: raw.clone(), form: Form::Raw, contents };
        let packed = pack::pack(&stretch, &segment::path(&self.dir, first, Form::Packed))?;
        sync(&self.dir)?;
        {
            let mut segments = self.write_segments();
            if let Some(segment) = segments.iter_mut().find(|segment| segment.first == first) {
                segment.form = Form::Packed;
                segment.contents = Some(packed);
            }
        }
        fs::remove_file(&raw).map_err(LogError::io("remove", &raw))
    }

    /// The offset after the last record of the segment that begins with `first`, by its neighbour's word.
    fn end_of(&self, first: u64) -> u64 {
        let end = self.extent().next_offset;
        self.read_segments().iter().map(|segment| segment.first).find(|next| *next > first).unwrap_or(end)
    }

    // The lock guards plain data that is whole between statements, so a panic elsewhere does not spoil it.
    fn read_segments(&self) -> RwLockReadGuard<'_, Vec<Segment>> {
        self.segments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_segments(&self) -> RwLockWriteGuard<'_, Vec<Segment>> {
        self.segments.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The segments in `dir` by their first record. Where both forms are there, a crash came
/// between packing one and removing the other: the packed one was whole before it got its name.
fn list(dir: &Path) -> Result<BTreeMap<u64, Form>, LogError> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries.map_err(LogError::io("list", dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(LogError::io("list", dir))?;
        let Some((first, form)) = entry.file_name().to_str().and_then(segment::parse_name) else { continue };
        if found.insert(first, form).is_some() {
            let raw = segment::path(dir, first, Form::Raw);
            fs::remove_file(&raw).map_err(LogError::io("remove", &raw))?;
            found.insert(first, Form::Packed);
        }
    }
    Ok(found)
}

fn load(dir: &Path, first: u64, form: Form, sizes: Sizes) -> Result<Contents, LogError> {
    let path = segment::path(dir, first, form);
    match form {
        Form::Raw => segment::scan(&path, first, sizes.block),
        Form::Packed => pack::read_footer(&path, first),
    }
}

/// Cuts what a crash left after the last whole record.
fn cut(attempt: AttemptId, path: &Path, contents: &Contents) -> Result<(), LogError> {
    let length = fs::metadata(path).map_err(LogError::io("read", path))?.len();
    if length > contents.bytes {
        let torn = length - contents.bytes;
        tracing::warn!(%attempt, next_offset = contents.end, torn_bytes = torn, "cut the torn tail of a log");
        let file = OpenOptions::new().write(true).open(path).map_err(LogError::io("open", path))?;
        file.set_len(contents.bytes).map_err(LogError::io("cut", path))?;
    }
    Ok(())
}

/// Writes `frames` at the end of a segment, which is at `at`: all of it, or nothing that counts.
fn write_at(path: &Path, at: u64, frames: &[u8]) -> Result<(), LogError> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = file.map_err(LogError::io("open", path))?;
    // An append before this one may have failed in its middle, and its cut too.
    if file.metadata().map_err(LogError::io("read", path))?.len() > at {
        file.set_len(at).map_err(LogError::io("cut", path))?;
    }
    file.write_all_at(frames, at).map_err(|error| {
        if let Err(error) = file.set_len(at) {
            tracing::warn!(path = %path.display(), %error, "a half-written batch stays until the next append");
        }
        LogError::io("write", path)(error)
    })
}

/// Makes a file, or the names in a directory, survive a power cut.
fn sync(path: &Path) -> Result<(), LogError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(LogError::io("sync", path))
}
