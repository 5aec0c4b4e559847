//! Taking back worktrees that were only half made when the worker was ended.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use factory_domain::RepoSource;

use super::Cache;
use super::lock::RepositoryLock;
use super::upkeep::is_in_origin;
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

    /// By the last two parts of the path, which is how those made by hand are told apart.
    fn is_made_by_hand_at(&self, worktree: &Path) -> bool {
        let name = |path: &Path| Some((path.parent()?.file_name()?.to_owned(), path.file_name()?.to_owned()));
        self.workspace.as_deref().and_then(name).is_some_and(|found| Some(found) == name(worktree))
    }

    /// Removes it with its branch. The clone must be locked, and the worktree's files gone.
    pub async fn withdraw(self, clone: &Git) -> Result<(), GitError> {
        workspace::remove(self.git_dir).await.map_err(GitError::io("worktree remove"))?;
        match self.branch.filter(|branch| branch.starts_with("refs/heads/")) {
            Some(branch) => clone.run(Call::new(["update-ref", "-d", &branch])).await.map(drop),
            None => Ok(()),
        }
    }

    /// The same, but a branch stays that has what the origin lacks.
    async fn withdraw_keeping_work(mut self, clone: &Git) -> Result<(), GitError> {
        if let Some(branch) = &self.branch
            && clone.commit_of(branch).await?.is_some()
            && !is_in_origin(clone, branch).await?
        {
            self.branch = None;
        }
        self.withdraw(clone).await
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

    /// The same for a worktree made by hand, of which nothing is wanted any more but a branch with work in it.
    pub(crate) async fn discard_by_hand(&self, source: &RepoSource, worktree: &Path) -> Result<(), GitError> {
        let io = || GitError::io("worktree remove");
        workspace::remove(worktree.to_owned()).await.map_err(io())?;
        let clone = self.clone_path(source);
        if !clone.try_exists().map_err(io())? {
            return Ok(());
        }
        let _lock = RepositoryLock::acquire(&clone).await.map_err(io())?;
        for registration in Registration::all_of(&clone).map_err(io())? {
            if registration.is_made_by_hand_at(worktree) {
                registration.withdraw_keeping_work(&self.git.in_repository(&clone)).await?;
            }
        }
        Ok(())
    }
}
