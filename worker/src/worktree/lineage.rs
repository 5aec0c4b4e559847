//! What a worktree's branch is made of beside its base: the work of other tasks, and a merge of it that
//! the agent is to settle.

use std::fmt::Write as _;
use std::path::PathBuf;

use factory_domain::Upstream;
use serde::{Deserialize, Serialize};

use super::{Worktree, as_factory};
use crate::git::{Call, GitError};
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

/// The agent is to settle the first of these and merge the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conflict {
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
        let mut text = String::new();
        let mut upstreams = self.upstreams.iter();
        let Some(first) = upstreams.next() else { return text };
        let Upstream { branch, number, title, commit, .. } = first;
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "Your task starts from the work of other tasks, and it did not merge by itself. You begin in an \
             unfinished merge of branch {branch} of task {number} ({title}), commit {commit}.\n\
             Settle it before anything else: keep what both sides meant, `git add` the files, and commit the \
             merge. These files are in conflict:"
        );
        for file in self.files.iter().take(SHOWN) {
            let _ = writeln!(text, "- {file}");
        }
        if self.files.len() > SHOWN {
            let _ = writeln!(text, "- And {} more, which `git status` shows", self.files.len() - SHOWN);
        }
        let rest: Vec<_> = upstreams.collect();
        if !rest.is_empty() {
            let _ = writeln!(text, "After that, merge these as well, in this order:");
        }
        for Upstream { branch, number, title, commit, .. } in rest {
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

    /// Counts the commits of these tasks as theirs, as far as they are here: the work goes on from them.
    pub(crate) async fn goes_on_from(&mut self, upstreams: &[Upstream]) -> Result<(), GitError> {
        let repository = self.git_in_repository();
        for Upstream { commit, .. } in upstreams {
            if !self.lineage.upstreams.contains(commit) && repository.commit_of(commit).await?.is_some() {
                self.lineage.upstreams.push(commit.clone());
            }
        }
        Ok(())
    }

    /// Leaves the merge that the agent is to settle unfinished in the worktree. Where the files were put
    /// in place otherwise, restored or left by an earlier attempt, they stay as they are.
    pub(crate) async fn begin_merge(&self, fresh: bool) -> Result<(), GitError> {
        let Some(first) = self.unsettled().await?.into_iter().next() else { return Ok(()) };
        if fresh {
            let merge =
                Call::new(["merge", "--no-ff", "--no-commit", "--no-verify", "--no-gpg-sign", "--quiet"])
                    .arg(&first.commit);
            let git = as_factory(&without_users_settings(&self.git()));
            return git.ask(merge).await.map(drop);
        }
        let io = || GitError::io("merge");
        let message = format!("Merge branch {} of task {}\n", first.branch, first.number);
        tokio::fs::write(self.merge_head(), format!("{}\n", first.commit)).await.map_err(io())?;
        tokio::fs::write(self.git_dir.join("MERGE_MSG"), message).await.map_err(io())
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
            let call = Call::new(["merge-base", "--is-ancestor", &upstream.commit, &tip]);
            if !repository.ask(call).await? {
                unsettled.push(upstream);
            }
        }
        Ok(unsettled)
    }

    fn merge_head(&self) -> PathBuf {
        self.git_dir.join("MERGE_HEAD")
    }
}
