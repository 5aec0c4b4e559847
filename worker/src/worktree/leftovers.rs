//! What the agent changed and did not commit.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use factory_domain::Leftovers;

use super::Worktree;
use crate::git::{Call, GitError};

/// What was found when the agent had ended, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Paths changed, added or deleted and not committed.
    pub files: usize,
    pub fate: Fate,
    /// Repositories the agent made inside the worktree. A commit could only hold a dangling link to
    /// them, so they are left out of it.
    pub nested: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// There was nothing.
    #[default]
    None,
    Committed,
    Kept,
    Discarded,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.fate {
            Fate::None => return f.write_str("the agent committed everything it changed"),
            Fate::Committed => "committed as one commit",
            Fate::Kept => "kept in the worktree",
            Fate::Discarded => "discarded",
        };
        write!(f, "{} uncommitted file(s) {fate}", self.files)?;
        if !self.nested.is_empty() {
            let names: Vec<_> = self.nested.iter().map(|path| path.display().to_string()).collect();
            write!(f, "; left out, being repositories of their own: {}", names.join(", "))?;
        }
        Ok(())
    }
}

impl Worktree {
    /// Lets changes be uncommitted again that were committed as leftovers when an attempt ended: it did
    /// not succeed, and another goes on. The files stay as they are; without such a commit nothing happens.
    pub async fn reopen_leftovers(&self, title: &str) -> Result<(), GitError> {
        if !self.is_there() {
            return Ok(());
        }
        self.clear_locks().await?;
        let git = self.git();
        let Some(head) = git.commit_of("HEAD").await? else { return Ok(()) };
        let subject = git.run(Call::new(["log", "-1", "--format=%s", &head])).await?.line();
        if head == self.base_commit || subject != message(title).trim_end() {
            return Ok(());
        }
        let reset = Call::new(["reset", "--mixed", "--quiet", "--no-recurse-submodules", "HEAD^"]);
        git.run(reset).await?;
        let (repository, branch) = (self.git_in_repository(), self.branch_ref());
        if repository.commit_of(&branch).await?.as_ref() == Some(&head) {
            // The agent had left its branch, which was moved to the leftovers all the same.
            repository.run(Call::new(["update-ref", &branch, &format!("{head}^"), &head])).await?;
        }
        Ok(())
    }
}

fn message(title: &str) -> String {
    format!("Leftovers of: {title}\n")
}

/// Deals with the leftovers as the task wishes.
pub(super) async fn settle(worktree: &Worktree, wish: Leftovers, title: &str) -> Result<Found, GitError> {
    let (files, nested) = find(worktree).await?;
    if files == 0 && nested.is_empty() {
        return Ok(Found::default());
    }
    let fate = match wish {
        Leftovers::Keep => Fate::Kept,
        Leftovers::Discard => {
            discard(worktree).await?;
            Fate::Discarded
        }
        Leftovers::Commit if files > 0 && commit(worktree, title, &nested).await? => Fate::Committed,
        Leftovers::Commit => Fate::None,
    };
    Ok(Found { files, fate, nested })
}

/// Counts changed files, and lists repositories inside.
async fn find(worktree: &Worktree) -> Result<(usize, Vec<PathBuf>), GitError> {
    let call = Call::new(["status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames"])
        .arg("--ignore-submodules=dirty");
    let listing = worktree.git().run(call).await?.stdout;
    let mut files = 0;
    let mut nested = Vec::new();
    for entry in crate::git::paths(&listing) {
        // `XY path`, the path relative to the root; git ends that of a repository inside with a slash.
        let Some(path) = entry.as_os_str().as_bytes().get(3..) else { continue };
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        if path.as_os_str().as_bytes().ends_with(b"/") {
            nested.push(path.to_owned());
        } else if !worktree.included.iter().any(|included| included == path) {
            files += 1;
        }
    }
    Ok((files, nested))
}

/// Commits everything but what must stay out. `false`: git sees no difference worth a commit (line
/// ends alone, say).
async fn commit(worktree: &Worktree, title: &str, nested: &[PathBuf]) -> Result<bool, GitError> {
    let git = worktree.git();
    if !worktree.included.is_empty() {
        let staged = Call::new(["reset", "--quiet", "--pathspec-from-file=-", "--pathspec-file-nul"]);
        git.run(staged.stdin(pathspecs("top,literal", &worktree.included))).await?;
    }
    let mut everything = b":/\0".to_vec();
    everything.extend(pathspecs("top,exclude,literal", &worktree.included));
    everything.extend(pathspecs("top,exclude,literal", nested));
    let add = Call::new(["add", "--all", "--pathspec-from-file=-", "--pathspec-file-nul"]);
    git.run(add.stdin(everything)).await?;
    let commit = Call::new(["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--cleanup=verbatim"])
        .arg("--file=-")
        .stdin(message(title));
    git.ask(commit).await
}

fn pathspecs(magic: &str, paths: &[PathBuf]) -> Vec<u8> {
    let mut list = Vec::new();
    for path in paths {
        list.extend_from_slice(format!(":({magic})").as_bytes());
        list.extend_from_slice(path.as_os_str().as_bytes());
        list.push(0);
    }
    list
}

async fn discard(worktree: &Worktree) -> Result<(), GitError> {
    let git = worktree.git();
    git.run(Call::new(["reset", "--hard", "--quiet", "--no-recurse-submodules"])).await?;
    git.run(Call::new(["clean", "-ffdq"])).await.map(drop)
}
