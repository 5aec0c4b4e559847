//! What a worktree's branch is made of beside its base: the work of other tasks, and a merge of it that
//! the agent is to settle.

use std::fmt::Write as _;
use std::path::PathBuf;

use factory_domain::Upstream;
use serde::{Deserialize, Serialize};

use super::{Worktree, as_factory};
use crate::git::{Call, Git, GitError};
use crate::repo::without_users_settings;

/// Empty where the task starts from its base alone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Lineage {
    /// Commits that the origin has: what a bundle of the work need not hold.
    pub in_origin: Vec<String>,
    /// The newest commits of the tasks it starts from: they, and what leads to them, are not the agent's.
    pub upstreams: Vec<String>,
    /// Where they do not merge.
    pub conflict: Option<Conflict>,
}

/// The agent is to merge these, the first of them before anything else.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conflict {
    /// Of the first, whose merge is left unfinished in the worktree; empty: no merge has begun.
    pub files: Vec<String>,
    /// Never empty.
    pub upstreams: Vec<Upstream>,
}

/// Files named to the agent; git names the rest.
const SHOWN: usize = 50;

impl Conflict {
    /// What its agent is told. Every line begins with a capital letter or a dash: to the scripted agent
    /// it is prose.
    pub fn note(&self) -> String {
        let mut text = "Your task starts from the work of other tasks, which is not all merged.\n".to_owned();
        let mut upstreams = self.upstreams.iter().peekable();
        // Writing to a String cannot fail.
        if let Some(Upstream { branch, number, title, commit, .. }) =
            upstreams.next_if(|_| !self.files.is_empty())
        {
            let _ = writeln!(
                text,
                "You begin in an unfinished merge of branch {branch} of task {number} ({title}), commit {commit}. \
                 Settle it before anything else: keep what both sides meant, `git add` the files, and commit \
                 the merge. These files are in conflict:"
            );
            for file in self.files.iter().take(SHOWN) {
                let _ = writeln!(text, "- {file}");
            }
            if self.files.len() > SHOWN {
                let _ = writeln!(text, "- And {} more, which `git status` shows", self.files.len() - SHOWN);
            }
        }
        for (at, Upstream { branch, number, title, commit, .. }) in upstreams.enumerate() {
            if at == 0 {
                let _ = writeln!(text, "Before you begin your own work, merge these, in this order:");
            }
            let _ = writeln!(text, "- `git merge {commit}`: branch {branch} of task {number} ({title})");
        }
        text
    }
}

impl Worktree {
    /// What the origin has of what the branch is made of, for bundles.
    pub(crate) fn in_origin(&self) -> &[String] {
        if self.lineage.in_origin.is_empty() {
            std::slice::from_ref(&self.base_commit)
        } else {
            &self.lineage.in_origin
        }
    }

    /// Leaves the merge that the agent is to settle unfinished in the fresh worktree.
    pub(crate) async fn begin_merge(&self) -> Result<(), GitError> {
        let Some(conflict) = &self.lineage.conflict else { return Ok(()) };
        let merge = Call::new(["merge", "--no-ff", "--no-commit", "--no-verify", "--no-gpg-sign", "--quiet"])
            .args(conflict.upstreams.first().map(|first| &first.commit));
        as_factory(&without_users_settings(&self.git())).ask(merge).await.map(drop)
    }

    /// Puts a worktree in which an earlier attempt has worked on the footing of a task that starts from
    /// these: their commits are not its own, and what it lacks of them is the agent's to merge. A merge
    /// that had begun is unfinished again; the files stay as they are.
    pub async fn take_over(&mut self, upstreams: &[Upstream]) -> Result<(), GitError> {
        let (tip, repository) = (self.tip().await?, self.git_in_repository());
        let mut missing = Vec::new();
        for upstream in upstreams {
            let commit = &upstream.commit;
            if commit.is_empty() || repository.commit_of(commit).await?.is_none() {
                continue;
            }
            if !self.lineage.upstreams.contains(commit) {
                self.lineage.upstreams.push(commit.clone());
            }
            if !is_merged(&repository, commit, &tip).await? {
                missing.push(upstream.clone());
            }
        }
        let begun =
            self.lineage.conflict.take().filter(|conflict| {
                !conflict.files.is_empty() && conflict.upstreams.first() == missing.first()
            });
        if let (Some(_), Some(first)) = (&begun, missing.first()) {
            let io = || GitError::io("merge");
            let message = format!("Merge branch {} of task {}\n", first.branch, first.number);
            tokio::fs::write(self.merge_head(), format!("{}\n", first.commit)).await.map_err(io())?;
            tokio::fs::write(self.git_dir.join("MERGE_MSG"), message).await.map_err(io())?;
        }
        let files = begun.map(|conflict| conflict.files).unwrap_or_default();
        self.lineage.conflict = (!missing.is_empty()).then_some(Conflict { files, upstreams: missing });
        Ok(())
    }

    /// Says what the agent has left undone of the merges it was to make, if anything. Changes that would
    /// be committed for it count as done, unless git still calls them a conflict.
    pub async fn left_unmerged(&self, commits_leftovers: bool) -> Result<Option<String>, GitError> {
        if self.lineage.conflict.is_none() {
            return Ok(None);
        }
        let listing = Call::new(["diff", "--name-only", "--diff-filter=U", "-z"]);
        let files = crate::git::paths(&self.git().run(listing).await?.stdout);
        if !files.is_empty() {
            let files: Vec<_> = files.iter().take(SHOWN).map(|file| file.display().to_string()).collect();
            return Ok(Some(format!("files are still in conflict: {}", files.join(", "))));
        }
        let merging = tokio::fs::read_to_string(self.merge_head()).await.unwrap_or_default();
        let is_committed_next = |upstream: &Upstream| commits_leftovers && merging.trim() == upstream.commit;
        let unsettled = self.unsettled().await?;
        let missing: Vec<_> = unsettled.into_iter().filter(|upstream| !is_committed_next(upstream)).collect();
        let names: Vec<_> =
            missing.iter().map(|missing| format!("{} ({})", missing.branch, missing.commit)).collect();
        Ok((!names.is_empty()).then(|| format!("these branches are not merged: {}", names.join(", "))))
    }

    /// Those of the conflict that the work does not contain.
    async fn unsettled(&self) -> Result<Vec<&Upstream>, GitError> {
        let Some(conflict) = &self.lineage.conflict else { return Ok(Vec::new()) };
        let (tip, repository) = (self.tip().await?, self.git_in_repository());
        let mut unsettled = Vec::new();
        for upstream in &conflict.upstreams {
            if !is_merged(&repository, &upstream.commit, &tip).await? {
                unsettled.push(upstream);
            }
        }
        Ok(unsettled)
    }

    fn merge_head(&self) -> PathBuf {
        self.git_dir.join("MERGE_HEAD")
    }
}

async fn is_merged(git: &Git, commit: &str, tip: &str) -> Result<bool, GitError> {
    git.ask(Call::new(["merge-base", "--is-ancestor", commit, tip])).await
}
