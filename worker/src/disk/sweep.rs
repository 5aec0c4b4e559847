//! The loop that keeps the policy: looks, decides, removes, says why.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use factory_domain::Timestamp;
use tokio_util::sync::CancellationToken;

use super::policy::{self, Limits, Thing};
use super::survey::{Layout, Owned, bytes_of, entries};
use crate::agent_host::Shared;
use crate::attempt;
use crate::attempt::assignment::Place;
use crate::blocking;
use crate::kept::{Doomed, Kept, Why};
use crate::repo;

/// Between two sweeps that nobody asks for.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// For what no attempt owns: longer than it takes anything to change hands.
const KEEP_UNOWNED: Duration = Duration::from_secs(10 * 60);

/// Sweeps now, whenever poked, and every few minutes, until the token is cancelled. Nothing waits for it.
pub async fn run(shared: Arc<Shared>, token: CancellationToken) {
    let config = &shared.config;
    let limits = Limits {
        keep_workspaces: config.keep_workspaces,
        keep_repositories: config.keep_repositories,
        keep_unowned: KEEP_UNOWNED,
        // Before the floor is reached and nothing is taken on any more.
        free: config.min_free_disk.saturating_mul(2),
    };
    let mut sweep = Sweep::new(&config.root, limits);
    loop {
        let state = State { free: shared.free_disk(), idle: shared.roster.is_empty(), now: attempt::now() };
        tokio::select! {
            () = token.cancelled() => return,
            swept = sweep.once(&shared.repos, state) => {
                if let Err(error) = swept {
                    tracing::warn!(%error, "the worker's disk could not be looked through");
                }
            }
        }
        tokio::select! {
            () = token.cancelled() => return,
            () = shared.disk_poked.notified() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// How the host stands when a sweep begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    /// Bytes.
    pub free: u64,
    /// No attempt is held.
    pub idle: bool,
    pub now: Timestamp,
}

/// What is remembered from sweep to sweep; a restart may forget it.
#[derive(Debug)]
pub(super) struct Sweep {
    layout: Layout,
    repos: PathBuf,
    limits: Limits,
    /// Things without a date of their own, and when they were seen first.
    seen: HashMap<PathBuf, Timestamp>,
}

/// What a [`Thing`] is on the disk.
enum Item {
    Kept(Box<Kept>),
    Doomed(Doomed),
    Workspace(PathBuf),
    Clone(PathBuf),
    HalfClone(PathBuf),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(kept) => write!(f, "the kept workspace of attempt {}", kept.assignment.attempt),
            Self::Doomed(doomed) => {
                write!(f, "what is left of an ended attempt, {}", doomed.path().display())
            }
            Self::Workspace(path) => write!(f, "the workspace {}", path.display()),
            Self::Clone(path) => write!(f, "the clone {}", path.display()),
            Self::HalfClone(path) => write!(f, "half a clone, {}", path.display()),
        }
    }
}

impl Sweep {
    pub fn new(root: &Path, limits: Limits) -> Self {
        Self { layout: Layout::new(root), repos: root.join("repos"), limits, seen: HashMap::new() }
    }

    /// Looks at everything once, and removes what the policy names. What cannot be looked at or removed
    /// is said, and does not keep the rest.
    pub async fn once(&mut self, repos: &repo::Cache, state: State) -> io::Result<()> {
        let mut found = self.kept(state).await?;
        for (item, thing) in &mut found {
            self.look_whether_saved(item, thing, state.now).await;
        }
        let undated = self.undated().await?;
        self.remember(undated.iter().map(|item| item.path()), state.now);
        for item in undated {
            found.push(self.dated(item, repos, state.now).await);
        }
        let (clones, grown) = self.clones(repos).await?;
        found.extend(clones);

        let things: Vec<Thing> = found.iter().map(|(_, thing)| *thing).collect();
        let mut items: Vec<Option<Item>> = found.into_iter().map(|(item, _)| Some(item)).collect();
        for (at, because) in policy::plan(&things, state.free, &self.limits, state.now) {
            let Some(item) = items[at].take() else { continue };
            let name = item.to_string();
            match self.remove(item, repos).await {
                Ok(true) => tracing::info!(%because, "removed {name}"),
                Ok(false) => tracing::debug!("{name} is in use after all"),
                Err(error) => tracing::warn!(%error, "{name} could not be removed; trying again later"),
            }
        }
        for clone in grown.into_iter().filter(|_| state.idle) {
            match repos.collect_garbage(&clone).await {
                Ok(done) => tracing::debug!(clone = %clone.display(), done, "packed a clone"),
                Err(error) => tracing::warn!(%error, clone = %clone.display(), "a clone could not be packed"),
            }
        }
        Ok(())
    }

    /// Kept workspaces. Their sizes are only asked for where disk is short.
    async fn kept(&self, state: State) -> io::Result<Vec<(Item, Thing)>> {
        let (kept, short) = (self.layout.kept.clone(), state.free < self.limits.free);
        blocking::run(move || {
            let listing = kept.list()?;
            for (path, error) in &listing.unreadable {
                tracing::warn!(path = %path.display(), %error, "a kept workspace cannot be read, and stays");
            }
            let kept = listing.kept.into_iter().map(|kept| {
                if let Err(error) = kept.trim() {
                    tracing::warn!(path = %kept.path().display(), %error, "files of an ended attempt could not be removed");
                }
                let bytes = if short { bytes_of(&kept) } else { 0 };
                let saved = kept.why == Why::Resumable;
                let thing = Thing::Kept { why: kept.why, saved, since: kept.kept_at, bytes };
                (Item::Kept(Box::new(kept)), thing)
            });
            Ok(kept.collect())
        })
        .await
    }

    /// What was nowhere else when it was kept may have been pushed since. Only asked of git when it matters.
    async fn look_whether_saved(&self, item: &Item, thing: &mut Thing, now: Timestamp) {
        let (Item::Kept(kept), Thing::Kept { saved, since, .. }) = (item, thing) else { return };
        let Some(Place::Worktree(worktree)) = kept.place() else { return };
        if !*saved && now.since(*since) >= self.limits.keep_workspaces {
            // What git cannot tell counts as not saved.
            *saved = worktree.standing().await.is_ok_and(|standing| standing.is_saved());
        }
    }

    /// What has no date of its own: removals that have begun, workspaces without an owner, half clones.
    async fn undated(&self) -> io::Result<Vec<Item>> {
        let (layout, repos) = (self.layout.clone(), self.repos.clone());
        blocking::run(move || {
            // Before it is read what is owned, see there.
            let everything = layout.unowned(&Owned::default())?;
            let owned = Owned::read(&layout)?;
            let mut items: Vec<Item> = layout.kept.list()?.doomed.into_iter().map(Item::Doomed).collect();
            let unowned = everything.into_iter().filter(|path| !owned.has_workspace(path));
            items.extend(unowned.map(Item::Workspace));
            let half = entries(&repos)?.into_iter().filter(|path| path.extension() == Some("tmp".as_ref()));
            items.extend(half.map(Item::HalfClone));
            Ok(items)
        })
        .await
    }

    /// Forgets what is not there any more.
    fn remember<'a>(&mut self, paths: impl Iterator<Item = &'a Path>, now: Timestamp) {
        let since = |path: &Path| *self.seen.get(path).unwrap_or(&now);
        self.seen = paths.map(|path| (path.to_owned(), since(path))).collect();
    }

    async fn dated(&self, item: Item, repos: &repo::Cache, now: Timestamp) -> (Item, Thing) {
        let since = *self.seen.get(item.path()).unwrap_or(&now);
        let thing = match &item {
            Item::Workspace(path) => {
                // Only asked of git when it matters.
                let is_due = now.since(since) >= self.limits.keep_unowned;
                let saved = is_due && self.is_saved(path, repos).await;
                Thing::Unowned { since, saved }
            }
            _ => Thing::Temporary { since },
        };
        (item, thing)
    }

    async fn is_saved(&self, workspace: &Path, repos: &repo::Cache) -> bool {
        let path = workspace.display();
        match repos.is_saved(workspace).await {
            Ok(true) => return true,
            Ok(false) => tracing::warn!(
                %path, "no attempt owns this workspace, and it may hold work that is nowhere else; it stays until someone removes it"
            ),
            Err(error) => {
                tracing::warn!(%path, %error, "a workspace that no attempt owns cannot be read; it stays")
            }
        }
        false
    }

    /// The clones, tidied; and those whose objects should be packed.
    async fn clones(&self, repos: &repo::Cache) -> io::Result<(Vec<(Item, Thing)>, Vec<PathBuf>)> {
        let (mut clones, mut grown) = (Vec::new(), Vec::new());
        for clone in repos.clones()? {
            match repos.tidy(&clone, || Owned::read(&self.layout)).await {
                Ok(Some(condition)) => {
                    if condition.grown {
                        grown.push(clone.clone());
                    }
                    let thing = Thing::Clone { used: condition.used, needed: condition.is_needed() };
                    clones.push((Item::Clone(clone), thing));
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, clone = %clone.display(), "a clone could not be tidied"),
            }
        }
        Ok((clones, grown))
    }

    /// `false`: it is in use after all.
    async fn remove(&self, item: Item, repos: &repo::Cache) -> io::Result<bool> {
        let workspaces = &self.layout.workspaces;
        match item {
            Item::Kept(kept) => match self.layout.kept.doom(&kept)? {
                Some(doomed) => doomed.remove(repos, workspaces).await.map(|()| true),
                None => Ok(false),
            },
            Item::Doomed(doomed) => doomed.remove(repos, workspaces).await.map(|()| true),
            Item::Workspace(path) => repos.discard(&path).await.map(|()| true).map_err(io::Error::other),
            Item::Clone(path) => {
                repos.remove_clone(&path, || Owned::read(&self.layout)).await.map_err(io::Error::other)
            }
            Item::HalfClone(path) => repos.remove_half_clone(&path).await,
        }
    }
}

impl Item {
    fn path(&self) -> &Path {
        match self {
            Self::Kept(kept) => kept.path(),
            Self::Doomed(doomed) => doomed.path(),
            Self::Workspace(path) | Self::Clone(path) | Self::HalfClone(path) => path,
        }
    }
}
