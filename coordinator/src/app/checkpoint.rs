//! What an attempt leaves for the next while it runs: taken from its worker, and given to
//! the worker that goes on with the task.
//!
//! A crash at any point leaves a whole checkpoint or none. Its files come first, each durable
//! before it has its row; then one commit makes it current and drops the rows of the older
//! one; only then do the older one's files go. Cut off before that commit, the older one
//! still stands; cut off after it, files without a row are left, which go with the attempt's.

use factory_domain::{AttemptId, AttemptState, Checkpoint, TaskId, WorkerId};

use super::artifacts::ArtifactContent;
use super::{App, Error};
use crate::artifacts::ArtifactError;
use crate::store::{ArtifactEntry, ArtifactKind, TakenCheckpoint};

/// A checkpoint with its files, opened: they can be read to their ends even if a newer one takes their place.
pub struct OpenCheckpoint {
    pub checkpoint: Checkpoint,
    pub work: Option<ArtifactContent>,
    pub transcript: Option<ArtifactContent>,
}

/// A file that was there is gone when it is opened, as often as a newer checkpoint has come in between.
const OPEN_TRIES: u32 = 5;

impl App {
    /// Makes a checkpoint the one that another attempt would go on from. That of an attempt
    /// already given up is kept as well: work is saved, whatever became of the lease.
    pub async fn keep_checkpoint(&self, taken: TakenCheckpoint) -> Result<(), Error> {
        let (task, attempt, number) = (taken.task, taken.attempt, taken.checkpoint.number);
        let superseded = self.store.keep_checkpoint(taken, self.clock.now()).await?;
        tracing::info!(%task, %attempt, number, "checkpoint kept");
        let _naming = self.artifacts.name_none().await;
        // They have no rows any more, so nobody asks for them.
        let removed = self.artifacts.remove(superseded.iter().map(ArtifactEntry::key).collect()).await;
        if let Err(error) = removed {
            tracing::warn!(%attempt, %error, "a file of an older checkpoint stays");
        }
        Ok(())
    }

    /// The newest checkpoint of `from`, an attempt of the task whose live attempt the worker holds, or
    /// of the one that this goes on from.
    pub async fn open_checkpoint(
        &self,
        worker: WorkerId,
        task: TaskId,
        attempt: AttemptId,
        from: AttemptId,
    ) -> Result<OpenCheckpoint, Error> {
        let asking = self.store.attempt(attempt).await?;
        let holds = asking.is_some_and(|asking| {
            let accepted = asking.state.is_live() && asking.state != AttemptState::Offered;
            asking.worker == worker && asking.task == task && accepted
        });
        if !holds {
            return Err(Error::NotYours(attempt));
        }
        if !self.may_go_on_from(task, from).await? {
            return Err(Error::NoCheckpoint(from));
        }
        for _ in 1..OPEN_TRIES {
            match self.open_newest(from).await {
                Err(Error::Artifacts(ArtifactError::Missing { .. })) => {}
                opened => return opened,
            }
        }
        self.open_newest(from).await
    }

    async fn may_go_on_from(&self, task: TaskId, attempt: AttemptId) -> Result<bool, Error> {
        let Some(earlier) = self.store.attempt(attempt).await? else { return Ok(false) };
        if earlier.task == task {
            return Ok(true);
        }
        let goes_on_from = self.store.task(task).await?.and_then(|task| task.goes_on_from);
        Ok(goes_on_from == Some(earlier.task))
    }

    async fn open_newest(&self, attempt: AttemptId) -> Result<OpenCheckpoint, Error> {
        let checkpoint = self.store.checkpoint(attempt).await?.ok_or(Error::NoCheckpoint(attempt))?;
        let name = checkpoint.number.to_string();
        let open = async |kind| -> Result<ArtifactContent, Error> {
            Ok(ArtifactContent::of(self.artifacts.open_read(attempt, kind, &name).await?))
        };
        let work = match checkpoint.snapshot {
            Some(_) => Some(open(ArtifactKind::CheckpointWork).await?),
            None => None,
        };
        let transcript = match checkpoint.has_transcript {
            true => Some(open(ArtifactKind::CheckpointTranscript).await?),
            false => None,
        };
        Ok(OpenCheckpoint { checkpoint, work, transcript })
    }
}
