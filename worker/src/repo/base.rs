//! Finding the commit a task's branch starts from.

use factory_domain::RevisionName;

use super::sync::{DETACHED_HEAD, RemoteHead, Repository, Synced};
use super::{RepoError, Request};
use crate::git::{Call, Git, GitError};

/// Where a branch starts.
pub(super) enum Start {
    /// At the base.
    Fresh { base: String },
    /// The remote has the branch already: work goes on on top of it.
    Continued { tip: String },
    /// The clone has it, with commits that the start lacks.
    Local { tip: String, base: String },
}

impl Start {
    pub fn commit(&self) -> &str {
        match self {
            Self::Fresh { base } => base,
            Self::Continued { tip } | Self::Local { tip, .. } => tip,
        }
    }

    /// Where the commits begin that count as made on the branch; `None`: at its start.
    pub fn base(&self) -> Option<&str> {
        match self {
            Self::Fresh { .. } | Self::Continued { .. } => None,
            Self::Local { base, .. } => Some(base),
        }
    }
}

/// Leaves nothing behind that the clone's own branch has: where it goes further than `start`, it is gone on
/// from instead.
pub(super) async fn go_on(
    start: Start,
    repository: &Repository,
    request: &Request<'_>,
    git: &Git,
) -> Result<Start, RepoError> {
    let git = git.in_repository(&repository.path);
    let refuse = |error| RepoError::from_git(&repository.label, error);
    let local = git.commit_of(&format!("refs/heads/{}", request.branch)).await.map_err(refuse)?;
    let Some(tip) = local else { return Ok(start) };
    let is_in_start = Call::new(["merge-base", "--is-ancestor", &tip, start.commit()]);
    if git.ask(is_in_start).await.map_err(refuse)? {
        return Ok(start);
    }
    let common = git.answer(Call::new(["merge-base", &tip, start.commit()])).await.map_err(refuse)?;
    let base = if common.0 { common.1.line() } else { start.commit().to_owned() };
    Ok(Start::Local { tip, base })
}

/// A branch that the remote already has is gone on from, so that a retry, or a second task on the same
/// branch, builds on what was delivered and its push is no rewrite. A base named as well must be in it.
pub(super) async fn find(
    repository: &Repository,
    synced: &Synced,
    request: &Request<'_>,
    git: &Git,
) -> Result<Start, RepoError> {
    let finder = Finder { repository, git: git.in_repository(&repository.path) };
    let refuse = |error| RepoError::from_git(&repository.label, error);
    let delivered = finder.git.commit_of(&origin(request.branch.as_str())).await.map_err(refuse)?;
    let Some(base) = request.base else {
        return match delivered {
            Some(tip) => Ok(Start::Continued { tip }),
            None => Ok(Start::Fresh { base: finder.default_base(&synced.head).await? }),
        };
    };
    let Some(commit) = finder.named(base).await.map_err(refuse)? else {
        let branches = finder.some_branches().await.map_err(refuse)?;
        if branches.is_empty() {
            return Err(RepoError::Empty { repo: repository.label.clone() });
        }
        return Err(RepoError::BaseNotFound { base: base.clone(), repo: repository.label.clone(), branches });
    };
    match delivered {
        None => Ok(Start::Fresh { base: commit }),
        Some(tip) if finder.contains(&tip, &commit).await.map_err(refuse)? => Ok(Start::Continued { tip }),
        Some(_) => Err(RepoError::BranchWithoutBase {
            branch: request.branch.clone(),
            base: base.clone(),
            repo: repository.label.clone(),
        }),
    }
}

struct Finder<'a> {
    repository: &'a Repository,
    git: Git,
}

impl Finder<'_> {
    async fn default_base(&self, head: &RemoteHead) -> Result<String, RepoError> {
        let repo = self.repository.label.clone();
        let refuse = |error| RepoError::from_git(&self.repository.label, error);
        let found = match head {
            RemoteHead::Branch(branch) => self.git.commit_of(&origin(branch)).await.map_err(refuse)?,
            RemoteHead::Detached(_) => self.git.commit_of(DETACHED_HEAD).await.map_err(refuse)?,
            RemoteHead::Unborn => None,
        };
        match found {
            Some(commit) => Ok(commit),
            None => {
                let branches = self.some_branches().await.map_err(refuse)?;
                if branches.is_empty() {
                    Err(RepoError::Empty { repo })
                } else {
                    Err(RepoError::NoDefaultBranch { repo, branches })
                }
            }
        }
    }

    /// A branch of the remote before a tag before a commit id, as a person would read the name.
    async fn named(&self, base: &RevisionName) -> Result<Option<String>, GitError> {
        let name = base.as_str();
        let branch = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/remotes/origin/"));
        let candidates = match (branch, name.strip_prefix("refs/")) {
            (Some(branch), _) => vec![origin(branch)],
            (None, Some(_)) => vec![name.to_owned()],
            (None, None) => {
                let short = name.strip_prefix("origin/").unwrap_or(name);
                vec![origin(name), format!("refs/tags/{name}"), origin(short)]
            }
        };
        for candidate in candidates {
            if let Some(commit) = self.git.commit_of(&candidate).await? {
                return Ok(Some(commit));
            }
        }
        let is_id = (4..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id && let Some(commit) = self.git.commit_of(name).await? {
            return Ok(Some(commit));
        }
        // Commits of no branch and refs beside branches and tags (a pull request's head) come on demand.
        let on_demand = name.starts_with("refs/") || (is_id && name.len() >= 40);
        let kept = format!("refs/factory/base/{name}");
        if on_demand && self.repository.fetch_alone(name, &kept, &self.git).await? {
            return self.git.commit_of(&kept).await;
        }
        Ok(None)
    }

    async fn contains(&self, tip: &str, commit: &str) -> Result<bool, GitError> {
        self.git.ask(Call::new(["merge-base", "--is-ancestor", commit, tip])).await
    }

    /// A few branches, the newest first, to choose another base from.
    async fn some_branches(&self) -> Result<Vec<String>, GitError> {
        const FEW: usize = 8;
        let call = Call::new(["for-each-ref", "--sort=-committerdate", "--format=%(refname:lstrip=3)"])
            .arg("refs/remotes/origin");
        let answer = self.git.run(call).await?.line();
        Ok(answer.lines().filter(|name| *name != "HEAD").take(FEW).map(str::to_owned).collect())
    }
}

/// The cache's name for a branch of the remote.
fn origin(branch: &str) -> String {
    format!("refs/remotes/origin/{branch}")
}
