//! How a worktree stands: what is checked out, and how much of it is nowhere else.

use super::Worktree;
use crate::git::{self, Call, GitError};

/// Counted no further: whoever has so many needs no exact number.
const MAX_COMMITS: u32 = 10_000;

/// What git says of a worktree now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Full id; empty: there is no commit.
    pub head: String,
    /// Empty: none is checked out.
    pub branch: String,
    /// Files changed or new that no commit has.
    pub uncommitted: u32,
    /// Commits that the origin lacks, as far as is known here.
    pub unsaved_commits: u32,
}

impl Standing {
    /// Nothing in it would be lost with it.
    pub const fn is_saved(&self) -> bool {
        self.uncommitted == 0 && self.unsaved_commits == 0
    }
}

impl Worktree {
    /// Looks without changing anything, and after everything else on the host. Files that were copied in by
    /// `.worktreeinclude` are no one's work.
    pub async fn standing(&self) -> Result<Standing, GitError> {
        let call = Call::new(["status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all"])
            .args(["--no-renames", "--ignore-submodules=dirty"])
            .in_background();
        let listing = self.git().run(call).await?.stdout;
        let mut standing = read(&listing, |path| self.included.iter().any(|file| file.as_os_str() == path));
        standing.unsaved_commits = self.unsaved_commits().await?;
        Ok(standing)
    }

    /// Of what is checked out and of its own branch: an agent or a person may have left that.
    async fn unsaved_commits(&self) -> Result<u32, GitError> {
        let branch = self.git_in_repository().commit_of(&self.branch_ref()).await?;
        let head = self.git().commit_of("HEAD").await?;
        let tips: Vec<String> = [head, branch].into_iter().flatten().collect();
        if tips.is_empty() {
            return Ok(0);
        }
        let call = Call::new(["rev-list", "--count", &format!("--max-count={MAX_COMMITS}")])
            .args(tips)
            .args(self.lineage.upstreams.iter().map(|commit| format!("^{commit}")))
            .args(["--not", "--remotes=origin", "--glob=refs/factory/base", "--"])
            .in_background();
        let said = self.git_in_repository().run(call).await?.line();
        said.parse().map_err(|_| GitError::Unexpected { command: "rev-list".into(), said })
    }
}

/// Reads `git status --porcelain=v2 --branch -z`. Without renames, every entry is one line.
fn read(listing: &[u8], is_included: impl Fn(&std::ffi::OsStr) -> bool) -> Standing {
    let mut standing = Standing::default();
    for line in git::paths(listing) {
        let line = line.as_os_str().as_encoded_bytes();
        if let Some(head) = line.strip_prefix(b"# branch.oid ") {
            standing.head = known(head, "(initial)");
        } else if let Some(branch) = line.strip_prefix(b"# branch.head ") {
            standing.branch = known(branch, "(detached)");
        } else if let Some(path) = line.strip_prefix(b"? ") {
            let path: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(path);
            standing.uncommitted += u32::from(!is_included(path));
        } else if !line.starts_with(b"# ") && !line.starts_with(b"! ") {
            standing.uncommitted = standing.uncommitted.saturating_add(1);
        }
    }
    standing
}

fn known(word: &[u8], none: &str) -> String {
    let word = String::from_utf8_lossy(word);
    if word == none { String::new() } else { word.into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_new_files_are_counted_and_the_head_is_read() {
        let listing = b"# branch.oid 12ab\0# branch.head a/b\0# branch.ab +1 -0\x001 .M N... 100644 100644 100644 a b x y\0? new\0? .env\0";
        let standing = read(listing, |path| path == ".env");
        let expected =
            Standing { head: "12ab".into(), branch: "a/b".into(), uncommitted: 2, unsaved_commits: 0 };
        assert_eq!(standing, expected);
        let standing = read(b"# branch.oid (initial)\0# branch.head (detached)\0", |_| false);
        assert_eq!(standing, Standing::default());
    }
}
