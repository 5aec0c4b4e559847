//! Turns a directory into a git tree, with an index of the factory's own.
//!
//! The index lies in the spool and is kept from one snapshot to the next, so that only what has changed
//! is read again. Where the agent has an index, it is begun with a copy of that whenever that changed:
//! the agent's own git has then read most files already, and knows what was added against ignore rules.

use std::fs::{self, File, FileTimes};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::LeftOut;
use crate::blocking;
use crate::git::{self, Call, Git, GitError};
use crate::spool::write_atomically;

/// What one snapshot takes in beyond what the agent has added or committed itself. The smallest files
/// go first, so that one huge file does not crowd out the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of all new and changed files together.
    pub bytes: u64,
    /// In number.
    pub files: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes: 512 << 20, files: 100_000 }
    }
}

/// A directory to be read, and the means for it.
pub(super) struct Gather<'a> {
    /// With the directory as its work tree.
    pub git: Git,
    pub root: &'a Path,
    /// Where the index is kept.
    pub out: &'a Path,
    /// The agent's own index.
    pub agents_index: Option<&'a Path>,
    /// The commit the tree is going to be compared with.
    pub tip: Option<&'a str>,
    /// Never taken in, relative.
    pub excluded: &'a [PathBuf],
    pub bounds: Bounds,
}

/// What the index is begun with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seed {
    AgentsIndex,
    Tip,
}

impl Gather<'_> {
    /// The id of the directory's tree. While it is read the agent may write: what vanishes midway is
    /// not in it. Tried twice, the second time without trust in the agent's index.
    pub async fn tree(&self) -> Result<(String, LeftOut), GitError> {
        match self.read(Seed::AgentsIndex).await {
            Err(GitError::Failed { said, .. }) => {
                tracing::debug!(said, "a snapshot did not succeed; trying again from the tip");
                self.read(Seed::Tip).await
            }
            read => read,
        }
    }

    async fn read(&self, seed: Seed) -> Result<(String, LeftOut), GitError> {
        self.begin(seed).await?;
        let listing = Call::new(["ls-files", "-z", "--others", "--modified", "--exclude-standard"]);
        let listing = self.git().run(listing).await?.stdout;
        let (root, excluded, bounds) = (self.root.to_owned(), self.excluded.to_owned(), self.bounds);
        let chosen = blocking::run(move || Ok(choose(&root, &listing, &excluded, bounds)));
        let (paths, left_out) = chosen.await.map_err(GitError::io("update-index"))?;
        if !paths.is_empty() {
            let call = Call::new(["update-index", "-z", "--add", "--remove", "--replace", "--stdin"]);
            self.git().run(call.stdin(paths)).await?;
        }
        self.leave_excluded_at_tip().await?;
        let tree = self.git().run(Call::new(["write-tree"])).await?.line();
        Ok((tree, left_out))
    }

    fn git(&self) -> Git {
        self.git.clone().env("GIT_INDEX_FILE", self.index())
    }

    fn index(&self) -> PathBuf {
        self.out.join("index")
    }

    /// Makes the index ready, from the seed where that has changed since the last time.
    async fn begin(&self, seed: Seed) -> Result<(), GitError> {
        let io = || GitError::io("update-index");
        let (index, out) = (self.index(), self.out.to_owned());
        let agents_index = self.agents_index.map(Path::to_owned);
        let copied = blocking::run(move || {
            fs::create_dir_all(&out)?;
            // Of a git that was killed: nobody else uses this index.
            remove_if_any(&out.join("index.lock"))?;
            let stamp = out.join("index.seed");
            if seed == Seed::Tip {
                remove_if_any(&stamp)?;
                remove_if_any(&index)?;
                return Ok(false);
            }
            agents_index.map_or(Ok(false), |agents_index| copy_if_changed(&agents_index, &index, &stamp))
        });
        if copied.await.map_err(io())? {
            return Ok(());
        }
        match self.tip {
            Some(tip) => self.git().run(Call::new(["read-tree", "--reset", tip])).await.map(drop),
            // Nothing but earlier snapshots is in it.
            None => Ok(()),
        }
    }

    /// Excluded files that the agent has added are, for the snapshot, as the tip has them.
    async fn leave_excluded_at_tip(&self) -> Result<(), GitError> {
        if self.excluded.is_empty() {
            return Ok(());
        }
        let mut paths = Vec::new();
        for path in self.excluded {
            paths.extend_from_slice(path.as_os_str().as_encoded_bytes());
            paths.push(0);
        }
        let remove = Call::new(["update-index", "-z", "--force-remove", "--stdin"]);
        self.git().run(remove.stdin(paths)).await?;
        let Some(tip) = self.tip else { return Ok(()) };
        let call = Call::new(["ls-tree", "-z", "--full-tree", tip, "--"]).args(self.excluded);
        let entries = self.git.run(call).await?.stdout;
        if entries.is_empty() {
            return Ok(());
        }
        let call = Call::new(["update-index", "-z", "--index-info"]);
        self.git().run(call.stdin(entries)).await.map(drop)
    }
}

/// Copies the index unless the one copied last is the same still. `false`: there is none to copy.
fn copy_if_changed(from: &Path, to: &Path, stamp: &Path) -> io::Result<bool> {
    let mut source = match File::open(from) {
        Ok(source) => source,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(error) => return Err(error),
    };
    let metadata = source.metadata()?;
    let seen =
        format!("{} {} {} {}", metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec());
    if to.exists() && fs::read_to_string(stamp).is_ok_and(|last| last == seen) {
        return Ok(true);
    }
    remove_if_any(stamp)?;
    let new = to.with_extension("new");
    let mut copy = File::create(&new)?;
    io::copy(&mut source, &mut copy)?;
    // Git takes an entry for clean only when it is older than its index.
    copy.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
    fs::rename(&new, to)?;
    write_atomically(stamp, seen.as_bytes())?;
    Ok(true)
}

fn remove_if_any(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// What of git's listing is taken in, as paths that end with NUL.
fn choose(root: &Path, listing: &[u8], excluded: &[PathBuf], bounds: Bounds) -> (Vec<u8>, LeftOut) {
    let mut left_out = LeftOut::default();
    let mut candidates = Vec::new();
    for path in git::paths(listing) {
        if excluded.contains(&path) {
            continue;
        }
        // Git ends the path of a repository inside with a slash.
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            left_out.nested.push(path);
            continue;
        }
        match fs::symlink_metadata(root.join(&path)) {
            Ok(metadata) if metadata.is_file() && !is_readable(&root.join(&path)) => {
                left_out.unreadable.push(path);
            }
            Ok(metadata) if metadata.is_file() => candidates.push((metadata.len(), path)),
            // Links, and what is gone: it is removed from the index.
            _ => candidates.push((0, path)),
        }
    }
    candidates.sort();
    let mut chosen = Vec::new();
    let (mut bytes, mut files) = (bounds.bytes, bounds.files);
    for (size, path) in candidates {
        if size > bytes || files == 0 {
            left_out.too_large.push(path);
            continue;
        }
        (bytes, files) = (bytes - size, files - 1);
        chosen.extend_from_slice(path.as_os_str().as_encoded_bytes());
        chosen.push(0);
    }
    (chosen, left_out)
}

fn is_readable(path: &Path) -> bool {
    rustix::fs::access(path, Access::READ_OK).is_ok()
}
