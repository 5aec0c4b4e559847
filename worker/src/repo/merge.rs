//! Starting from other tasks' branches: each is fetched, and merged into the base in the order given.
//!
//! The merges are made in the bare clone, before there is a worktree: nothing of a user's configuration
//! and no hook takes part, and a task that fails for a conflict leaves nothing behind. The same branches
//! on the same base give the same commits, whenever and on whichever worker, so an attempt that is
//! prepared again, here or elsewhere, goes on from what the one before it had.

use std::path::PathBuf;

use factory_domain::{ConflictPolicy, Upstream};

use super::sync::Repository;
use super::{Note, RepoError, Request};
use crate::git::{Call, Git};
use crate::worktree::{Conflict, Lineage, as_factory};

/// Keep the commits of a worktree's upstreams, by its directory's name.
pub(crate) const REFS: &str = "refs/factory/upstreams";

/// The work of another task, as far as it is here.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub upstream: Upstream,
    /// Where its commits are not in the origin: the file that has them.
    pub bundle: Option<PathBuf>,
}

/// What a branch is to start from beside its base.
#[derive(Debug, Clone, Copy, Default)]
pub struct Merge<'a> {
    pub upstreams: &'a [Incoming],
    pub on_conflict: ConflictPolicy,
}

/// Where the branch starts, and what of.
pub(super) struct Merged {
    pub commit: String,
    pub lineage: Lineage,
}

/// Merges what the request names into `start`.
pub(super) async fn merge(
    repository: &Repository,
    start: &str,
    request: &Request<'_>,
    git: &Git,
    note: Note<'_>,
) -> Result<Merged, RepoError> {
    let Merge { upstreams, on_conflict } = request.merge;
    let mut merged = Merged { commit: start.to_owned(), lineage: Lineage::default() };
    if upstreams.is_empty() {
        return Ok(merged);
    }
    let merger = Merger { repository, git: without_users_settings(git).in_repository(&repository.path) };
    merged.lineage.in_origin.push(start.to_owned());
    for incoming in upstreams {
        merger.bring(incoming, request).await?;
        let commit = &incoming.upstream.commit;
        merged.lineage.upstreams.push(commit.clone());
        if incoming.upstream.pushed {
            merged.lineage.in_origin.push(commit.clone());
        }
    }
    for (at, Incoming { upstream, .. }) in upstreams.iter().enumerate() {
        match merger.join(&merged.commit, upstream).await? {
            Joined::Contained => {}
            Joined::At(commit) => {
                note(format!("starting from branch {} of task {}", upstream.branch, upstream.number));
                merged.commit = commit;
            }
            Joined::Not { files } if on_conflict == ConflictPolicy::Agent => {
                let (branch, number) = (&upstream.branch, upstream.number);
                note(format!("branch {branch} of task {number} is in conflict; its agent is to settle that"));
                merged.lineage.conflict =
                    Some(Conflict { files, upstreams: upstreams[at..].iter().map(of).collect() });
                break;
            }
            Joined::Not { files } => {
                let with = merger.opponent(&upstreams[..at], upstream).await?;
                return Err(RepoError::MergeConflict {
                    repo: repository.label.clone(),
                    branch: named(upstream),
                    with: with.map_or_else(|| "what the task starts from".to_owned(), named),
                    files,
                });
            }
        }
    }
    Ok(merged)
}

fn of(incoming: &Incoming) -> Upstream {
    incoming.upstream.clone()
}

fn named(upstream: &Upstream) -> String {
    format!("branch {} of task {}", upstream.branch, upstream.number)
}

/// Merges come out the same for every user of a host, and no program of theirs runs. Later variables win.
pub(crate) fn without_users_settings(git: &Git) -> Git {
    git.clone().env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1")
}

/// What became of one branch.
enum Joined {
    /// All of it was there already.
    Contained,
    /// It leads to this commit.
    At(String),
    Not {
        files: Vec<String>,
    },
}

struct Merger<'a> {
    repository: &'a Repository,
    git: Git,
}

impl Merger<'_> {
    /// Sees that the upstream's commit is in the clone, and stays there while the worktree does.
    async fn bring(&self, incoming: &Incoming, request: &Request<'_>) -> Result<(), RepoError> {
        let Incoming { upstream, bundle } = incoming;
        let commit = &upstream.commit;
        let missing = |said: String| RepoError::UpstreamMissing {
            repo: self.repository.label.clone(),
            branch: named(upstream),
            commit: commit.clone(),
            said,
        };
        if !(40..=64).contains(&commit.len()) || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(missing("that is no full commit id".to_owned()));
        }
        let owner = request.workspace.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{REFS}/{owner}/{}", upstream.number);
        let refuse = |error| RepoError::from_git(&self.repository.label, error);
        if self.git.commit_of(commit).await.map_err(refuse)?.is_none() {
            match bundle {
                Some(bundle) => {
                    let call = Call::new(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--"])
                        .arg(bundle)
                        .arg(format!("+refs/heads/*:{name}/*"));
                    self.git.run(call).await.map_err(|error| missing(error.to_string()))?;
                }
                None => {
                    let into = format!("{name}/tip");
                    if !self.repository.fetch_alone(commit, &into, &self.git).await.map_err(refuse)? {
                        return Err(missing("the origin does not give it".to_owned()));
                    }
                }
            }
        }
        match self.git.commit_of(commit).await.map_err(refuse)? {
            Some(found) if found == *commit => {}
            _ => return Err(missing("what was fetched for it does not hold it".to_owned())),
        }
        let keep = Call::new(["update-ref", &format!("{name}/tip"), commit]);
        self.git.run(keep).await.map(drop).map_err(refuse)
    }

    async fn join(&self, base: &str, upstream: &Upstream) -> Result<Joined, RepoError> {
        let commit = upstream.commit.as_str();
        if self.contains(base, commit).await? {
            return Ok(Joined::Contained);
        }
        if self.contains(commit, base).await? {
            return Ok(Joined::At(commit.to_owned()));
        }
        match self.tree(base, commit).await? {
            Ok(tree) => self.commit(&tree, base, upstream).await.map(Joined::At),
            Err(files) => Ok(Joined::Not { files }),
        }
    }

    async fn contains(&self, tip: &str, commit: &str) -> Result<bool, RepoError> {
        let call = Call::new(["merge-base", "--is-ancestor", commit, tip]);
        self.git.ask(call).await.map_err(|error| RepoError::from_git(&self.repository.label, error))
    }

    /// The tree of both, or the files they do not agree on.
    async fn tree(&self, ours: &str, theirs: &str) -> Result<Result<String, Vec<String>>, RepoError> {
        let call = Call::new(["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"])
            .args([ours, theirs]);
        // A bare repository has no files to read attributes from, such as those of a union merge.
        let git = self.git.clone().env("GIT_ATTR_SOURCE", ours);
        let (clean, answer) =
            git.answer(call).await.map_err(|error| RepoError::from_git(&self.repository.label, error))?;
        let mut parts = crate::git::paths(&answer.stdout).into_iter().map(|path| path.display().to_string());
        let tree = parts.next().unwrap_or_default();
        Ok(if clean { Ok(tree) } else { Err(parts.collect()) })
    }

    /// Nothing of this moment or this host is in it.
    async fn commit(&self, tree: &str, base: &str, upstream: &Upstream) -> Result<String, RepoError> {
        let refuse = |error| RepoError::from_git(&self.repository.label, error);
        let dates = Call::new(["show", "--no-patch", "--format=%ct", base, &upstream.commit, "--"]);
        let dates = self.git.run(dates).await.map_err(refuse)?.line();
        let newest: u64 = dates.lines().filter_map(|date| date.parse().ok()).max().unwrap_or_default();
        let date = format!("{newest} +0000");
        let git = as_factory(&self.git).env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date);
        let title = upstream.title.lines().next().unwrap_or_default();
        let message = format!("Merge {}\n\n{title}\n", named(upstream));
        let call = Call::new(["commit-tree", "--no-gpg-sign", "-F", "-"])
            .args(["-p", base, "-p", &upstream.commit, tree])
            .stdin(message);
        git.run(call).await.map(|answer| answer.line()).map_err(refuse)
    }

    /// Which of those merged before it a branch is in conflict with; `None`: none of them alone.
    async fn opponent<'u>(
        &self,
        before: &'u [Incoming],
        upstream: &Upstream,
    ) -> Result<Option<&'u Upstream>, RepoError> {
        for Incoming { upstream: earlier, .. } in before {
            if self.tree(&earlier.commit, &upstream.commit).await?.is_err() {
                return Ok(Some(earlier));
            }
        }
        Ok(None)
    }
}
