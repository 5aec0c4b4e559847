use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::utc;
use crate::app::{self, DrainState, HostLoad, WorkerView};
use crate::store::HeldEntry;

/// A worker, as people see it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Worker {
    id: String,
    name: String,
    version: String,
    labels: BTreeMap<String, String>,
    agents: Vec<Agent>,
    slots: u32,
    /// Live attempts it holds.
    busy: u32,
    /// Bytes.
    free_disk: u64,
    connected: bool,
    registered_at: String,
    last_seen_at: String,
    /// The last reason it gave for declining an offer.
    last_decline: Option<String>,
    /// `null`: it takes what it is offered.
    drain: Option<Drain>,
    draining_since: Option<String>,
    /// When what it still runs goes to other workers.
    hand_over_at: Option<String>,
    /// Of its host, by its newest heartbeat; `null`: it is away, or its host does not tell.
    load: Option<Load>,
}

/// How busy a host is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Load {
    /// Runnable processes, averaged over one minute, as the system counts them.
    average_1m: f64,
    /// Processors.
    cpus: u32,
    /// Bytes, all of them.
    memory_total: u64,
    memory_available: u64,
    /// Of the disk that workspaces are on.
    disk_total: u64,
}

/// How far a worker is that takes nothing new: attempts it holds go on, or it holds none any more.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Drain {
    Draining,
    Drained,
}

/// A worker with what it holds now.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkerDetail {
    #[serde(flatten)]
    worker: Worker,
    /// Oldest first.
    held: Vec<HeldAttempt>,
}

/// A live attempt, by the worker that holds it.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldAttempt {
    attempt_id: String,
    attempt: u32,
    /// offered, accepted, running or unreachable.
    state: String,
    task_id: String,
    task_number: u64,
    title: String,
    offered_at: String,
    /// When its agent started.
    started_at: Option<String>,
}

/// An agent as a worker found it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OfferedAgent)]
pub struct Agent {
    name: String,
    version: String,
    /// For people: what could go wrong with it.
    warning: Option<String>,
    /// For people: why the worker does not offer it.
    unusable_because: Option<String>,
}

impl From<WorkerView> for Worker {
    fn from(view: WorkerView) -> Self {
        let entry = view.row.entry;
        let agent = |agent: crate::store::AgentFound| Agent {
            name: agent.kind.to_string(),
            version: agent.version,
            warning: agent.warning,
            unusable_because: agent.unusable,
        };
        Self {
            id: entry.id.to_string(),
            name: entry.name,
            version: entry.version,
            labels: entry.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            agents: entry.agents.into_iter().map(agent).collect(),
            slots: entry.slots,
            busy: view.row.busy,
            free_disk: entry.free_disk,
            connected: view.connected,
            registered_at: utc(view.row.registered_at),
            last_seen_at: utc(view.row.last_seen_at),
            last_decline: view.row.last_decline,
            drain: view.drain.map(|drain| match drain {
                DrainState::Draining => Drain::Draining,
                DrainState::Drained => Drain::Drained,
            }),
            draining_since: view.row.draining_since.map(utc),
            hand_over_at: view.row.hand_over_at.map(utc),
            load: view.load.map(Load::from),
        }
    }
}

impl From<HostLoad> for Load {
    fn from(load: HostLoad) -> Self {
        Self {
            average_1m: f64::from(load.average_hundredths) / 100.0,
            cpus: load.cpus,
            memory_total: load.memory_total,
            memory_available: load.memory_available,
            disk_total: load.disk_total,
        }
    }
}

impl From<app::WorkerDetail> for WorkerDetail {
    fn from(detail: app::WorkerDetail) -> Self {
        let held = detail.held.into_iter().map(HeldAttempt::from).collect();
        Self { worker: detail.worker.into(), held }
    }
}

impl From<HeldEntry> for HeldAttempt {
    fn from(held: HeldEntry) -> Self {
        Self {
            attempt_id: held.attempt.to_string(),
            attempt: held.number,
            state: held.state.to_string(),
            task_id: held.task.to_string(),
            task_number: held.task_number,
            title: held.title,
            offered_at: utc(held.offered_at),
            started_at: held.started_at.map(utc),
        }
    }
}
