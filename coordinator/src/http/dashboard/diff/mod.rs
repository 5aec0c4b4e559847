//! A patch as a page shows it: its files, hunks and lines with their numbers, and within a line that was
//! changed the words that were. What is shown is bounded, and what is left out is said.

#[cfg(test)]
mod tests;
mod words;

use diffy::binary::BinaryPatch;
use diffy::patch_set::{FileOperation, FilePatch, ParseOptions, PatchKind, PatchSet};
use diffy::{Hunk as ReadHunk, Line as ReadLine};
use serde::Serialize;

use words::Part;

/// Bytes of a patch that are read; files beyond them are not shown.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Files whose names are shown.
const MAX_FILES: usize = 500;
/// Lines that are shown, of one file and of all.
const MAX_FILE_LINES: usize = 1_000;
const MAX_LINES: usize = 5_000;
/// Characters of a line.
const MAX_LINE: usize = 1_000;
/// Blocks of the bar that shows how much of a file was added and removed.
const BLOCKS: usize = 5;

#[derive(Debug, Default, Serialize)]
pub struct Diff {
    pub files: Vec<File>,
    pub insertions: usize,
    pub deletions: usize,
    /// The patch goes on after what is shown.
    pub cut: bool,
    /// Files that could not be read, and why.
    pub problems: Vec<String>,
}

#[derive(Debug, Serialize)]
pub struct File {
    pub path: String,
    /// Where it was, where that is elsewhere.
    pub old_path: Option<String>,
    /// added, deleted, modified, renamed, copied.
    pub change: &'static str,
    /// What else there is to say: a new mode, binary content.
    pub note: Option<String>,
    pub insertions: usize,
    pub deletions: usize,
    /// added, removed, none.
    pub bar: [&'static str; BLOCKS],
    pub hunks: Vec<Hunk>,
    /// Lines that are not shown.
    pub left_out: usize,
}

#[derive(Debug, Serialize)]
pub struct Hunk {
    pub header: String,
    pub lines: Vec<Line>,
}

#[derive(Debug, Serialize)]
pub struct Line {
    /// context, added, removed.
    pub kind: &'static str,
    pub mark: char,
    pub old: Option<usize>,
    pub new: Option<usize>,
    pub parts: Vec<Part>,
    /// The file ends here, without a line break.
    pub unended: bool,
}

/// Reads what `git diff` printed: all of it, or its beginning where `cut` says so.
pub fn read(patch: &[u8], cut: bool) -> Diff {
    let mut diff = Diff { cut, ..Diff::default() };
    let patch = if cut { whole_files(patch) } else { patch };
    if patch.is_empty() {
        return diff;
    }
    let mut room = MAX_LINES;
    for file in PatchSet::parse_bytes(patch, ParseOptions::gitdiff()) {
        if diff.files.len() == MAX_FILES {
            diff.cut = true;
            break;
        }
        match file {
            Ok(file) => {
                let file = File::new(&file, room.min(MAX_FILE_LINES));
                room -= file.hunks.iter().map(|hunk| hunk.lines.len()).sum::<usize>();
                diff.insertions += file.insertions;
                diff.deletions += file.deletions;
                diff.files.push(file);
            }
            Err(error) => diff.problems.push(error.to_string()),
        }
    }
    diff
}

/// As much of the beginning of a patch as ends with the end of a file.
fn whole_files(patch: &[u8]) -> &[u8] {
    const NEXT: &[u8] = b"\ndiff --git ";
    let last = patch.windows(NEXT.len()).rposition(|window| window == NEXT);
    &patch[..last.map_or(0, |at| at + 1)]
}

impl File {
    fn new(file: &FilePatch<'_, [u8]>, room: usize) -> Self {
        let (change, path, old_path) = named(file.operation());
        let hunks = match file.patch() {
            PatchKind::Text(text) => text.hunks(),
            PatchKind::Binary(_) => &[],
        };
        let all = || hunks.iter().flat_map(|hunk| hunk.lines());
        let insertions = all().filter(|line| matches!(line, ReadLine::Insert(_))).count();
        let deletions = all().filter(|line| matches!(line, ReadLine::Delete(_))).count();
        let mut shown = Vec::new();
        let mut left = room;
        for hunk in hunks {
            if left == 0 {
                break;
            }
            let hunk = Hunk::new(hunk, left);
            left -= hunk.lines.len();
            shown.push(hunk);
        }
        Self {
            path,
            old_path,
            change,
            note: note(file),
            insertions,
            deletions,
            bar: bar(insertions, deletions),
            hunks: shown,
            left_out: all().count() - (room - left),
        }
    }
}

/// What was done, to which file, and where that was before.
fn named(operation: &FileOperation<'_, [u8]>) -> (&'static str, String, Option<String>) {
    // Names of renamed and copied files come without `a/` and `b/`.
    match operation {
        FileOperation::Delete(path) => ("deleted", plain(without_prefix(path)), None),
        FileOperation::Create(path) => ("added", plain(without_prefix(path)), None),
        FileOperation::Modify { modified, .. } => ("modified", plain(without_prefix(modified)), None),
        FileOperation::Rename { from, to } => ("renamed", plain(to), Some(plain(from))),
        FileOperation::Copy { from, to } => ("copied", plain(to), Some(plain(from))),
    }
}

fn without_prefix(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"a/").or_else(|| path.strip_prefix(b"b/")).unwrap_or(path)
}

fn note(file: &FilePatch<'_, [u8]>) -> Option<String> {
    let mut notes = Vec::new();
    match (file.old_mode(), file.new_mode()) {
        (Some(old), Some(new)) if old != new => notes.push(format!("{} → {}", mode(*old), mode(*new))),
        (None, Some(new)) if *new != diffy::patch_set::FileMode::Regular => notes.push(mode(*new).to_owned()),
        _ => {}
    }
    match file.patch() {
        PatchKind::Binary(BinaryPatch::Full { forward, reverse }) => {
            let size = |block: &diffy::binary::BinaryBlock<'_>| match block.kind {
                diffy::binary::BinaryBlockKind::Literal => format!("{} bytes", block.data.size),
                diffy::binary::BinaryBlockKind::Delta => "changed in parts".to_owned(),
            };
            notes.push(format!("binary, {}, before {}", size(forward), size(reverse)));
        }
        PatchKind::Binary(BinaryPatch::Marker) => notes.push("binary".to_owned()),
        PatchKind::Text(_) => {}
    }
    (!notes.is_empty()).then(|| notes.join("; "))
}

const fn mode(mode: diffy::patch_set::FileMode) -> &'static str {
    use diffy::patch_set::FileMode;
    match mode {
        FileMode::Regular => "regular file",
        FileMode::Executable => "executable",
        FileMode::Symlink => "symbolic link",
        FileMode::Gitlink => "submodule",
    }
}

/// Each kind of change there is has a block at least.
fn bar(insertions: usize, deletions: usize) -> [&'static str; BLOCKS] {
    let total = insertions + deletions;
    let mut bar = ["none"; BLOCKS];
    let blocks = total.min(BLOCKS);
    let added = match (insertions, deletions) {
        (0, _) => 0,
        (_, 0) => blocks,
        _ => (blocks * insertions / total).clamp(1, blocks - 1),
    };
    bar[..added].fill("added");
    bar[added..blocks].fill("removed");
    bar
}

impl Hunk {
    fn new(hunk: &ReadHunk<'_, [u8]>, room: usize) -> Self {
        let (mut old, mut new) = (hunk.old_range().start(), hunk.new_range().start());
        let mut lines: Vec<Line> = Vec::new();
        for line in hunk.lines().iter().take(room) {
            let (kind, mark, text, numbers) = match line {
                ReadLine::Context(text) => ("context", ' ', text, (Some(old), Some(new))),
                ReadLine::Delete(text) => ("removed", '-', text, (Some(old), None)),
                ReadLine::Insert(text) => ("added", '+', text, (None, Some(new))),
            };
            old += usize::from(numbers.0.is_some());
            new += usize::from(numbers.1.is_some());
            let ended = text.strip_suffix(b"\n");
            lines.push(Line {
                kind,
                mark,
                old: numbers.0,
                new: numbers.1,
                parts: vec![Part { text: plain(ended.unwrap_or(text)), changed: false }],
                unended: ended.is_none(),
            });
        }
        words::mark(&mut lines);
        let (old, new) = (hunk.old_range(), hunk.new_range());
        let place = hunk.function_context().map(plain).unwrap_or_default();
        let header = format!("@@ -{},{} +{},{} @@ {place}", old.start(), old.len(), new.start(), new.len());
        Self { header: header.trim_end().to_owned(), lines }
    }
}

/// Text that shows what it is: of a bounded length, and without characters that hide or reorder others.
fn plain(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut plain = String::with_capacity(text.len().min(MAX_LINE));
    for (at, character) in text.trim_end_matches(['\r', '\n']).chars().enumerate() {
        if at == MAX_LINE {
            plain.push('…');
            break;
        }
        match character {
            '\t' => plain.push('\t'),
            hidden if hidden.is_control() || reorders(hidden) => plain.extend(hidden.escape_unicode()),
            shown => plain.push(shown),
        }
    }
    plain
}

/// Characters by which a line can be made to read other than it is.
const fn reorders(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
