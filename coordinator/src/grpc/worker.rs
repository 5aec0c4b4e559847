//! `WorkerService`, but for what is said on a session.

use std::sync::Arc;

use factory_proto::convert;
use factory_proto::v1;
use factory_proto::v1::worker_service_server::WorkerService;
use futures_util::stream::{BoxStream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{artifacts, checkpoints, repo_jobs, session, stream_to_client};
use crate::app::{App, Beat, Error, HostLoad, LogBatch, ReportVerdict};
use crate::store::{Held, Holding, ReportedAttempt};

/// Messages to one worker that wait to be read: all the offers it may have open, and as many others.
const OUTBOX: usize = 1024;

pub struct Workers(pub Arc<App>);

#[tonic::async_trait]
impl WorkerService for Workers {
    type SessionStream = BoxStream<'static, Result<v1::SessionResponse, Status>>;

    /// Answers at once: the caller waits for the response's head before it sends its hello.
    async fn session(
        &self,
        request: Request<Streaming<v1::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        self.0.tasks.spawn(session::serve(Arc::clone(&self.0), request.into_inner(), outbox));
        let messages = ReceiverStream::new(messages)
            .map(|message| message.map(session::to_wire).map_err(Status::from))
            .boxed();
        Ok(Response::new(messages))
    }

    async fn heartbeat(
        &self,
        request: Request<v1::HeartbeatRequest>,
    ) -> Result<Response<v1::HeartbeatResponse>, Status> {
        let request = request.into_inner();
        let beat = Beat {
            worker: convert::worker_id(&request.worker_id).map_err(Error::from)?,
            session: convert::session_id(&request.session_id).map_err(Error::from)?,
            held: request.held.iter().map(read_held).collect::<Result<_, _>>()?,
            free_disk: request.free_disk_bytes,
            load: request.load.map(read_load),
        };
        let verdicts = self.0.heartbeat(beat).await?.into_iter().map(verdict).collect();
        Ok(Response::new(v1::HeartbeatResponse { verdicts }))
    }

    async fn push_logs(
        &self,
        request: Request<v1::PushLogsRequest>,
    ) -> Result<Response<v1::PushLogsResponse>, Status> {
        let request = request.into_inner();
        let worker = convert::worker_id(&request.worker_id).map_err(Error::from)?;
        let batches = request.batches.into_iter().map(read_batch).collect::<Result<_, _>>()?;
        let acks = self.0.push_logs(worker, batches).await?;
        let acks = acks
            .into_iter()
            .map(|ack| v1::LogAck {
                attempt_id: ack.attempt.to_string(),
                next_offset: ack.next_offset,
                closed: ack.closed,
            })
            .collect();
        Ok(Response::new(v1::PushLogsResponse { acks }))
    }

    async fn upload_artifact(
        &self,
        request: Request<Streaming<v1::UploadArtifactRequest>>,
    ) -> Result<Response<v1::UploadArtifactResponse>, Status> {
        artifacts::receive(&self.0, request.into_inner()).await?;
        Ok(Response::new(v1::UploadArtifactResponse {}))
    }

    async fn checkpoint(
        &self,
        request: Request<v1::CheckpointRequest>,
    ) -> Result<Response<v1::CheckpointResponse>, Status> {
        self.0.keep_checkpoint(checkpoints::read_taken(request.into_inner())?).await?;
        Ok(Response::new(v1::CheckpointResponse {}))
    }

    type FetchCheckpointStream = BoxStream<'static, Result<v1::FetchCheckpointResponse, Status>>;

    async fn fetch_checkpoint(
        &self,
        request: Request<v1::FetchCheckpointRequest>,
    ) -> Result<Response<Self::FetchCheckpointStream>, Status> {
        let parts = checkpoints::open(&self.0, request.into_inner()).await?;
        Ok(Response::new(stream_to_client(&self.0, parts)))
    }

    async fn inventory(
        &self,
        request: Request<v1::InventoryRequest>,
    ) -> Result<Response<v1::InventoryResponse>, Status> {
        repo_jobs::keep_inventory(&self.0, request.into_inner()).await?;
        Ok(Response::new(v1::InventoryResponse {}))
    }

    async fn repo_job_done(
        &self,
        request: Request<v1::RepoJobDoneRequest>,
    ) -> Result<Response<v1::RepoJobDoneResponse>, Status> {
        repo_jobs::done(&self.0, request.into_inner())?;
        Ok(Response::new(v1::RepoJobDoneResponse {}))
    }

    async fn report(
        &self,
        request: Request<v1::ReportRequest>,
    ) -> Result<Response<v1::ReportResponse>, Status> {
        let answer = self.0.report(read_report(request.into_inner())?).await?;
        let verdict = match answer.verdict {
            ReportVerdict::Accepted => v1::ReportVerdict::Accepted,
            ReportVerdict::Duplicate => v1::ReportVerdict::Duplicate,
            ReportVerdict::Superseded => v1::ReportVerdict::Superseded,
        };
        Ok(Response::new(v1::ReportResponse { verdict: verdict.into(), task_ended: answer.task_ended }))
    }
}

pub fn read_held(held: &v1::HeldAttempt) -> Result<Held, Error> {
    let started = matches!(held.phase(), v1::AttemptPhase::Running | v1::AttemptPhase::Finishing);
    Ok(Held {
        task: convert::task_id(&held.task_id)?,
        attempt: convert::attempt_id(&held.attempt_id)?,
        started,
    })
}

fn read_load(load: v1::HostLoad) -> HostLoad {
    HostLoad {
        average_hundredths: load.load_1m_hundredths,
        cpus: load.cpus,
        memory_total: load.memory_total_bytes,
        memory_available: load.memory_available_bytes,
        disk_total: load.disk_total_bytes,
    }
}

pub fn verdict((attempt, holding): (factory_domain::AttemptId, Holding)) -> v1::HeldVerdict {
    let verdict = match holding {
        Holding::CarryOn => v1::Verdict::CarryOn,
        Holding::Cancel => v1::Verdict::Cancel,
        Holding::Superseded => v1::Verdict::Superseded,
    };
    v1::HeldVerdict { attempt_id: attempt.to_string(), verdict: verdict.into() }
}

fn read_batch(batch: v1::LogBatch) -> Result<LogBatch, Error> {
    Ok(LogBatch {
        task: convert::task_id(&batch.task_id)?,
        attempt: convert::attempt_id(&batch.attempt_id)?,
        records: batch.records,
    })
}

fn read_report(request: v1::ReportRequest) -> Result<ReportedAttempt, Error> {
    let digest = request.digest.as_slice().try_into();
    Ok(ReportedAttempt {
        worker: convert::worker_id(&request.worker_id)?,
        task: convert::task_id(&request.task_id)?,
        attempt: convert::attempt_id(&request.attempt_id)?,
        digest: digest.map_err(|_| Error::invalid("digest", "must be 32 bytes"))?,
        report: request.report.ok_or_else(|| Error::invalid("report", "is missing"))?.try_into()?,
    })
}
