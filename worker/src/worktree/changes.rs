//! What the agent's work amounts to: commits, a diff stat, a patch.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use factory_domain::{Commit, DiffStat, Leftovers, Report};

use super::{Worktree, leftovers};
use crate::git::{Call, GitError};

/// Bytes of patch kept. A larger one ends with `CUT_MARK`.
pub const MAX_PATCH: u64 = 64 * 1024 * 1024;
const CUT_MARK: &[u8] = b"\n# The patch was larger than 64 MiB and is cut here. The branch has all of it.\n";
const PATCH_NAME: &str = "changes.patch";

/// An attempt's work, read from its worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Newest first, at most [`Report::MAX_COMMITS`].
    pub commits: Vec<Commit>,
    /// Of base to tip.
    pub diff_stat: DiffStat,
    /// Where there are commits: the file with the change as a unified diff with binary hunks.
    pub patch: Option<PathBuf>,
    pub leftovers: leftovers::Found,
}

impl Worktree {
    /// Settles what was left uncommitted, then reads the commits made since the base and writes the
    /// patch into `out_dir`. Doing it again gives the same. No process of the agent may be left.
    pub async fn finish(&self, leftovers: Leftovers, title: &str, out_dir: &Path) -> Result<Work, GitError> {
        self.clear_locks().await?;
        let found = match leftovers::settle(self, leftovers, title).await {
            Ok(found) => found,
            // The agent removed its own worktree: what it committed is still in the branch.
            Err(_) if !self.is_there() => leftovers::Found::default(),
            Err(error) => return Err(error),
        };
        let tip = self.tip().await?;
        let commits = self.commits(&tip).await?;
        if commits.is_empty() {
            return Ok(Work { commits, diff_stat: DiffStat::default(), patch: None, leftovers: found });
        }
        let diff_stat = self.diff_stat(&tip).await?;
        let patch = self.write_patch(&tip, &out_dir.join(PATCH_NAME)).await?;
        Ok(Work { commits, diff_stat, patch: Some(patch), leftovers: found })
    }

    /// An agent killed in the middle of a git command leaves the locks of its index, `HEAD` and branch.
    /// All three are this worktree's alone.
    pub(super) async fn clear_locks(&self) -> Result<(), GitError> {
        let branch = self.repository.join(format!("{}.lock", self.branch_ref()));
        for lock in [self.git_dir.join("index.lock"), self.git_dir.join("HEAD.lock"), branch] {
            match tokio::fs::remove_file(&lock).await {
                Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    return Err(GitError::io("status")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn is_there(&self) -> bool {
        self.path.is_dir() && self.git_dir.is_dir()
    }

    /// The commits the tip has, and neither the base nor a task has that it starts from.
    pub(crate) async fn commits(&self, tip: &str) -> Result<Vec<Commit>, GitError> {
        let call = Call::new(["rev-list", "--no-commit-header", "--format=%H%x00%s"])
            .arg(format!("--max-count={}", Report::MAX_COMMITS))
            .arg(format!("{}..{tip}", self.base_commit))
            .args(self.lineage.upstreams.iter().map(|commit| format!("^{commit}")))
            .arg("--");
        let listing = self.git_in_repository().run(call).await?.stdout;
        // A subject is one line by git's own definition of it.
        let lines = String::from_utf8_lossy(&listing);
        let commit = |line: &str| {
            let (id, subject) = line.split_once('\0')?;
            Some(Commit { id: id.to_owned(), subject: subject.to_owned() })
        };
        Ok(lines.lines().filter_map(commit).collect())
    }

    async fn diff_stat(&self, tip: &str) -> Result<DiffStat, GitError> {
        let call = Call::new(["diff-tree", "-r", "--numstat", "-z", "--no-renames", "--no-ext-diff"])
            .arg("--no-textconv")
            .args([&self.base_commit, tip, "--"]);
        let listing = self.git_in_repository().run(call).await?.stdout;
        Ok(read_numstat(&listing))
    }

    async fn write_patch(&self, tip: &str, file: &Path) -> Result<PathBuf, GitError> {
        let call = Call::new(["diff-tree", "-r", "-p", "--binary", "--full-index", "-M", "--no-ext-diff"])
            .arg("--no-textconv")
            .args([&self.base_commit, tip, "--"]);
        if self.git_in_repository().run_into(call, file, MAX_PATCH).await? {
            let io = || GitError::io("diff-tree");
            let mut contents = tokio::fs::OpenOptions::new().append(true).open(file).await.map_err(io())?;
            tokio::io::AsyncWriteExt::write_all(&mut contents, CUT_MARK).await.map_err(io())?;
            contents.sync_all().await.map_err(io())?;
        }
        Ok(file.to_owned())
    }
}

/// Adds up `insertions TAB deletions TAB path NUL`; binary files count as files alone (`-`).
fn read_numstat(listing: &[u8]) -> DiffStat {
    let mut total = DiffStat::default();
    for entry in listing.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
        let entry = String::from_utf8_lossy(entry);
        let mut fields = entry.splitn(3, '\t');
        let mut number = || fields.next().and_then(|field| field.parse::<u32>().ok()).unwrap_or(0);
        total.insertions = total.insertions.saturating_add(number());
        total.deletions = total.deletions.saturating_add(number());
        total.files = total.files.saturating_add(1);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numstat_is_added_up_with_binary_files_and_odd_names() {
        let listing = b"3\t1\ta.txt\0-\t-\tlogo.png\x002\t0\ttab\there\nand a line\0";
        assert_eq!(read_numstat(listing), DiffStat { files: 3, insertions: 5, deletions: 1 });
    }
}
