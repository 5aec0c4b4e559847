//! Checkpoints, as the wire has them.

use factory_proto::{convert, v1};
use futures_util::stream::{self, Stream, StreamExt};
use v1::fetch_checkpoint_response::Part;

use crate::app::{App, ArtifactContent, Error, OpenCheckpoint};
use crate::store::TakenCheckpoint;

pub fn read_taken(request: v1::CheckpointRequest) -> Result<TakenCheckpoint, Error> {
    let checkpoint = request.checkpoint.ok_or_else(|| Error::invalid("checkpoint", "is missing"))?;
    Ok(TakenCheckpoint {
        worker: convert::worker_id(&request.worker_id)?,
        task: convert::task_id(&request.task_id)?,
        attempt: convert::attempt_id(&request.attempt_id)?,
        checkpoint: checkpoint.try_into()?,
    })
}

/// Opens what is asked for, and answers with it piece by piece.
pub async fn open(
    app: &App,
    request: v1::FetchCheckpointRequest,
) -> Result<impl Stream<Item = Result<v1::FetchCheckpointResponse, Error>> + use<>, Error> {
    let worker = convert::worker_id(&request.worker_id)?;
    let task = convert::task_id(&request.task_id)?;
    let attempt = convert::attempt_id(&request.attempt_id)?;
    let from = convert::attempt_id(&request.from_attempt_id)?;
    let OpenCheckpoint { checkpoint, work, transcript } =
        app.open_checkpoint(worker, task, attempt, from).await?;
    let header = stream::iter([Ok(Part::Checkpoint(checkpoint.into()))]);
    let parts = header.chain(pieces(work, Part::Work)).chain(pieces(transcript, Part::Transcript));
    Ok(parts.map(|part| part.map(|part| v1::FetchCheckpointResponse { part: Some(part) })))
}

fn pieces(
    content: Option<ArtifactContent>,
    part: fn(Vec<u8>) -> Part,
) -> impl Stream<Item = Result<Part, Error>> {
    stream::try_unfold(content, move |content| async move {
        let Some(mut content) = content else { return Ok(None) };
        let piece = content.next().await?;
        Ok(piece.map(|piece| (part(piece), Some(content))))
    })
}
