//! What was seen of worktrees and clones, and when each is worth another look.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_domain::Timestamp;
use tokio::time::Instant;

use crate::attempt;
use crate::blocking;
use crate::git::GitError;
use crate::worktree::{Standing, Worktree};

/// A worktree's changes are looked at this often, and its size is measured this often.
const STANDING_EVERY: Duration = Duration::from_secs(60);
const SIZE_EVERY: Duration = Duration::from_secs(10 * 60);
/// What took a second is done again after a hundred at the earliest.
const REST: u32 = 100;
/// Files and directories counted of one; a size beyond is told as what these have.
const MAX_ENTRIES: usize = 500_000;

/// Something that was seen, and until when that is good enough.
#[derive(Debug, Clone)]
struct Seen<T> {
    what: T,
    until: Instant,
}

impl<T> Seen<T> {
    fn new(what: T, every: Duration, begun: Instant) -> Self {
        Self { what, until: Instant::now() + every.max(begun.elapsed() * REST) }
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.until
    }
}

/// A worktree, and when it was looked at.
pub type Seeing = (Standing, Timestamp);

#[derive(Debug, Default)]
pub struct Looks {
    standings: HashMap<PathBuf, Seen<Seeing>>,
    sizes: HashMap<PathBuf, Seen<u64>>,
}

impl Looks {
    /// These are not as they were.
    pub fn forget(&mut self, changed: &[PathBuf]) {
        for path in changed {
            self.standings.remove(path);
            self.sizes.remove(path);
        }
    }

    /// Drops what is there no more.
    pub fn keep_only(&mut self, paths: &[PathBuf]) {
        self.standings.retain(|path, _| paths.contains(path));
        self.sizes.retain(|path, _| paths.contains(path));
    }

    /// How a worktree stands, looked at now where that is due.
    pub async fn standing(&mut self, worktree: &Worktree) -> Result<Seeing, GitError> {
        if let Some(seen) = self.standings.get(&worktree.path).filter(|seen| !seen.is_due()) {
            return Ok(seen.what.clone());
        }
        let begun = Instant::now();
        let seeing = (worktree.standing().await?, attempt::now());
        let seen = Seen::new(seeing.clone(), STANDING_EVERY, begun);
        self.standings.insert(worktree.path.clone(), seen);
        Ok(seeing)
    }

    /// Bytes on the disk, measured now where that is due.
    pub async fn size(&mut self, path: &Path) -> io::Result<u64> {
        if let Some(seen) = self.sizes.get(path).filter(|seen| !seen.is_due()) {
            return Ok(seen.what);
        }
        let (begun, root) = (Instant::now(), path.to_owned());
        let bytes = blocking::run(move || Ok(measure(&root, MAX_ENTRIES))).await?;
        self.sizes.insert(path.to_owned(), Seen::new(bytes, SIZE_EVERY, begun));
        Ok(bytes)
    }
}

/// Links are not followed, and what cannot be read is not counted.
fn measure(root: &Path, max_entries: usize) -> u64 {
    const BLOCK: u64 = 512;
    let (mut bytes, mut entries) = (0u64, 0);
    let mut pending = vec![root.to_owned()];
    while let Some(path) = pending.pop() {
        entries += 1;
        if entries > max_entries {
            break;
        }
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        bytes = bytes.saturating_add(metadata.blocks().saturating_mul(BLOCK));
        if metadata.is_dir()
            && let Ok(inside) = fs::read_dir(&path)
        {
            pending.extend(inside.filter_map(|entry| Some(entry.ok()?.path())));
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_measured_without_its_links_and_no_further_than_it_may() {
        let root = tempfile::tempdir().expect("a directory");
        let tree = root.path().join("tree");
        fs::create_dir_all(tree.join("a")).expect("made");
        fs::write(tree.join("a/file"), vec![1; 20_000]).expect("written");
        let alone = measure(&tree, 100);
        assert!((20_000..200_000).contains(&alone), "{alone}");
        fs::write(root.path().join("big"), vec![1; 1_000_000]).expect("written");
        std::os::unix::fs::symlink(root.path(), tree.join("out")).expect("linked");
        assert!(measure(&tree, 100) < 200_000);
        assert!(measure(&tree, 1) < 20_000);
        assert_eq!(measure(&root.path().join("nothing"), 100), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_long_is_looked_at_seldom() {
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        let seen = Seen::new((), Duration::from_secs(60), begun);
        tokio::time::advance(Duration::from_secs(190)).await;
        assert!(!seen.is_due());
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(seen.is_due());
    }
}
