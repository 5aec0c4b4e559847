//! Snapshots of a workspace without a repository, in a private bare repository in the spool.

use std::path::{Path, PathBuf};

use factory_domain::AttemptId;

use super::gather::{Bounds, Gather};
use super::restore::unpack;
use super::snapshot::{REFS, bundle, commit, set_ref, tree_of, unlock};
use super::{RestoreError, Snapshot, Taken};
use crate::blocking;
use crate::environment::ATTEMPT_MARKER;
use crate::git::{Call, Git, GitError};

/// A directory whose snapshots are commits without parents. A `.git` in the directory itself is left out.
#[derive(Debug, Clone)]
pub struct DirectorySnapshots {
    git: Git,
    /// The workspace.
    root: PathBuf,
    /// Of the attempt's own, for the repository, the index and bundles.
    out: PathBuf,
    attempt: AttemptId,
}

impl DirectorySnapshots {
    pub fn new(git: Git, root: &Path, out: &Path, attempt: AttemptId) -> Self {
        Self { git, root: root.to_owned(), out: out.to_owned(), attempt }
    }

    /// Saves the whole directory as it is now. `None`: nothing has changed since `previous`, or the
    /// directory is empty where there is none.
    pub async fn snapshot(
        &self,
        bounds: Bounds,
        previous: Option<&Snapshot>,
    ) -> Result<Option<Taken>, GitError> {
        self.initialize().await?;
        let repository = self.repository();
        let gather = Gather {
            git: self.git.in_worktree(&self.git_dir(), &self.root),
            root: &self.root,
            out: &self.out,
            agents_index: None,
            tip: None,
            excluded: &[],
            bounds,
        };
        let (tree, mut left_out) = gather.tree().await?;
        if self.root.join(".git").exists() {
            left_out.nested.push(".git".into());
        }
        let unchanged = match previous {
            Some(previous) => tree_of(&repository, &previous.commit).await?.as_ref() == Some(&tree),
            None => self.is_empty(&tree).await?,
        };
        if unchanged {
            return Ok(None);
        }
        let commit = commit(&repository, &tree, None).await?;
        set_ref(&repository, &self.git_dir(), &self.name(), &commit).await?;
        Ok(Some(Taken { snapshot: Snapshot { base: None, tip: None, commit }, left_out }))
    }

    /// Packs the snapshot into a file. `None`: it is empty.
    pub async fn bundle_snapshot(&self, snapshot: &Snapshot) -> Result<Option<PathBuf>, GitError> {
        if self.is_empty(&snapshot.commit).await? {
            return Ok(None);
        }
        set_ref(&self.repository(), &self.git_dir(), &self.name(), &snapshot.commit).await?;
        bundle(&self.repository(), &self.name(), &[], &self.out).await.map(Some)
    }

    /// Fills the directory, which is empty, from a bundle of another attempt's. After an error it is
    /// empty again.
    pub async fn restore(&self, bundle: &Path, snapshot: &Snapshot) -> Result<(), RestoreError> {
        self.initialize().await?;
        let marker = self.attempt.to_string();
        let repository = self.repository().env(ATTEMPT_MARKER, &marker);
        unpack(&repository, bundle, snapshot, &self.name()).await?;
        let git = self
            .git
            .in_worktree(&self.git_dir(), &self.root)
            .env(ATTEMPT_MARKER, &marker)
            .env("GIT_INDEX_FILE", self.out.join("index"));
        if let Err(error) = git.run(Call::new(["read-tree", "--reset", "-u", &snapshot.commit])).await {
            self.empty().await.map_err(GitError::io("read-tree"))?;
            return Err(error.into());
        }
        Ok(())
    }

    fn git_dir(&self) -> PathBuf {
        self.out.join("snapshots.git")
    }

    fn repository(&self) -> Git {
        self.git.in_repository(&self.git_dir())
    }

    fn name(&self) -> String {
        format!("{REFS}/{}", self.attempt)
    }

    async fn initialize(&self) -> Result<(), GitError> {
        let out = self.out.clone();
        blocking::run(move || std::fs::create_dir_all(out)).await.map_err(GitError::io("init"))?;
        for file in ["config", "HEAD"] {
            unlock(&self.git_dir().join(file)).await.map_err(GitError::io("init"))?;
        }
        let call = Call::new(["init", "--quiet", "--bare", "--template=", "--"]).arg(self.git_dir());
        self.git.in_directory(&self.out).run(call).await.map(drop)
    }

    async fn is_empty(&self, tree: &str) -> Result<bool, GitError> {
        Ok(self.repository().run(Call::new(["ls-tree", tree])).await?.stdout.is_empty())
    }

    async fn empty(&self) -> std::io::Result<()> {
        crate::workspace::remove(self.root.clone()).await?;
        crate::workspace::create(&self.root).await
    }
}
