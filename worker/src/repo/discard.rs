//! Taking back worktrees that were only half made when the worker was ended.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::Cache;
use super::lock::RepositoryLock;
use crate::git::{Call, Git, GitError};
use crate::workspace;

/// A worktree's registration as it lies in a clone, also one that git itself would not list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Registration {
    /// The worktree's own git directory, inside the clone.
    pub git_dir: PathBuf,
    /// `None`: it was not written yet, or is damaged.
    pub workspace: Option<PathBuf>,
    /// The full name of the branch it has checked out.
    pub branch: Option<String>,
}

impl Registration {
    /// All of a clone.
    pub fn all_of(clone: &Path) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(clone.join("worktrees")) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        entries.map(|entry| Ok(Self::at(entry?.path()))).collect()
    }

    fn at(git_dir: PathBuf) -> Self {
        let line = |name: &str| {
            let text = fs::read_to_string(git_dir.join(name)).ok()?;
            Some(text.trim_end_matches('\n').to_owned())
        };
        let link = line("gitdir").map(PathBuf::from);
        let workspace = link.and_then(|link| link.parent().map(Path::to_owned));
        let branch = line("HEAD").and_then(|head| head.strip_prefix("ref: ").map(str::to_owned));
        Self { git_dir, workspace, branch }
    }

    /// By the last part of the path alone, which is an attempt's id: git resolves links in the rest, and
    /// names the registration by it as well.
    pub fn is_of(&self, workspace: &Path) -> bool {
        let name = self.workspace.as_deref().unwrap_or(&self.git_dir).file_name();
        name == workspace.file_name()
    }

    /// Removes it with its branch. The clone must be locked, and the worktree's files gone.
    pub async fn withdraw(self, clone: &Git) -> Result<(), GitError> {
        workspace::remove(self.git_dir).await.map_err(GitError::io("worktree remove"))?;
        match self.branch.filter(|branch| branch.starts_with("refs/heads/")) {
            Some(branch) => clone.run(Call::new(["update-ref", "-d", &branch])).await.map(drop),
            None => Ok(()),
        }
    }
}

impl Cache {
    /// The bare clones on disk.
    pub(crate) fn clones(&self) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        Ok(paths.into_iter().filter(|path| path.extension() == Some("git".as_ref())).collect())
    }

    /// Removes a workspace in which no agent has worked yet, with whatever has been made of its
    /// registration, so that it can be made again. Doing it again changes nothing.
    pub async fn discard(&self, workspace: &Path) -> Result<(), GitError> {
        let io = || GitError::io("worktree remove");
        workspace::remove(workspace.to_owned()).await.map_err(io())?;
        for clone in self.clones().map_err(io())? {
            let is_here = |found: &Registration| found.is_of(workspace);
            if !Registration::all_of(&clone).map_err(io())?.iter().any(is_here) {
                continue;
            }
            let _lock = RepositoryLock::acquire(&clone).await.map_err(io())?;
            for registration in Registration::all_of(&clone).map_err(io())?.into_iter().filter(is_here) {
                registration.withdraw(&self.git.in_repository(&clone)).await?;
            }
        }
        Ok(())
    }
}
