//! Going on from an earlier attempt of the task: in its workspace where that is still here, else in one
//! restored from what the coordinator keeps of it. Where neither can be, the attempt begins afresh and
//! says so: only this host's own trouble fails it.

use std::io;
use std::time::Duration;

use factory_domain::{AttemptId, Checkpoint, Continuation, Conversation, Failure};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::assignment::{Place, Progress};
use super::continuity::{Past, Workspace};
use super::fetch::{self, Fetched};
use super::journal::Journal;
use super::run::{Work, worker_error};
use super::{Cause, Order};
use crate::blocking;
use crate::checkpoint::{self, DirectorySnapshots, RestoreError};
use crate::git::{Git, GitError};
use crate::kept::{KeptWorkspaces, Taken};
use crate::outbox;
use crate::uplink::Trouble;
use crate::workspace;

/// How long an earlier attempt on this host may take to save its work and be gone.
const LEAVE_WITHIN: Duration = Duration::from_secs(60);

impl Work {
    /// What the attempt is to go on from. Agents without conversations always begin afresh.
    pub(super) fn continues(&self) -> Option<Continuation> {
        let agent = self.host.crew.adapter(self.assignment.spec.agent)?;
        self.assignment.continues.clone().filter(|_| agent.conversations().is_some())
    }

    /// Gives back what a start of the worker before this one had half made for the attempt. Says whether
    /// a workspace is ready all the same: one that was taken, and needs no set-up.
    pub(super) async fn pick_up(&mut self) -> Result<bool, Failure> {
        let at = match &self.assignment.progress {
            Progress::Accepted => return Ok(false),
            Progress::Preparing => None,
            Progress::Prepared { place }
            | Progress::Started { place, .. }
            | Progress::Saved { place, .. } => Some(place.path().to_owned()),
        };
        let taken = self.taken().await.map_err(worker_error)?;
        let is_taken = |taken: &Taken| taken.place().map(Place::path) == at.as_deref();
        if at.is_some() && taken.as_ref().is_some_and(is_taken) {
            return Ok(true);
        }
        // Before its place is cleared.
        self.give_back_by_hand().await.map_err(worker_error)?;
        tracing::info!("the worker was restarted while it prepared the attempt, which is prepared again");
        let discarded = self.host.repos.discard(&self.workspace_path()).await;
        discarded.map_err(|error| worker_error(&error))?;
        if taken.is_none() {
            let home = self.spool.path().join("agent-home");
            workspace::remove(home).await.map_err(worker_error)?;
        }
        // An agent may have begun the conversation of that name.
        self.assignment.session = Uuid::new_v4();
        self.assignment.past = None;
        Ok(false)
    }

    /// Makes the workspace ready to go on in.
    pub(super) async fn go_on(
        &mut self,
        from: Continuation,
        journal: &Journal,
        token: &CancellationToken,
    ) -> Result<Place, Failure> {
        self.wait_for_end_of(from.from, token).await;
        // Whatever became of that attempt's own end: nothing of it may work beside this one.
        self.host.config.shims.sweep(from.from).await.map_err(|error| {
            worker_error(format!("processes of the attempt before this one may be left: {error}"))
        })?;
        let (place, workspace) = match self.take_kept(&from, journal).await? {
            Some(place) => (place, Workspace::Same),
            None => self.restore(&from, journal, token).await?,
        };
        let remembers = workspace != Workspace::Fresh && self.resumes(&from).await.map_err(worker_error)?;
        let of_another_task = from.of_another_task;
        let past = Past { attempt: from.from, because: from.because, of_another_task, workspace, remembers };
        journal.note(past.line());
        if !past.remembers {
            self.assignment.session = Uuid::new_v4();
        }
        self.assignment.past = Some(past);
        Ok(place)
    }

    /// An earlier attempt that is still here saves its work first; nobody else waits for that.
    async fn wait_for_end_of(&self, earlier: AttemptId, token: &CancellationToken) {
        let roster = &self.host.roster;
        let mut changes = roster.changes();
        roster.order(earlier, Order::End(Cause::Superseded));
        let gone = async { while roster.holds(earlier) && changes.changed().await.is_ok() {} };
        let waiting = tokio::time::timeout(LEAVE_WITHIN, token.run_until_cancelled(gone));
        if waiting.await.is_err() {
            tracing::warn!(%earlier, "the attempt before this one is still saving its work; not waiting on");
        }
    }

    async fn taken(&self) -> io::Result<Option<Taken>> {
        let spool = self.spool.clone();
        blocking::run(move || Taken::of(&spool)).await
    }

    /// The earlier attempt's workspace, where it is still here and whole.
    async fn take_kept(&mut self, from: &Continuation, journal: &Journal) -> Result<Option<Place>, Failure> {
        let (kept, spool, earlier) =
            (KeptWorkspaces::new(&self.host.config.root), self.spool.clone(), from.from);
        let taking = blocking::run(move || match Taken::of(&spool)? {
            Some(taken) => Ok(Some(taken)),
            None => kept.take(earlier, &spool),
        });
        let taken = match taking.await {
            Ok(Some(taken)) => taken,
            Ok(None) => return Ok(None),
            Err(error) => {
                journal
                    .note(format!("the workspace of the attempt before this one cannot be taken: {error}"));
                return Ok(None);
            }
        };
        let Some(place) = taken.place().cloned() else { return Ok(None) };
        if let Place::Worktree(worktree) = &place
            && let Err(error) = worktree.reopen_leftovers(&self.assignment.spec.title).await
        {
            // As commits they are not lost either.
            journal.note(format!("changes that were committed as leftovers stay so: {error}"));
        }
        self.assignment.session = taken.assignment.session;
        blocking::run(move || taken.move_home()).await.map_err(worker_error)?;
        Ok(Some(place))
    }

    /// A workspace made anew, with what was saved of the earlier attempt where there is something.
    async fn restore(
        &mut self,
        from: &Continuation,
        journal: &Journal,
        token: &CancellationToken,
    ) -> Result<(Place, Workspace), Failure> {
        let fetched = match token.run_until_cancelled(self.fetch_checkpoint(from.from)).await {
            Some(Ok(fetched)) => fetched,
            Some(Err(Trouble::Disk(error))) => return Err(worker_error(error)),
            Some(Err(trouble)) => {
                journal
                    .note(format!("what was saved of the attempt before this one cannot be had: {trouble}"));
                None
            }
            None => None,
        };
        let mut place = self.make_workspace(journal, token).await?;
        let Some(fetched) = fetched else { return Ok((place, Workspace::Fresh)) };
        match self.unpack(&mut place, &fetched).await {
            Ok(()) => {}
            Err(RestoreError::Git(error)) if is_this_hosts(&error) => return Err(worker_error(error)),
            Err(error) => {
                journal.note(format!("what was saved of the attempt before this one is of no use: {error}"));
                return Ok((place, Workspace::Fresh));
            }
        }
        self.bring_conversation(&fetched, journal).await?;
        Ok((place, Workspace::Restored { saved_at: fetched.checkpoint.taken_at }))
    }

    /// Nothing to unpack: nothing had been changed.
    async fn unpack(&self, place: &mut Place, fetched: &Fetched) -> Result<(), RestoreError> {
        let (Some(bundle), Some(snapshot)) = (&fetched.work, &fetched.checkpoint.snapshot) else {
            return Ok(());
        };
        match place {
            Place::Worktree(worktree) => {
                checkpoint::restore(worktree, bundle, snapshot, self.assignment.attempt).await
            }
            Place::Directory { path } => {
                let out = self.checkpoint_dir();
                let snapshots = DirectorySnapshots::new(Git::new(), path, &out, self.assignment.attempt);
                snapshots.restore(bundle, snapshot).await
            }
        }
    }

    /// Puts the saved conversation where the agent finds it.
    async fn bring_conversation(&mut self, fetched: &Fetched, journal: &Journal) -> Result<(), Failure> {
        let Checkpoint { agent_session, .. } = &fetched.checkpoint;
        let session: Option<Uuid> = agent_session.as_deref().and_then(|id| id.parse().ok());
        let (Some(session), Some(transcript)) = (session, &fetched.transcript) else { return Ok(()) };
        self.assignment.session = session;
        let agent = self.host.crew.adapter(self.assignment.spec.agent);
        let Some(conversations) = agent.and_then(|agent| agent.conversations()) else { return Ok(()) };
        let job = self.job().map_err(worker_error)?;
        let put = match conversations.place(&job) {
            Ok(place) => fetch::put(transcript, &place).await,
            Err(error) => Err(error),
        };
        if let Err(error) = put {
            journal
                .note(format!("the conversation of the attempt before this one cannot be restored: {error}"));
        }
        Ok(())
    }

    /// Whether the conversation is wanted, and here.
    async fn resumes(&self, from: &Continuation) -> io::Result<bool> {
        if from.conversation != Conversation::Resume {
            return Ok(false);
        }
        let (agent, job) = (self.host.crew.adapter(self.assignment.spec.agent).cloned(), self.job()?);
        let finding = blocking::run(move || {
            agent.as_deref().and_then(|agent| agent.conversations()).map(|has| has.find(&job)).transpose()
        });
        // One that cannot be read is as good as none.
        Ok(finding.await.ok().flatten().flatten().is_some())
    }

    /// Whether this attempt has taken another's workspace.
    pub(super) async fn has_taken(&self) -> io::Result<bool> {
        self.taken().await.map(|taken| taken.is_some())
    }

    /// Whether another attempt may go on from this one, now that its report was taken.
    pub(super) fn can_be_gone_on_from(&self) -> bool {
        let agent = self.host.crew.adapter(self.assignment.spec.agent);
        let converses = agent.is_some_and(|agent| agent.conversations().is_some());
        converses && outbox::holds(&self.spool) && self.spool.shim_path().exists()
    }
}

/// Trouble that other saved work would meet as well.
fn is_this_hosts(error: &GitError) -> bool {
    matches!(
        error,
        GitError::Start(_) | GitError::Io { .. } | GitError::DiskFull { .. } | GitError::Cancelled { .. }
    )
}
