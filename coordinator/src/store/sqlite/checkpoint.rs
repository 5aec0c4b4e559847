//! Checkpoints: the newest of each attempt, and the artifacts it stands on.

use factory_domain::{AttemptId, Checkpoint, Timestamp};
use sqlx::SqlitePool;

use super::artifact::{ArtifactRow, name_of};
use super::job::{Tx, Verb};
use super::lease::fenced;
use super::rows::{self, to_json};
use super::statements;
use crate::store::{ArtifactEntry, ArtifactKind, CheckpointError, StoreError, TakenCheckpoint};

pub(super) struct KeepCheckpoint {
    pub taken: TakenCheckpoint,
    pub now: Timestamp,
}

impl Verb for KeepCheckpoint {
    type Output = Vec<ArtifactEntry>;
    type Error = CheckpointError;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<ArtifactEntry>, CheckpointError> {
        let TakenCheckpoint { worker, task, attempt, ref checkpoint } = self.taken;
        let row = fenced(tx, &[attempt]).await?.remove(&attempt);
        if !row.is_some_and(|row| row.task == task && row.worker == worker) {
            return Err(CheckpointError::NotYours(attempt));
        }
        let before: Option<String> = sqlx::query_scalar(statements::CHECKPOINT_OF)
            .bind(&attempt.as_bytes()[..])
            .fetch_optional(&mut *tx.connection)
            .await
            .map_err(StoreError::from)?;
        let before = before.as_deref().map(read).transpose()?;
        // The same again, or one that was overtaken on its way.
        if before.is_some_and(|before| before.number >= checkpoint.number) {
            return Ok(Vec::new());
        }
        self.files_are_here(tx).await?;
        self.supersede(tx).await.map_err(CheckpointError::from)
    }
}

impl KeepCheckpoint {
    async fn files_are_here(&self, tx: &mut Tx<'_>) -> Result<(), CheckpointError> {
        let checkpoint = &self.taken.checkpoint;
        for kind in checkpoint_files(checkpoint) {
            let found: bool = sqlx::query_scalar(statements::HAS_ARTIFACT)
                .bind(&self.taken.attempt.as_bytes()[..])
                .bind(name_of(kind))
                .bind(checkpoint.number.to_string())
                .fetch_one(&mut *tx.connection)
                .await
                .map_err(StoreError::from)?;
            if !found {
                let attempt = self.taken.attempt;
                return Err(CheckpointError::FileMissing { number: checkpoint.number, attempt });
            }
        }
        Ok(())
    }

    async fn supersede(&self, tx: &mut Tx<'_>) -> Result<Vec<ArtifactEntry>, StoreError> {
        let attempt = self.taken.attempt;
        sqlx::query(statements::KEEP_CHECKPOINT)
            .bind(&attempt.as_bytes()[..])
            .bind(to_json(&self.taken.checkpoint))
            .bind(self.now.as_millis())
            .execute(&mut *tx.connection)
            .await?;
        let older: Vec<ArtifactRow> = sqlx::query_as(statements::DROP_OLDER_CHECKPOINTS)
            .bind(&attempt.as_bytes()[..])
            .bind(self.taken.checkpoint.number)
            .fetch_all(&mut *tx.connection)
            .await?;
        older.into_iter().map(ArtifactRow::read).collect()
    }
}

/// The kinds of artifacts that a checkpoint consists of.
fn checkpoint_files(checkpoint: &Checkpoint) -> impl Iterator<Item = ArtifactKind> {
    let work = checkpoint.snapshot.is_some().then_some(ArtifactKind::CheckpointWork);
    let transcript = checkpoint.has_transcript.then_some(ArtifactKind::CheckpointTranscript);
    work.into_iter().chain(transcript)
}

pub(super) async fn checkpoint(
    readers: &SqlitePool,
    attempt: AttemptId,
) -> Result<Option<Checkpoint>, StoreError> {
    let kept: Option<String> = sqlx::query_scalar(statements::CHECKPOINT_OF)
        .bind(&attempt.as_bytes()[..])
        .fetch_optional(readers)
        .await?;
    kept.as_deref().map(read).transpose()
}

fn read(json: &str) -> Result<Checkpoint, StoreError> {
    rows::from_json(json, "checkpoint")
}
