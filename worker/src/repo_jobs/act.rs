//! What each job does.

use std::fmt::Display;

use factory_domain::{RepoSource, Timestamp};
use factory_proto::v1;
use factory_proto::v1::RepoJobFailureKind as Kind;
use factory_proto::v1::repo_job::Job;
pub use factory_proto::v1::repo_job_done_request::Outcome;
use tokio_util::sync::CancellationToken;

use super::worktrees;
use crate::agent_host::Shared;
use crate::disk::{Layout, Owned};
use crate::repo::{CloneFacts, RepoError};

/// Why a job was not done.
#[derive(Debug)]
pub struct Refusal {
    pub kind: Kind,
    pub why: String,
}

impl Refusal {
    pub fn refused(why: impl Display) -> Self {
        Self { kind: Kind::Refused, why: why.to_string() }
    }
}

impl From<RepoError> for Refusal {
    fn from(error: RepoError) -> Self {
        let kind = match &error {
            RepoError::NotOnThisHost { .. }
            | RepoError::NotARepository { .. }
            | RepoError::Empty { .. }
            | RepoError::NoDefaultBranch { .. }
            | RepoError::BaseNotFound { .. }
            | RepoError::AuthenticationFailed { .. }
            | RepoError::ForeignOwner { .. } => Kind::NotFound,
            RepoError::BranchWithoutBase { .. }
            | RepoError::BranchInUse { .. }
            | RepoError::HasWorktrees { .. }
            | RepoError::HoldsWork { .. }
            | RepoError::UpstreamMissing { .. }
            | RepoError::MergeConflict { .. } => Kind::Refused,
            RepoError::Unreachable { .. } => Kind::Unreachable,
            RepoError::Cancelled { .. } | RepoError::Disk { .. } | RepoError::Git { .. } => Kind::Unspecified,
        };
        Self { kind, why: error.to_string() }
    }
}

/// For people.
pub fn name(job: &v1::RepoJob) -> &'static str {
    match &job.job {
        Some(Job::Check(_)) => "looking for the repository",
        Some(Job::Fetch(_)) => "fetching the repository",
        Some(Job::Forget(_)) => "removing the clone",
        Some(Job::MakeWorktree(_)) => "making the worktree",
        Some(Job::DeleteWorktree(_)) => "removing the worktree",
        None => "what was asked for",
    }
}

/// Does the job. Cancelling the token ends it early, in good order.
pub async fn act(shared: &Shared, job: &v1::RepoJob, token: &CancellationToken) -> Result<Outcome, Refusal> {
    let source = RepoSource::parse(&job.repo).map_err(Refusal::refused)?;
    let source = shared.repos.as_cloned(source).await?;
    match &job.job {
        Some(Job::Check(v1::CheckRepo {})) => {
            Ok(Outcome::Copy(copy(shared, shared.repos.look(&source, token).await?)))
        }
        Some(Job::Fetch(v1::FetchRepo {})) => {
            require_disk(shared)?;
            Ok(Outcome::Copy(copy(shared, shared.repos.fetch(&source, token).await?)))
        }
        Some(Job::Forget(v1::ForgetRepo {})) => {
            let layout = Layout::new(&shared.config.root);
            shared.repos.remove_clone_of(&source, || Owned::read(&layout), token).await?;
            Ok(Outcome::Nothing(v1::RepoJobNothing {}))
        }
        Some(Job::MakeWorktree(wanted)) => worktrees::make(shared, &source, wanted, token).await,
        Some(Job::DeleteWorktree(unwanted)) => worktrees::delete(shared, &source, unwanted, token).await,
        None => Err(Refusal::refused("this worker's release does not know the job; upgrade the worker")),
    }
}

/// What takes room is not begun where there is too little for tasks.
pub fn require_disk(shared: &Shared) -> Result<(), Refusal> {
    match shared.disk_shortage() {
        Some(why) => Err(Refusal { kind: Kind::Unspecified, why }),
        None => Ok(()),
    }
}

/// A clone on the wire. How many bytes it has, the inventory tells.
pub fn copy(shared: &Shared, facts: CloneFacts) -> v1::RepoCopy {
    v1::RepoCopy {
        worker_id: shared.worker.to_string(),
        worker_name: shared.config.name.clone(),
        source: facts.source,
        fetched_at_ms: facts.fetched_at.map_or(0, Timestamp::as_millis),
        bytes: 0,
        default_branch: facts.default_branch,
        head: facts.head,
        error: facts.error,
        connected: true,
    }
}
