//! Repositories and worktrees, as people see them.

use std::collections::BTreeMap;

use factory_domain::{RepoSource, Slug, Timestamp};

use crate::app::{App, Error};
use crate::store::{CopyRow, WorktreeFilter, WorktreeRow};

/// A repository that was configured or added, or that some worker has a clone of.
#[derive(Debug, Clone)]
pub struct RepoView {
    /// By which tasks can name it.
    pub name: String,
    pub source: RepoSource,
    pub configured: bool,
    pub default_role: Option<Slug>,
    pub added_at: Option<Timestamp>,
    /// By worker.
    pub copies: Vec<CopyView>,
    pub worktrees: u32,
    /// Tasks of it that have not ended.
    pub live_tasks: u64,
}

#[derive(Debug, Clone)]
pub struct CopyView {
    pub row: CopyRow,
    /// The worker's session is open now.
    pub connected: bool,
}

#[derive(Debug, Clone)]
pub struct WorktreeView {
    pub row: WorktreeRow,
    pub connected: bool,
}

impl RepoView {
    /// As the remote said last to any worker.
    pub fn default_branch(&self) -> Option<&str> {
        let newest = self.copies.iter().filter(|copy| !copy.row.entry.default_branch.is_empty());
        let newest = newest.max_by_key(|copy| copy.row.entry.fetched_at)?;
        Some(&newest.row.entry.default_branch)
    }
}

/// Which worktrees are asked for; empty: all.
#[derive(Debug, Clone, Default)]
pub struct WorktreesRequest {
    pub repo: String,
    pub worker: String,
    pub branch: String,
}

impl App {
    /// By name.
    pub async fn repos(&self) -> Result<Vec<RepoView>, Error> {
        let mut repos = self.known_repos();
        for row in self.store.repo_copies(None).await? {
            // What cannot be read was no task's.
            let Ok(source) = RepoSource::parse(&row.entry.source) else { continue };
            let repo = repos.entry(row.repo.clone()).or_insert_with(|| self.repo_view(source, None));
            let connected = self.fleet.is_connected(row.worker);
            repo.copies.push(CopyView { row, connected });
        }
        for row in self.store.worktrees(WorktreeFilter::default()).await? {
            if let Some(repo) = repos.get_mut(&row.repo) {
                repo.worktrees += 1;
            }
        }
        for (repo, live) in self.store.live_tasks_of_repos().await? {
            if let Some(repo) = repos.get_mut(&repo) {
                repo.live_tasks = live;
            }
        }
        let mut repos: Vec<_> = repos.into_values().collect();
        repos.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(repos)
    }

    /// By its name, or however it is written.
    pub async fn repo(&self, name: &str) -> Result<RepoView, Error> {
        let source = self.find_repo(name)?;
        self.repo_of(&source).await
    }

    /// What is meant, whether or not anything is known of it.
    pub(super) fn find_repo(&self, name: &str) -> Result<RepoSource, Error> {
        let source = RepoSource::parse(name).map_err(|error| Error::invalid("repo", error))?;
        self.repos.resolve(source).map_err(|_| Error::NoSuchRepo(name.to_owned()))
    }

    pub(super) async fn repo_of(&self, source: &RepoSource) -> Result<RepoView, Error> {
        let repo = source.identity();
        let found = self.repos().await?.into_iter().find(|view| view.source.identity() == repo);
        found.ok_or_else(|| Error::NoSuchRepo(source.to_string()))
    }

    /// Of all hosts, also of those that are away, as they said last.
    pub async fn worktrees(&self, request: WorktreesRequest) -> Result<Vec<WorktreeView>, Error> {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let repo = some(request.repo).map(|repo| self.find_repo(&repo)).transpose()?;
        let worker = match some(request.worker) {
            Some(worker) => Some(self.find_worker(&worker).await?.entry.id),
            None => None,
        };
        let repo = repo.map(|repo| repo.identity());
        let filter = WorktreeFilter { repo, worker, branch: some(request.branch) };
        let rows = self.store.worktrees(filter).await?;
        Ok(rows.into_iter().map(|row| self.worktree_view(row)).collect())
    }

    pub(super) fn worktree_view(&self, row: WorktreeRow) -> WorktreeView {
        WorktreeView { connected: self.fleet.is_connected(row.worker), row }
    }

    /// Those configured and those added, by identity.
    fn known_repos(&self) -> BTreeMap<String, RepoView> {
        let mut repos = BTreeMap::new();
        for (name, named) in self.repos.names().named() {
            let mut view = self.repo_view(named.source.clone(), Some(name.to_string()));
            view.configured = true;
            view.default_role = named.default_role.clone();
            repos.entry(named.source.identity()).or_insert(view);
        }
        for added in self.repos.added().iter() {
            let mut view = self.repo_view(added.source.clone(), Some(added.name.clone()));
            view.default_role = added.default_role.clone();
            view.added_at = Some(added.added_at);
            repos.entry(added.source.identity()).or_insert(view);
        }
        repos
    }

    /// The owner and the name of what is at the host of `owner/name`.
    pub fn owner_and_name(&self, source: &RepoSource) -> Option<(String, String)> {
        self.repos.names().owner_and_name(source)
    }

    fn repo_view(&self, source: RepoSource, name: Option<String>) -> RepoView {
        let in_full = || match self.owner_and_name(&source) {
            Some((owner, name)) => format!("{owner}/{name}"),
            None => source.identity(),
        };
        RepoView {
            name: name.unwrap_or_else(in_full),
            source,
            configured: false,
            default_role: None,
            added_at: None,
            copies: Vec::new(),
            worktrees: 0,
            live_tasks: 0,
        }
    }
}
