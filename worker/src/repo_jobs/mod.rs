//! Jobs about repositories, as the coordinator asks for them: someone waits for each.
//!
//! The session hands them on and goes on at once. A few are done at a time, each ends with the time
//! somebody waits for it, and its answer is told for as long as it may still find someone. A job that
//! is asked for again does nothing that is done already.

mod act;
mod answer;
mod worktrees;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use factory_proto::v1;
use factory_proto::v1::RepoJobFailureKind as Kind;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::agent_host::Shared;
use crate::uplink::Uplink;
use act::Refusal;
pub use act::copy;
use answer::Answer;

/// Jobs done at once: each is a git command or two, beside those of the attempts.
const AT_ONCE: usize = 4;
/// Jobs known at once; whoever asks for more is told so.
const MAX_KNOWN: usize = 64;
/// Nobody waits longer for anything; a first clone may take as long.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Where the session leaves jobs.
#[derive(Debug, Clone)]
pub struct RepoJobs {
    orders: mpsc::UnboundedSender<v1::RepoJob>,
}

impl RepoJobs {
    pub fn new() -> (Self, RepoJobLoop) {
        let (orders, asked) = mpsc::unbounded_channel();
        (Self { orders }, RepoJobLoop { asked })
    }

    /// Comes back at once.
    pub fn ask(&self, job: v1::RepoJob) {
        // Without a loop the worker is stopping: the coordinator hears that by its session's end.
        let _ = self.orders.send(job);
    }
}

pub struct RepoJobLoop {
    asked: mpsc::UnboundedReceiver<v1::RepoJob>,
}

impl RepoJobLoop {
    /// Runs until the token is cancelled, which ends the jobs under way.
    pub async fn run(self, shared: Arc<Shared>, uplink: Uplink, token: CancellationToken) {
        let (answers, told) = mpsc::unbounded_channel();
        let work = self.work(&shared, answers, &token);
        tokio::join!(work, answer::tell(shared.worker, told, uplink, token.clone()));
    }

    async fn work(
        mut self,
        shared: &Arc<Shared>,
        answers: mpsc::UnboundedSender<Answer>,
        token: &CancellationToken,
    ) {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        let mut known = HashSet::new();
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                () = token.cancelled() => break,
                Some(job) = self.asked.recv() => {
                    let asked = Asked::new(job);
                    if known.len() >= MAX_KNOWN {
                        let why = format!("this worker has {MAX_KNOWN} jobs to do already; ask again later");
                        // As below.
                        let _ = answers.send(asked.answer(Err(Refusal { kind: Kind::Unspecified, why })));
                    } else if known.insert(asked.job.id.clone()) {
                        let (host, turns, token) = (Arc::clone(shared), Arc::clone(&turns), token.child_token());
                        under_way.spawn(asked.serve(host, turns, token));
                    }
                }
                Some(ended) = under_way.join_next() => match ended {
                    Ok(answer) => {
                        known.remove(answer.job());
                        shared.inventory.look_again();
                        // Nobody tells any more: the worker is stopping.
                        let _ = answers.send(answer);
                    }
                    Err(error) => tracing::error!(%error, "a job about a repository failed; whoever asked for it waits in vain"),
                },
            }
        }
        // Their git commands end with the token, and leave what the next start or the same job puts right.
        while under_way.join_next().await.is_some() {}
    }
}

/// A job, and until when its answer is of use.
struct Asked {
    job: v1::RepoJob,
    until: Instant,
}

impl Asked {
    fn new(job: v1::RepoJob) -> Self {
        let until = Instant::now() + Duration::from_millis(job.within_ms).min(LONGEST);
        Self { job, until }
    }

    /// Waits for its turn and does it, no longer than anyone waits for it.
    async fn serve(self, shared: Arc<Shared>, turns: Arc<Semaphore>, token: CancellationToken) -> Answer {
        let done = self.act_in_time(&shared, &turns, &token).await;
        if let Err(refusal) = &done {
            tracing::info!(
                job = self.job.id,
                what = act::name(&self.job),
                why = refusal.why,
                "a job about a repository was not done"
            );
        }
        self.answer(done)
    }

    async fn act_in_time(
        &self,
        shared: &Shared,
        turns: &Semaphore,
        token: &CancellationToken,
    ) -> Result<act::Outcome, Refusal> {
        let doing = async {
            let _turn = turns.acquire().await;
            act::act(shared, &self.job, token).await
        };
        tokio::pin!(doing);
        tokio::select! {
            done = &mut doing => return done,
            () = tokio::time::sleep_until(self.until) => {}
        }
        // What it had begun ends in good order.
        token.cancel();
        doing.await.map_err(|_| Refusal {
            kind: Kind::Unreachable,
            why: format!(
                "{} was not done within the {} s that someone waited for it; what was begun has been ended",
                act::name(&self.job),
                self.job.within_ms / 1000,
            ),
        })
    }

    fn answer(self, done: Result<act::Outcome, Refusal>) -> Answer {
        let outcome = done.unwrap_or_else(|Refusal { kind, why }| {
            act::Outcome::Failure(v1::RepoJobFailure { kind: kind.into(), message: why })
        });
        Answer::new(self.job.id, outcome, self.until)
    }
}
