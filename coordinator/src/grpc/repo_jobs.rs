//! What workers say of their disks, and what they are asked to do about repositories.

use std::sync::Arc;

use factory_domain::Timestamp;
use factory_proto::convert::{self, InvalidMessage};
use factory_proto::v1;
use factory_proto::v1::repo_job_done_request::Outcome;
use uuid::Uuid;

use crate::app::{App, Error, RepoJob, RepoJobFailure, RepoJobOutcome, RepoTask};
use crate::store::{CopyEntry, Inventory, WorktreeEntry, WorktreeKind};

pub async fn keep_inventory(app: &Arc<App>, request: v1::InventoryRequest) -> Result<(), Error> {
    let inventory = Inventory {
        copies: request.copies.into_iter().map(read_copy).collect(),
        worktrees: request.worktrees.into_iter().map(read_worktree).collect::<Result<_, _>>()?,
    };
    let worker = convert::worker_id(&request.worker_id)?;
    app.keep_inventory(worker, convert::session_id(&request.session_id)?, inventory).await
}

pub fn done(app: &Arc<App>, request: v1::RepoJobDoneRequest) -> Result<(), Error> {
    let worker = convert::worker_id(&request.worker_id)?;
    let job = request.job_id.parse::<Uuid>().map_err(|error| Error::invalid("job_id", error))?;
    let outcome = match request.outcome {
        Some(Outcome::Copy(copy)) => RepoJobOutcome::Copy(read_copy(copy)),
        Some(Outcome::Worktree(worktree)) => RepoJobOutcome::Worktree(read_worktree(worktree)?),
        Some(Outcome::Failure(failure)) => {
            RepoJobOutcome::Failed { kind: failure_kind(failure.kind()), message: failure.message }
        }
        Some(Outcome::Nothing(_)) => RepoJobOutcome::Nothing,
        None => return Err(InvalidMessage::Missing("outcome").into()),
    };
    app.repo_job_done(worker, job, outcome);
    Ok(())
}

fn failure_kind(kind: v1::RepoJobFailureKind) -> RepoJobFailure {
    match kind {
        v1::RepoJobFailureKind::Unspecified => RepoJobFailure::Other,
        v1::RepoJobFailureKind::NotFound => RepoJobFailure::NotFound,
        v1::RepoJobFailureKind::Refused => RepoJobFailure::Refused,
        v1::RepoJobFailureKind::Unreachable => RepoJobFailure::Unreachable,
    }
}

fn read_copy(copy: v1::RepoCopy) -> CopyEntry {
    CopyEntry {
        source: copy.source,
        fetched_at: (copy.fetched_at_ms != 0).then(|| Timestamp::from_millis(copy.fetched_at_ms)),
        bytes: countable(copy.bytes),
        default_branch: copy.default_branch,
        head: copy.head,
        error: copy.error,
    }
}

fn read_worktree(worktree: v1::Worktree) -> Result<WorktreeEntry, Error> {
    let kind = match worktree.kind() {
        v1::WorktreeKind::Unspecified => return Err(InvalidMessage::Missing("worktree.kind").into()),
        v1::WorktreeKind::Attempt => WorktreeKind::Attempt,
        v1::WorktreeKind::Kept => WorktreeKind::Kept,
        v1::WorktreeKind::ByHand => WorktreeKind::ByHand,
    };
    let some = |id: &str| (!id.is_empty()).then(|| id.to_owned());
    Ok(WorktreeEntry {
        kind,
        task: some(&worktree.task_id).map(|id| convert::task_id(&id)).transpose()?,
        attempt: some(&worktree.attempt_id).map(|id| convert::attempt_id(&id)).transpose()?,
        path: worktree.path,
        source: worktree.repo,
        branch: worktree.branch,
        head: worktree.head,
        uncommitted: worktree.uncommitted,
        unsaved_commits: worktree.unsaved_commits,
        bytes: countable(worktree.bytes),
        made_at: Timestamp::from_millis(worktree.made_at_ms),
        seen_at: Timestamp::from_millis(worktree.seen_at_ms),
    })
}

/// No disk holds more than the store can count.
fn countable(bytes: u64) -> u64 {
    bytes.min(i64::MAX.unsigned_abs())
}

/// A job, as the wire has it.
pub fn to_wire(job: RepoJob) -> v1::RepoJob {
    use v1::repo_job::Job;
    let task = match job.task {
        RepoTask::Check => Job::Check(v1::CheckRepo {}),
        RepoTask::Fetch => Job::Fetch(v1::FetchRepo {}),
        RepoTask::Forget => Job::Forget(v1::ForgetRepo {}),
        RepoTask::MakeWorktree { branch, base } => Job::MakeWorktree(v1::MakeWorktree {
            branch: branch.to_string(),
            base: base.map(String::from).unwrap_or_default(),
        }),
        RepoTask::DeleteWorktree { branch, force } => {
            Job::DeleteWorktree(v1::DeleteWorktree { branch: branch.to_string(), force })
        }
    };
    v1::RepoJob {
        id: job.id.to_string(),
        repo: job.remote,
        within_ms: u64::try_from(job.within.as_millis()).unwrap_or(u64::MAX),
        job: Some(task),
    }
}
