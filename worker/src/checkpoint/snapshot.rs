//! Taking a snapshot of a worktree, and packing it for the way.

use std::io;
use std::path::{Path, PathBuf};

use super::gather::{Bounds, Gather};
use super::{LeftOut, Snapshot, Taken};
use crate::blocking;
use crate::git::{Call, Git, GitError};
use crate::worktree::{Worktree, as_factory};

pub(super) const REFS: &str = "refs/factory/checkpoints";
const BUNDLE_NAME: &str = "work.bundle";

impl Worktree {
    /// The hidden ref of this worktree's newest snapshot, in the clone. Named by the worktree's
    /// directory: by the attempt it was made for, also when a later one goes on in it.
    pub(crate) fn checkpoint_ref(&self) -> String {
        format!("{REFS}/{}", self.path.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Saves the whole worktree as it is now on the hidden ref. `None`: nothing has changed since
    /// `previous`, or since the base where there is none.
    ///
    /// `out` is a directory of the attempt's own, the same at every call.
    pub async fn snapshot(
        &self,
        out: &Path,
        bounds: Bounds,
        previous: Option<&Snapshot>,
    ) -> Result<Option<Taken>, GitError> {
        let repository = self.git_in_repository();
        let tip = self.tip_or_base().await?;
        let (tree, left_out) = if self.path.is_dir() {
            let index = self.index_path();
            let gather = Gather {
                git: self.git_by_clone(),
                root: &self.path,
                out,
                agents_index: Some(&index),
                tip: Some(&tip),
                excluded: &self.included,
                bounds,
            };
            gather.tree().await?
        } else {
            // The agent removed its own worktree: what it committed is left.
            (tree_of(&repository, &tip).await?.unwrap_or_default(), LeftOut::default())
        };
        let (known_tip, known) = match previous {
            Some(previous) => (previous.tip.as_deref(), &previous.commit),
            None => (Some(self.base_commit.as_str()), &self.base_commit),
        };
        if known_tip == Some(&tip) && tree_of(&repository, known).await?.as_ref() == Some(&tree) {
            return Ok(None);
        }
        let commit = commit(&repository, &tree, Some(&tip)).await?;
        set_ref(&repository, self.repository(), &self.checkpoint_ref(), &commit).await?;
        let snapshot = Snapshot { base: Some(self.base_commit.clone()), tip: Some(tip), commit };
        Ok(Some(Taken { snapshot, left_out }))
    }

    /// Packs what the snapshot has and its base has not into a file in `out`. `None`: there is nothing.
    pub async fn bundle_snapshot(
        &self,
        snapshot: &Snapshot,
        out: &Path,
    ) -> Result<Option<PathBuf>, GitError> {
        let repository = self.git_in_repository();
        if let Some(base) = &snapshot.base
            && snapshot.tip.as_ref() == Some(base)
            && tree_of(&repository, &snapshot.commit).await? == tree_of(&repository, base).await?
        {
            return Ok(None);
        }
        let name = self.checkpoint_ref();
        set_ref(&repository, self.repository(), &name, &snapshot.commit).await?;
        bundle(&repository, &name, self.in_origin(), out).await.map(Some)
    }

    /// The tip, also of an agent that left neither `HEAD` nor its branch.
    async fn tip_or_base(&self) -> Result<String, GitError> {
        match self.tip().await {
            Err(GitError::RefNotFound { .. }) => Ok(self.base_commit.clone()),
            tip => tip,
        }
    }
}

pub(super) async fn tree_of(git: &Git, commit: &str) -> Result<Option<String>, GitError> {
    let call = Call::new(["rev-parse", "--verify", "--quiet", "--end-of-options"]);
    match git.run(call.arg(format!("{commit}^{{tree}}"))).await {
        Ok(answer) => Ok(Some(answer.line())),
        Err(GitError::RefNotFound { .. } | GitError::Failed { code: Some(1 | 128), .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) async fn commit(git: &Git, tree: &str, parent: Option<&str>) -> Result<String, GitError> {
    let call = Call::new(["commit-tree", "--no-gpg-sign"])
        .args(parent.iter().flat_map(|parent| ["-p", parent]))
        .args(["-m", "Checkpoint", tree]);
    as_factory(git).run(call).await.map(|answer| answer.line())
}

/// Sets a ref that only the attempt's own snapshots write.
pub(super) async fn set_ref(git: &Git, repository: &Path, name: &str, commit: &str) -> Result<(), GitError> {
    unlock(&repository.join(name)).await.map_err(GitError::io("update-ref"))?;
    git.run(Call::new(["update-ref", name, commit])).await.map(drop)
}

/// Removes the lock on a file of the attempt's own that a git left which was killed with its worker.
pub(super) async fn unlock(file: &Path) -> io::Result<()> {
    let lock = file.with_added_extension("lock");
    blocking::run(move || match std::fs::remove_file(lock) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    })
    .await
}

/// Packs a ref, which stands at the snapshot: agents reach it, so it is set right before this. What
/// `known` leads to is left out.
pub(super) async fn bundle(git: &Git, name: &str, known: &[String], out: &Path) -> Result<PathBuf, GitError> {
    let file = out.join(BUNDLE_NAME);
    unlock(&file).await.map_err(GitError::io("bundle"))?;
    let call = Call::new(["bundle", "create", "--quiet"])
        .arg(&file)
        .arg(name)
        .args(known.iter().map(|commit| format!("^{commit}")));
    git.run(call).await?;
    Ok(file)
}
