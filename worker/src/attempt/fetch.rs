//! Fetching what the coordinator keeps of an earlier attempt.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_domain::{AttemptId, Checkpoint};
use factory_proto::client::Client;
use factory_proto::v1;
use factory_proto::v1::fetch_checkpoint_response::Part;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tonic::{Code, Status};

use super::run::Work;
use crate::uplink::{Trouble, pauses};

/// How long a coordinator that does not answer is asked again.
const PATIENCE: Duration = Duration::from_secs(60);

/// A checkpoint with its files, in the attempt's spool.
pub(super) struct Fetched {
    pub checkpoint: Checkpoint,
    pub work: Option<PathBuf>,
    pub transcript: Option<PathBuf>,
}

impl Work {
    /// The newest checkpoint of an earlier attempt. `None`: there is none.
    pub(super) async fn fetch_checkpoint(&self, from: AttemptId) -> Result<Option<Fetched>, Trouble> {
        let directory = self.spool.path().join("fetched");
        tokio::fs::create_dir_all(&directory).await?;
        match patiently(|| self.fetch_into(&directory, from)).await {
            Err(Trouble::Answer(status)) if status.code() == Code::NotFound => Ok(None),
            fetched => fetched.map(Some),
        }
    }

    async fn fetch_into(&self, directory: &Path, from: AttemptId) -> Result<Fetched, Trouble> {
        let client = Client::connect(self.host.coordinator()).await?;
        let request = client.request(v1::FetchCheckpointRequest {
            worker_id: self.host.worker.to_string(),
            task_id: self.assignment.task.to_string(),
            attempt_id: self.assignment.attempt.to_string(),
            from_attempt_id: from.to_string(),
        });
        let mut parts = client.worker().fetch_checkpoint(request).await?.into_inner();
        let (work, transcript) = (directory.join("work.bundle"), directory.join("transcript"));
        let (mut work_file, mut transcript_file) =
            (File::create(&work).await?, File::create(&transcript).await?);
        let mut checkpoint = None;
        while let Some(response) = parts.message().await? {
            match response.part {
                Some(Part::Checkpoint(first)) => checkpoint = Some(first),
                Some(Part::Work(piece)) => work_file.write_all(&piece).await?,
                Some(Part::Transcript(piece)) => transcript_file.write_all(&piece).await?,
                None => {}
            }
        }
        work_file.flush().await?;
        transcript_file.flush().await?;
        let checkpoint =
            checkpoint.ok_or_else(|| Status::internal("the checkpoint came without its header"))?;
        let checkpoint = Checkpoint::try_from(checkpoint)
            .map_err(|error| Status::internal(format!("the checkpoint cannot be read: {error}")))?;
        Ok(Fetched {
            work: checkpoint.snapshot.is_some().then_some(work),
            transcript: checkpoint.has_transcript.then_some(transcript),
            checkpoint,
        })
    }
}

/// Fetches again while that can help and the coordinator may still come back.
pub(super) async fn patiently<T, F: Future<Output = Result<T, Trouble>>>(
    mut fetch: impl FnMut() -> F,
) -> Result<T, Trouble> {
    let mut pauses = pauses();
    let asking = async {
        loop {
            let trouble = match fetch().await {
                Err(trouble) if is_passing(&trouble) => trouble,
                fetched => return fetched,
            };
            tracing::warn!(error = %trouble.full(), "what another attempt left cannot be fetched; trying again");
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    };
    let in_vain = || Status::deadline_exceeded("the coordinator did not answer in time");
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(in_vain().into()))
}

/// Whether asking again can help.
fn is_passing(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Connect(_) => !trouble.is_refusal(),
        Trouble::Answer(status) => {
            matches!(
                status.code(),
                Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded
            )
        }
        Trouble::NotWelcomed | Trouble::Protocol { .. } | Trouble::Disk(_) => false,
    }
}

/// Copies a conversation to where its agent finds it.
pub(super) async fn put(transcript: &Path, place: &Path) -> io::Result<()> {
    if let Some(folder) = place.parent() {
        tokio::fs::create_dir_all(folder).await?;
    }
    tokio::fs::copy(transcript, place).await.map(drop)
}
