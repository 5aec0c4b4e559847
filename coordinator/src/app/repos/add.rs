//! Giving repositories names, and taking them away.

use factory_domain::{RepoSource, Slug};
use futures_util::future::join_all;

use super::jobs::{JobError, RepoJobOutcome, RepoTask};
use super::list::{CopyView, RepoView};
use crate::app::fleet::Keeper;
use crate::app::{App, Error};
use crate::store::{AddedRepo, DiskChange, RepoAdded};

/// Workers that are asked whether a repository is there, one after the other.
const MOST_ASKED: usize = 3;

/// A repository as someone wants to add it. Empty texts: not given.
#[derive(Debug, Default)]
pub struct WantedRepo {
    /// `owner/name`, a short name of the default organisation, a URL or an absolute path.
    pub repo: String,
    pub name: String,
    pub default_role: String,
    /// Do not look whether it is there.
    pub unchecked: bool,
    /// Also clone it now, at every connected worker.
    pub clone: bool,
}

/// What became of a repository's clones when it was removed.
#[derive(Debug)]
pub struct RemovedRepo {
    pub removed: Vec<CopyView>,
    /// At workers that are away, or would not.
    pub left: Vec<CopyView>,
}

impl App {
    /// Adds it, unless it is there already, which is the second answer. It is looked for first.
    pub async fn add_repo(&self, wanted: WantedRepo) -> Result<(RepoView, bool), Error> {
        let source = self.read_repo(&wanted.repo)?;
        let default_role = match wanted.default_role.as_str() {
            "" => None,
            role => Some(Slug::parse(role).map_err(|error| Error::invalid("default_role", error))?),
        };
        let identity = source.identity();
        if self.repos.names().named().any(|(_, named)| named.source.identity() == identity) {
            return Ok((self.repo_of(&source).await?, true));
        }
        let name = self.name_of(&wanted.name, &source)?;
        let known = self.repos.added().iter().any(|added| added.source.identity() == identity);
        if !known && !wanted.unchecked {
            self.check_repo(&source).await?;
        }
        let added_at = self.clock.now();
        let added = AddedRepo { name, source: source.clone(), default_role, added_at };
        let existed = match self.store.add_repo(added).await? {
            RepoAdded::New => false,
            RepoAdded::Known(_) => true,
            RepoAdded::NameTaken(other) => {
                return Err(Error::RepoNameTaken { name: other.name, other: other.source.to_string() });
            }
        };
        self.repos.set_added(self.store.added_repos().await?);
        if wanted.clone {
            join_all(self.fleet.keepers().iter().map(|keeper| self.fetch_at(keeper, &source))).await;
        }
        tracing::info!(repo = %source, existed, "repository added");
        Ok((self.repo_of(&source).await?, existed))
    }

    /// The name it gets, and that it is nobody else's.
    fn name_of(&self, given: &str, source: &RepoSource) -> Result<String, Error> {
        let name = match (given, self.repos.names().owner_and_name(source)) {
            ("", Some((owner, name))) => return Ok(format!("{owner}/{name}")),
            ("", None) => {
                let text = source.to_string();
                let last = text.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or(&text);
                let last = last.strip_suffix(".git").unwrap_or(last);
                Slug::parse(last).map_err(|why| {
                    Error::invalid("name", format!("is missing, and none can be made of `{text}`: {why}"))
                })?
            }
            (given, _) => Slug::parse(given).map_err(|error| Error::invalid("name", error))?,
        };
        match self.repos.names().named().find(|(configured, _)| **configured == name) {
            Some((_, other)) => {
                Err(Error::RepoNameTaken { name: name.to_string(), other: other.source.to_string() })
            }
            None => Ok(name.to_string()),
        }
    }

    /// Asks a worker, and another where that one cannot tell. A path may be on any of their hosts.
    async fn check_repo(&self, source: &RepoSource) -> Result<(), Error> {
        let mut last = Error::from(JobError::NobodyThere);
        let keepers = self.fleet.keepers();
        let most = if matches!(source, RepoSource::Path(_)) { keepers.len() } else { MOST_ASKED };
        for keeper in keepers.iter().take(most) {
            match self.repo_job(keeper, source, RepoTask::Check).await {
                Ok(_) => return Ok(()),
                Err(error) => {
                    let final_word = matches!(&error, Error::RepoJob(why) if !why.is_of_the_worker());
                    if final_word && !matches!(source, RepoSource::Path(_)) {
                        return Err(error);
                    }
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// Forgets it, and removes its clones from connected workers.
    pub async fn remove_repo(&self, name: &str) -> Result<RemovedRepo, Error> {
        let source = self.find_repo(name)?;
        let repo = self.repo_of(&source).await?;
        self.may_be_removed(&repo)?;
        let forgotten = join_all(repo.copies.iter().map(|copy| self.forget_at(copy))).await;
        let (mut removed, mut left) = (Vec::new(), Vec::new());
        for (mut copy, forgotten) in repo.copies.into_iter().zip(forgotten) {
            match forgotten {
                Ok(()) => removed.push(copy),
                Err(Error::RepoJob(why)) => {
                    copy.row.entry.error = why.to_string();
                    left.push(copy);
                }
                Err(error) => return Err(error),
            }
        }
        self.store.remove_repo(repo.name).await?;
        self.repos.set_added(self.store.added_repos().await?);
        tracing::info!(repo = %source, clones = removed.len(), left = left.len(), "repository removed");
        Ok(RemovedRepo { removed, left })
    }

    fn may_be_removed(&self, repo: &RepoView) -> Result<(), Error> {
        let keeps = match repo {
            RepoView { configured: true, .. } => {
                "it stands in the coordinator's configuration; take it out of [repos] there".to_owned()
            }
            RepoView { live_tasks: live @ 1.., .. } => {
                format!("{live} of its tasks have not ended; wait for them, or cancel them")
            }
            RepoView { worktrees: left @ 1.., .. } => format!(
                "{left} of its worktrees are left; see `factoryctl worktrees list --repo {}`, and remove them first",
                repo.name
            ),
            _ => return Ok(()),
        };
        Err(Error::RepoInUse { repo: repo.name.clone(), why: keeps })
    }

    async fn forget_at(&self, copy: &CopyView) -> Result<(), Error> {
        let (worker, source) = (copy.row.worker, &copy.row.entry.source);
        let keeper = self.fleet.keeper_of(worker, &copy.row.worker_name)?;
        let remote = RepoSource::parse(source).map_err(|error| Error::invalid("repo", error))?;
        self.repo_job(&keeper, &remote, RepoTask::Forget).await?;
        Ok(self.store.note_on_disk(worker, DiskChange::CopyGone(source.clone())).await?)
    }

    /// Has the worker fetch, or clone, and keeps what it says of it.
    pub(super) async fn fetch_at(&self, keeper: &Keeper, source: &RepoSource) -> Result<(), Error> {
        let outcome = self.repo_job(keeper, source, RepoTask::Fetch).await?;
        if let RepoJobOutcome::Copy(mut copy) = outcome {
            if copy.bytes == 0 {
                // What it takes is counted later, for the next inventory.
                let before = self.store.repo_copies(Some(source.identity())).await?;
                let before = before.into_iter().find(|before| before.worker == keeper.worker);
                copy.bytes = before.map_or(0, |before| before.entry.bytes);
            }
            self.store.note_on_disk(keeper.worker, DiskChange::Copy(copy)).await?;
        }
        Ok(())
    }
}
