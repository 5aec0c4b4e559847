//! Telling the coordinator what came of its jobs, through lost connections.

use std::time::Duration;

use factory_domain::WorkerId;
use factory_proto::v1;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::act::Outcome;
use crate::uplink::{Trouble, Uplink};

/// Past the time somebody waits for it, an answer may still be of use to the next who asks.
const GRACE: Duration = Duration::from_secs(30);

/// What came of a job.
#[derive(Debug)]
pub struct Answer {
    job: String,
    outcome: Outcome,
    until: Instant,
}

impl Answer {
    pub fn new(job: String, outcome: Outcome, until: Instant) -> Self {
        Self { job, outcome, until: until + GRACE }
    }

    pub fn job(&self) -> &str {
        &self.job
    }
}

/// Tells each answer until it is taken, refused or of no use any more.
pub async fn tell(
    worker: WorkerId,
    mut answers: mpsc::UnboundedReceiver<Answer>,
    mut uplink: Uplink,
    token: CancellationToken,
) {
    let telling = async {
        while let Some(answer) = answers.recv().await {
            tell_one(worker, answer, &mut uplink).await;
        }
    };
    token.run_until_cancelled(telling).await;
}

async fn tell_one(worker: WorkerId, answer: Answer, uplink: &mut Uplink) {
    let Answer { job, outcome, until } = answer;
    let request =
        v1::RepoJobDoneRequest { worker_id: worker.to_string(), job_id: job.clone(), outcome: Some(outcome) };
    while let Err(trouble) = send(&request, uplink).await {
        if is_final(&trouble) || Instant::now() >= until {
            tracing::warn!(job, error = %trouble.full(), "what came of a job cannot be told");
            return;
        }
        tracing::info!(job, error = %trouble.full(), "what came of a job could not be told; trying again");
        uplink.pause().await;
    }
    uplink.worked();
}

async fn send(request: &v1::RepoJobDoneRequest, uplink: &mut Uplink) -> Result<(), Trouble> {
    let client = uplink.client().await?;
    client.worker().repo_job_done(client.request(request.clone())).await?;
    Ok(())
}

/// The coordinator was reached, and said no.
fn is_final(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Answer(status) => {
            matches!(status.code(), Code::InvalidArgument | Code::NotFound | Code::Unimplemented)
        }
        _ => false,
    }
}
