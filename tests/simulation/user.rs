//! The user: submits, cancels and drains as planned, and tries each until it is answered.

use std::time::Duration;

use factory_proto::client::{Client, ClientConfig};
use factory_proto::v1;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, sleep_until};
use tonic::{Code, Status};

use crate::plan::{Fault, Plan, PlannedTask, Wrong};
use crate::world::{client_config, worker_name};

/// Does everything there is to do, and comes back when all of it was answered.
pub async fn act(plan: Plan) -> turmoil::Result {
    let begun = Instant::now();
    let tasks = plan.tasks.iter().enumerate().map(|(number, task)| pursue(begun, number, task));
    let drains = plan.faults.iter().filter_map(|fault| match fault.what {
        Wrong::Drained { worker } => Some(drain(begun, worker, fault)),
        _ => None,
    });
    let (pursued, drained) = tokio::join!(join_all(tasks), join_all(drains));
    pursued.into_iter().chain(drained).collect::<Result<Vec<()>, _>>()?;
    Ok(())
}

async fn pursue(begun: Instant, number: usize, task: &PlannedTask) -> Result<(), String> {
    sleep_until(begun + task.at).await;
    let submit = || insist(async |client| submit(&client, number, task).await);
    let id = if task.twice {
        let (one, other) = tokio::join!(submit(), submit());
        let (one, other) = (one?, other?);
        if one != other {
            return Err(format!("task {number} was submitted under one key and became {one} and {other}"));
        }
        one
    } else {
        submit().await?
    };
    let Some(at) = task.cancelled_at else { return Ok(()) };
    sleep_until(begun + at).await;
    insist(async |client| {
        let request = client.request(v1::CancelRequest { task: id.clone(), with_children: false });
        match client.tasks().cancel(request).await {
            // It has ended.
            Err(status) if status.code() == Code::FailedPrecondition => Ok(()),
            answer => answer.map(drop),
        }
    })
    .await
}

async fn submit(client: &Client, number: usize, task: &PlannedTask) -> Result<String, Status> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let spec = v1::TaskSpec {
        title: format!("task {number}"),
        prompt: serde_json::to_string(&task.script).expect("a script is plain data"),
        agent: if task.converses { "scripted" } else { "command" }.to_owned(),
        argv: if task.converses { Vec::new() } else { vec!["simulated".to_owned()] },
        max_attempts: Some(task.max_attempts),
        timeout_ms: task.timeout.map(millis),
        ..v1::TaskSpec::default()
    };
    let task =
        v1::NewTask { spec: Some(spec), idempotency_key: format!("task-{number}"), ..v1::NewTask::default() };
    let reply = client.tasks().submit(client.request(v1::SubmitRequest { tasks: vec![task] })).await?;
    let submitted = reply.into_inner().tasks.pop();
    submitted.map(|task| task.id).ok_or_else(|| Status::internal("a submit was answered without a task"))
}

async fn drain(begun: Instant, worker: usize, fault: &Fault) -> Result<(), String> {
    let worker = worker_name(worker);
    sleep_until(begun + fault.at).await;
    insist(async |client| {
        let request = v1::DrainWorkerRequest { worker: worker.clone(), ..Default::default() };
        client.fleet().drain_worker(client.request(request)).await.map(drop)
    })
    .await?;
    sleep_until(begun + fault.at + fault.lasts).await;
    insist(async |client| {
        let request = v1::ResumeWorkerRequest { worker: worker.clone() };
        client.fleet().resume_worker(client.request(request)).await.map(drop)
    })
    .await
}

/// Calls until there is an answer that says something about the call, and not about the network.
async fn insist<T>(call: impl AsyncFn(Client) -> Result<T, Status>) -> Result<T, String> {
    const PAUSE: Duration = Duration::from_millis(300);
    loop {
        let config = ClientConfig { call_timeout: Duration::from_secs(4), ..client_config() };
        let Ok(client) = Client::connect(config).await else {
            sleep(PAUSE).await;
            continue;
        };
        match call(client).await {
            Ok(answer) => return Ok(answer),
            // A worker that never could register is not known yet.
            Err(status) if is_passing(status.code()) || status.code() == Code::NotFound => sleep(PAUSE).await,
            Err(status) => return Err(format!("the user was refused: {status}")),
        }
    }
}

fn is_passing(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Aborted
    )
}
