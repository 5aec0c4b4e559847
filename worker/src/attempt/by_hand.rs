//! Working in a worktree that was made by hand: an attempt takes it over, and from then on it is the task's.
//!
//! It moves into the attempt's workspace with everything that is in it, changes that are not committed
//! included, so that the agent finds them and they are saved as its own work is. Where no agent came to work
//! in it, it goes back to where it was.

use std::io;

use factory_domain::{Failure, FailureReason, Leftovers};

use super::assignment::Place;
use super::journal::Journal;
use super::run::{Work, worker_error};
use crate::worktree::{Standing, Worktree};

impl Work {
    /// The worktree made by hand of the branch that the task names, where there is one on this host. One that
    /// is to begin with the work of other tasks begins afresh.
    pub(super) async fn take_by_hand(&mut self, journal: &Journal) -> Result<Option<Place>, Failure> {
        let spec = &self.assignment.spec;
        let (Some(source), Some(branch)) = (&spec.repo, &spec.branch) else { return Ok(None) };
        if !self.assignment.upstreams.is_empty() {
            return Ok(None);
        }
        let by_hand = &self.host.by_hand;
        let Some(found) = by_hand.find(source, branch).await.map_err(worker_error)? else { return Ok(None) };
        let standing = found.standing().await.map_err(|error| worker_error(&error))?;
        self.require_it_fits(&found, &standing)?;
        let taken = by_hand.take(&found, &self.spool, &self.workspace_path()).await;
        let Some(worktree) = taken.map_err(worker_error)? else { return Ok(None) };
        self.host.inventory.has_changed(&found.path);
        journal.note(format!(
            "took over the worktree of branch {branch} that was made by hand, from {}; it has {} uncommitted file(s) and {} commit(s) that are not in the origin",
            found.path.display(),
            standing.uncommitted,
            standing.unsaved_commits
        ));
        Ok(Some(Place::Worktree(Box::new(worktree))))
    }

    fn require_it_fits(&self, found: &Worktree, standing: &Standing) -> Result<(), Failure> {
        let spec = &self.assignment.spec;
        let path = found.path.display();
        let refuse = |message| Err(Failure { reason: FailureReason::Rejected, message });
        if standing.branch != found.branch.as_str() {
            let there = if standing.branch.is_empty() { "no branch" } else { &standing.branch };
            return refuse(format!(
                "the worktree that was made by hand for branch `{}`, {path}, has {there} checked out; check the branch out there, or remove the worktree",
                found.branch
            ));
        }
        if spec.leftovers == Leftovers::Discard && standing.uncommitted > 0 {
            return refuse(format!(
                "{path} has {} uncommitted file(s), which the task would discard in the end; commit them, or let the task commit what is left",
                standing.uncommitted
            ));
        }
        Ok(())
    }

    /// Puts a worktree that was taken over back to where it was. Says whether there was one.
    pub(super) async fn give_back_by_hand(&self) -> io::Result<bool> {
        let given_back = self.host.by_hand.give_back(&self.spool, &self.workspace_path()).await?;
        if given_back {
            self.host.inventory.look_again();
        }
        Ok(given_back)
    }
}
