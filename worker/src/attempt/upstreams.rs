//! Bringing here the work of other tasks that an attempt starts from, and telling its agent of what does
//! not merge.

use std::path::{Path, PathBuf};

use factory_domain::{Failure, FailureReason, Leftovers, Notice, NoticeKind, Upstream};
use factory_proto::client::Client;
use factory_proto::v1;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use super::assignment::Place;
use super::fetch;
use super::run::{Work, worker_error};
use crate::repo::Incoming;
use crate::uplink::Trouble;

impl Work {
    /// The upstreams of the task, in their order. What no origin has is fetched from the coordinator.
    pub(super) async fn incoming(&self, token: &CancellationToken) -> Result<Vec<Incoming>, Failure> {
        let mut incoming = Vec::new();
        for upstream in &self.assignment.upstreams {
            if upstream.commit.is_empty() {
                continue;
            }
            let bundle = if upstream.pushed { None } else { Some(self.fetch_work(upstream, token).await?) };
            incoming.push(Incoming { upstream: upstream.clone(), bundle });
        }
        Ok(incoming)
    }

    async fn fetch_work(&self, upstream: &Upstream, token: &CancellationToken) -> Result<PathBuf, Failure> {
        let directory = self.spool.path().join("fetched");
        tokio::fs::create_dir_all(&directory).await.map_err(worker_error)?;
        let file = directory.join(format!("task-{}.bundle", upstream.number));
        let fetching = fetch::patiently(|| self.fetch_bundle(upstream, &file));
        match token.run_until_cancelled(fetching).await {
            None => Err(worker_error("the attempt was ended while it was prepared")),
            Some(Ok(())) => Ok(file),
            Some(Err(Trouble::Disk(error))) => Err(worker_error(error)),
            Some(Err(trouble)) => Err(Failure {
                reason: FailureReason::RepositoryUnavailable,
                message: format!(
                    "the commits of task {}, which the task starts from, cannot be had from the coordinator: {}",
                    upstream.number,
                    trouble.full()
                ),
            }),
        }
    }

    async fn fetch_bundle(&self, upstream: &Upstream, into: &Path) -> Result<(), Trouble> {
        let client = Client::connect(self.host.coordinator()).await?;
        let request = client.request(v1::ReadArtifactRequest {
            task: upstream.task.to_string(),
            attempt_number: 0,
            kind: v1::ArtifactKind::Bundle.into(),
            name: String::new(),
        });
        let mut pieces = client.tasks().read_artifact(request).await?.into_inner();
        let mut file = File::create(into).await?;
        while let Some(piece) = pieces.message().await? {
            file.write_all(&piece.data).await?;
        }
        Ok(file.flush().await?)
    }

    /// What the agent must know of the place beside its task.
    pub(super) fn tell_of_conflict(&mut self, place: &Place) {
        let Place::Worktree(worktree) = place else { return };
        let Some(conflict) = &worktree.lineage.conflict else { return };
        let notice = Notice { kind: NoticeKind::Dependency, text: conflict.note() };
        // An attempt may be prepared more than once.
        let notices = &mut self.assignment.notices.notices;
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }

    /// Puts a place that an earlier attempt has worked in on the task's own footing: what others did is
    /// not counted as its own, and a merge it had not settled is still unfinished.
    pub(super) async fn take_over(&self, place: &mut Place) -> Result<(), Failure> {
        let Place::Worktree(worktree) = place else { return Ok(()) };
        worktree.take_over(&self.assignment.upstreams).await.map_err(worker_error)
    }

    /// A success that leaves out what the task was to start from is none.
    pub(super) async fn left_unmerged(&mut self) -> Option<Failure> {
        let Some(Place::Worktree(worktree)) = self.assignment.place() else { return None };
        let commits_leftovers = self.assignment.spec.leftovers == Leftovers::Commit;
        let failure = match worktree.left_unmerged(commits_leftovers).await {
            Ok(None) => return None,
            Ok(Some(left)) => Failure {
                reason: FailureReason::AgentError,
                message: format!("the agent ended without settling the merge it was to begin with: {left}"),
            },
            Err(error) => {
                worker_error(format!("whether the agent settled the merge cannot be told: {error}"))
            }
        };
        self.note(failure.message.clone()).await;
        Some(failure)
    }
}
