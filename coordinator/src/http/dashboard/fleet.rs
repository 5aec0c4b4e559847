//! `/`: the workers, and what they do.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{Redirect, Response};
use factory_domain::WorkerId;
use serde::Serialize;

use super::back::Back;
use super::page::Frame;
use crate::app::{App, WorkerView};
use crate::http::extract::Path;
use crate::http::problem::Problem;
use crate::http::view::{RunningAgent, Status, Worker};

/// Tasks shown below their workers; more than this are counted alone.
const MOST_RUNNING: u32 = 200;

#[derive(Serialize)]
struct Fleet {
    here: Vec<Shown>,
    /// Not connected, as they were last seen.
    away: Vec<Worker>,
    slots: u32,
    busy: u32,
    queued: u64,
    failed: u64,
    /// Of all attempts.
    cost_usd: f64,
    /// Of the coordinator's own disk.
    disk_warning: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    worker: Worker,
    runs: Vec<RunningAgent>,
    /// Attempts that are not among `runs`.
    more: usize,
}

pub async fn show(frame: Frame, State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut running: HashMap<WorkerId, Vec<RunningAgent>> = HashMap::new();
    for agent in app.running_agents(MOST_RUNNING, "").await?.agents {
        running.entry(agent.worker_id).or_default().push(agent.into());
    }
    let (here, away): (Vec<_>, Vec<_>) =
        app.workers().await?.into_iter().partition(|worker| worker.connected);
    let shown = |worker: WorkerView| {
        let runs = running.remove(&worker.row.entry.id).unwrap_or_default();
        let more = (worker.row.busy as usize).saturating_sub(runs.len());
        Shown { worker: worker.into(), runs, more }
    };
    let stats = app.stats(None).await?.tasks;
    let count = |status: Status| {
        let of_status = |(name, _): &&(String, u64)| status.states().any(|state| state.as_str() == name);
        stats.states.iter().filter(of_status).map(|(_, tasks)| tasks).sum()
    };
    let fleet = Fleet {
        queued: count(Status::Queued),
        failed: count(Status::Failed),
        cost_usd: stats.cost_micro_usd as f64 / 1e6,
        slots: here.iter().map(|worker| worker.row.entry.slots).sum(),
        busy: here.iter().map(|worker| worker.row.busy).sum(),
        here: here.into_iter().map(shown).collect(),
        away: away.into_iter().map(Worker::from).collect(),
        disk_warning: app.disk_warning(),
    };
    frame.page("fleet.html", "Fleet", fleet)
}

pub async fn drain(
    back: Back,
    State(app): State<Arc<App>>,
    Path(worker): Path<String>,
) -> Result<Redirect, Problem> {
    app.drain_worker(&worker, None).await?;
    Ok(back.or("/"))
}

pub async fn resume(
    back: Back,
    State(app): State<Arc<App>>,
    Path(worker): Path<String>,
) -> Result<Redirect, Problem> {
    app.resume_worker(&worker).await?;
    Ok(back.or("/"))
}
