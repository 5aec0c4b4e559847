//! Everything there is to tell of this host's clones and worktrees.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use factory_domain::{AttemptId, TaskId, Timestamp};
use factory_proto::v1;
use factory_proto::v1::WorktreeKind as Kind;

use super::looks::Looks;
use crate::agent_host::Shared;
use crate::attempt::assignment::{Assignment, Place};
use crate::blocking;
use crate::by_hand::ByHand;
use crate::disk::entries;
use crate::kept::{KeptWorkspaces, Why};
use crate::repo_jobs;
use crate::spool::SpoolDir;
use crate::worktree::Worktree;

/// A worktree on this host.
struct Found {
    worktree: Worktree,
    kind: Kind,
    of: Option<(TaskId, AttemptId)>,
    /// Its commits are with the coordinator, wherever else they are.
    commits_are_saved: bool,
}

pub async fn of(shared: &Shared, looks: &mut Looks) -> io::Result<v1::InventoryRequest> {
    let (root, by_hand) = (shared.config.root.clone(), shared.by_hand.clone());
    let found = blocking::run(move || find(&root, &by_hand)).await?;
    let clones = shared.repos.clones()?;
    let paths: Vec<PathBuf> =
        found.iter().map(|found| found.worktree.path.clone()).chain(clones.iter().cloned()).collect();
    looks.keep_only(&paths);
    let mut copies = Vec::new();
    for clone in clones {
        match shared.repos.facts(&clone).await {
            Ok(facts) => {
                let bytes = looks.size(&clone).await?;
                copies.push(v1::RepoCopy { bytes, ..repo_jobs::copy(shared, facts) });
            }
            // It may have been removed meanwhile.
            Err(error) => tracing::debug!(%error, clone = %clone.display(), "a clone cannot be looked at"),
        }
    }
    let mut worktrees = Vec::new();
    for found in found {
        worktrees.extend(look(shared, looks, found).await?);
    }
    Ok(v1::InventoryRequest {
        worker_id: shared.worker.to_string(),
        session_id: shared.session.to_string(),
        copies,
        worktrees,
    })
}

/// `None`: it is gone meanwhile.
async fn look(shared: &Shared, looks: &mut Looks, found: Found) -> io::Result<Option<v1::Worktree>> {
    let worktree = &found.worktree;
    if !worktree.path.is_dir() {
        return Ok(None);
    }
    let mut told = on_the_wire(shared, worktree, found.kind);
    if let Some((task, attempt)) = found.of {
        (told.task_id, told.attempt_id) = (task.to_string(), attempt.to_string());
    }
    match looks.standing(worktree).await {
        Ok((standing, seen_at)) => {
            told.head = standing.head;
            told.uncommitted = standing.uncommitted;
            told.unsaved_commits = if found.commits_are_saved { 0 } else { standing.unsaved_commits };
            told.seen_at_ms = seen_at.as_millis();
        }
        // Its agent may have damaged it: it is told as it was made, and as never looked at.
        Err(error) => {
            tracing::debug!(%error, path = %worktree.path.display(), "a worktree cannot be looked at")
        }
    }
    told.bytes = looks.size(&worktree.path).await?;
    Ok(Some(told))
}

/// What is known of a worktree without looking at it.
pub fn on_the_wire(shared: &Shared, worktree: &Worktree, kind: Kind) -> v1::Worktree {
    v1::Worktree {
        worker_id: shared.worker.to_string(),
        worker_name: shared.config.name.clone(),
        repo: worktree.shown_source(),
        path: worktree.path.display().to_string(),
        branch: worktree.branch.to_string(),
        kind: kind.into(),
        made_at_ms: made_at(&worktree.path).map_or(0, Timestamp::as_millis),
        connected: true,
        ..v1::Worktree::default()
    }
}

/// Git writes a worktree's `.git` when it makes it, and never again.
fn made_at(path: &Path) -> Option<Timestamp> {
    let time = fs::symlink_metadata(path.join(".git")).and_then(|metadata| metadata.modified()).ok()?;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
}

fn find(root: &Path, by_hand: &ByHand) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for path in entries(&root.join("spool"))? {
        // One that is just beginning or leaving.
        let Ok(assignment) = SpoolDir::open(&path).and_then(|spool| Assignment::read(&spool)) else {
            continue;
        };
        found.extend(of_attempt(&assignment, Kind::Attempt, false));
    }
    for kept in KeptWorkspaces::new(root).list()?.kept {
        found.extend(of_attempt(&kept.assignment, Kind::Kept, kept.why != Why::Unsaved));
    }
    for record in by_hand.list()? {
        let Some(worktree) = record.worktree().cloned() else { continue };
        found.push(Found { worktree, kind: Kind::ByHand, of: None, commits_are_saved: false });
    }
    // A workspace changes hands by a rename, and may be seen on both sides of it.
    found.sort_by(|a, b| a.worktree.path.cmp(&b.worktree.path));
    found.dedup_by(|a, b| a.worktree.path == b.worktree.path);
    Ok(found)
}

fn of_attempt(assignment: &Assignment, kind: Kind, commits_are_saved: bool) -> Option<Found> {
    let Place::Worktree(worktree) = assignment.place()? else { return None };
    let (worktree, of) = (worktree.as_ref().clone(), Some((assignment.task, assignment.attempt)));
    Some(Found { worktree, kind, of, commits_are_saved })
}
