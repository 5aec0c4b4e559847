//! The jobs about worktrees: making one by hand, and removing one that no task works in.

use std::path::Path;

use factory_domain::{BranchName, RepoSource, RevisionName};
use factory_proto::v1;
use factory_proto::v1::RepoJobFailureKind as Kind;
use factory_proto::v1::WorktreeKind;
use tokio_util::sync::CancellationToken;

use super::act::{Outcome, Refusal, require_disk};
use crate::agent_host::Shared;
use crate::attempt::assignment::{Assignment, Place};
use crate::blocking;
use crate::by_hand::{self, DeleteError, Wish};
use crate::disk::entries;
use crate::git::GitError;
use crate::inventory::on_the_wire;
use crate::kept::{Kept, KeptWorkspaces, Why};
use crate::spool::SpoolDir;
use crate::worktree::{Standing, Worktree};

impl From<DeleteError> for Refusal {
    fn from(error: DeleteError) -> Self {
        let kind = match &error {
            DeleteError::Unsaved { .. } | DeleteError::Unreadable { .. } => Kind::Refused,
            DeleteError::Failed { .. } => Kind::Unspecified,
        };
        Self { kind, why: error.to_string() }
    }
}

fn disk(error: impl std::fmt::Display) -> Refusal {
    Refusal { kind: Kind::Unspecified, why: format!("the worker's disk failed: {error}") }
}

pub async fn make(
    shared: &Shared,
    source: &RepoSource,
    wanted: &v1::MakeWorktree,
    token: &CancellationToken,
) -> Result<Outcome, Refusal> {
    let branch = BranchName::parse(wanted.branch.as_str()).map_err(Refusal::refused)?;
    let base = Some(wanted.base.as_str()).filter(|base| !base.is_empty());
    let base = base.map(RevisionName::parse).transpose().map_err(Refusal::refused)?;
    require_disk(shared)?;
    let wish = Wish { source, branch: &branch, base: base.as_ref() };
    let worktree = shared.by_hand.make(wish, &shared.repos, &*shared.config.shims, token).await?;
    shared.inventory.has_changed(&worktree.path);
    let standing = worktree.standing().await.map_err(|error| disk(&error))?;
    Ok(Outcome::Worktree(told(shared, &worktree, WorktreeKind::ByHand, standing)))
}

/// Of those made by hand first, then of those that ended attempts left. One that a task works in stays, forced or not.
pub async fn delete(
    shared: &Shared,
    source: &RepoSource,
    unwanted: &v1::DeleteWorktree,
    token: &CancellationToken,
) -> Result<Outcome, Refusal> {
    let branch = BranchName::parse(unwanted.branch.as_str()).map_err(Refusal::refused)?;
    let (repos, shims) = (&shared.repos, &*shared.config.shims);
    let deleted = shared.by_hand.delete((source, &branch), unwanted.force, repos, shims, token).await?;
    if let Some((worktree, standing)) = deleted {
        shared.inventory.has_changed(&worktree.path);
        return Ok(Outcome::Worktree(told(shared, &worktree, WorktreeKind::ByHand, standing)));
    }
    let (root, clone, wanted) = (shared.config.root.clone(), repos.clone_path(source), branch.clone());
    let found = blocking::run(move || of_attempts(&root, &clone, &wanted)).await.map_err(disk)?;
    match found {
        OfAttempts::Live(assignment) => Err(Refusal::refused(format!(
            "task {} works on branch `{branch}` here; cancel the task first, or wait for its end",
            assignment.task
        ))),
        OfAttempts::Kept(kept, worktree) => {
            let standing = remove_kept(shared, source, *kept, &worktree, unwanted.force, token).await?;
            shared.inventory.has_changed(&worktree.path);
            Ok(Outcome::Worktree(told(shared, &worktree, WorktreeKind::Kept, standing)))
        }
        OfAttempts::None => Err(Refusal {
            kind: Kind::NotFound,
            why: format!("{} has no worktree of branch `{branch}` of that repository", shared.config.name),
        }),
    }
}

/// An attempt's worktree of the branch.
enum OfAttempts {
    Live(Box<Assignment>),
    Kept(Box<Kept>, Box<Worktree>),
    None,
}

fn of_attempts(root: &Path, clone: &Path, branch: &BranchName) -> std::io::Result<OfAttempts> {
    let is_meant = |assignment: &Assignment| match assignment.place() {
        Some(Place::Worktree(worktree)) if worktree.repository() == clone && worktree.branch == *branch => {
            Some(worktree.clone())
        }
        _ => None,
    };
    for path in entries(&root.join("spool"))? {
        let assignment = SpoolDir::open(&path).and_then(|spool| Assignment::read(&spool));
        // One that cannot be read has no place yet, or is leaving.
        if let Ok(assignment) = assignment
            && is_meant(&assignment).is_some()
        {
            return Ok(OfAttempts::Live(Box::new(assignment)));
        }
    }
    for kept in KeptWorkspaces::new(root).list()?.kept {
        if let Some(worktree) = is_meant(&kept.assignment) {
            return Ok(OfAttempts::Kept(Box::new(kept), worktree));
        }
    }
    Ok(OfAttempts::None)
}

/// What was saved with the coordinator may go; it may be what the task's next attempt is to go on in.
async fn remove_kept(
    shared: &Shared,
    source: &RepoSource,
    kept: Kept,
    worktree: &Worktree,
    force: bool,
    token: &CancellationToken,
) -> Result<Standing, Refusal> {
    let standing = match kept.why {
        Why::Resumable if !force => {
            return Err(Refusal::refused(format!(
                "{} is kept for the next attempt of task {}, and goes by itself",
                worktree.path.display(),
                kept.assignment.task
            )));
        }
        Why::Resumable => worktree.standing().await.unwrap_or_default(),
        Why::Unsaved | Why::LeftChanges => {
            by_hand::may_go(worktree, source, force, &shared.repos, token).await?
        }
    };
    let all = KeptWorkspaces::new(&shared.config.root);
    let doomed = blocking::run(move || all.doom(&kept)).await.map_err(disk)?;
    let Some(doomed) = doomed else {
        return Err(Refusal::refused("the task's next attempt has just taken it"));
    };
    let workspaces = shared.config.root.join("workspaces");
    doomed.remove(&shared.repos, &workspaces).await.map_err(|cause| DeleteError::Failed {
        path: worktree.path.clone(),
        cause: GitError::io("worktree remove")(cause),
    })?;
    Ok(standing)
}

fn told(shared: &Shared, worktree: &Worktree, kind: WorktreeKind, standing: Standing) -> v1::Worktree {
    v1::Worktree {
        head: standing.head,
        uncommitted: standing.uncommitted,
        unsaved_commits: standing.unsaved_commits,
        seen_at_ms: crate::attempt::now().as_millis(),
        ..on_the_wire(shared, worktree, kind)
    }
}
