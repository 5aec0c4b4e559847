//! What workers are asked to do about repositories, and their answers.
//!
//! Nothing of it is durable: someone waits for each answer. Every job can be asked for again, and
//! what it changed is in the worker's next inventory, whether or not anybody still waited.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factory_domain::{BranchName, RepoSource, RevisionName, WorkerId};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::app::fleet::Keeper;
use crate::app::{App, Error, ToWorker};
use crate::store::{CopyEntry, WorktreeEntry};

/// What a worker is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepoTask {
    /// Say whether it is there and may be read.
    Check,
    /// Bring the clone up to date; make one where there is none.
    Fetch,
    /// Remove the clone.
    Forget,
    MakeWorktree {
        branch: BranchName,
        base: Option<RevisionName>,
    },
    DeleteWorktree {
        branch: BranchName,
        force: bool,
    },
}

impl RepoTask {
    /// How long its answer is waited for: a first clone takes as long as it takes.
    fn within(&self) -> Duration {
        match self {
            Self::Check => Duration::from_secs(30),
            Self::Fetch | Self::MakeWorktree { .. } => Duration::from_secs(600),
            Self::Forget | Self::DeleteWorktree { .. } => Duration::from_secs(60),
        }
    }
}

/// One job, as a worker gets it.
#[derive(Debug)]
pub struct RepoJob {
    pub id: Uuid,
    /// What git fetches from.
    pub remote: String,
    pub within: Duration,
    pub task: RepoTask,
}

/// What a job came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepoJobOutcome {
    Copy(CopyEntry),
    Worktree(WorktreeEntry),
    Nothing,
    /// In the worker's words: the thing, the cause, the next step.
    Failed {
        kind: RepoJobFailure,
        message: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RepoJobFailure {
    NotFound,
    Refused,
    Unreachable,
    /// The worker's own trouble.
    Other,
}

/// Why nothing came of a job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    #[error(
        "no worker is connected that could do it; start one (factory-worker, or factoryctl up), and ask again"
    )]
    NobodyThere,
    #[error("worker {0} is not connected; start it, and ask again")]
    Away(String),
    #[error("the release of worker {0} does no jobs about repositories; upgrade it")]
    TooOld(String),
    #[error("worker {worker} did not answer within {} s; its log may say why; ask again", within.as_secs())]
    TooSlow { worker: String, within: Duration },
    #[error("the connection to worker {0} was lost; ask again once it is back")]
    Lost(String),
    #[error("worker {worker}: {message}")]
    Failed { worker: String, kind: RepoJobFailure, message: String },
}

impl JobError {
    /// Whether another worker may know better: what one says of a repository's absence or of unsaved work is final.
    pub fn is_of_the_worker(&self) -> bool {
        match self {
            Self::Failed { kind, .. } => matches!(kind, RepoJobFailure::Unreachable | RepoJobFailure::Other),
            _ => true,
        }
    }
}

/// Those whose answers are waited for.
#[derive(Debug, Default)]
pub(crate) struct Jobs(Mutex<HashMap<Uuid, Waiting>>);

#[derive(Debug)]
struct Waiting {
    worker: WorkerId,
    reply: oneshot::Sender<RepoJobOutcome>,
}

/// Nobody waits any more once it is dropped.
struct Expected<'j> {
    jobs: &'j Jobs,
    id: Uuid,
    answer: oneshot::Receiver<RepoJobOutcome>,
}

impl Jobs {
    fn expect(&self, worker: WorkerId) -> Expected<'_> {
        let id = Uuid::now_v7();
        let (reply, answer) = oneshot::channel();
        self.lock().insert(id, Waiting { worker, reply });
        Expected { jobs: self, id, answer }
    }

    /// `false`: nobody waits for that, or not from this worker.
    fn answer(&self, worker: WorkerId, id: Uuid, outcome: RepoJobOutcome) -> bool {
        let mut jobs = self.lock();
        if jobs.get(&id).is_none_or(|waiting| waiting.worker != worker) {
            return false;
        }
        jobs.remove(&id).is_some_and(|waiting| waiting.reply.send(outcome).is_ok())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        self.jobs.lock().remove(&self.id);
    }
}

impl App {
    /// Has a worker do something about a repository, and waits for what came of it.
    pub(in crate::app) async fn repo_job(
        &self,
        keeper: &Keeper,
        source: &RepoSource,
        task: RepoTask,
    ) -> Result<RepoJobOutcome, Error> {
        let worker = keeper.name.clone();
        let mut expected = self.jobs.expect(keeper.worker);
        let within = task.within();
        tracing::info!(%worker, %source, ?task, "a job about a repository");
        let job = RepoJob { id: expected.id, remote: source.remote(), within, task };
        let over = self.fleet.tell_keeper(keeper, ToWorker::RepoJob(job))?;
        let outcome = tokio::select! {
            answer = &mut expected.answer => answer.map_err(|_| JobError::Lost(worker.clone()))?,
            () = over.cancelled() => return Err(JobError::Lost(worker).into()),
            () = tokio::time::sleep(within) => return Err(JobError::TooSlow { worker, within }.into()),
            () = self.stopping.cancelled() => return Err(Error::Stopping),
        };
        match outcome {
            RepoJobOutcome::Failed { kind, message } => {
                Err(JobError::Failed { worker, kind, message }.into())
            }
            outcome => Ok(outcome),
        }
    }

    /// A worker's answer. Repeating it changes nothing, and one that comes too late neither.
    pub fn repo_job_done(&self, worker: WorkerId, id: Uuid, outcome: RepoJobOutcome) {
        if !self.jobs.answer(worker, id, outcome) {
            tracing::debug!(%worker, job = %id, "a job's answer that nobody waits for");
        }
    }
}
