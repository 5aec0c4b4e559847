//! Workers.

use std::collections::BTreeMap;

use factory_proto::v1;
use serde::Serialize;

use super::{pairs, some};
use crate::render::units::rfc3339;

#[derive(Debug, Serialize)]
pub struct WorkerView<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub version: &'a str,
    pub connected: bool,
    /// `draining` or `drained`; null: it takes what it is offered.
    pub drain: Option<&'static str>,
    /// When someone asked for the drain.
    pub draining_since: Option<String>,
    /// When what it still runs is handed over.
    pub hand_over_at: Option<String>,
    pub slots: u32,
    pub busy: u32,
    /// Offered: name and version.
    pub agents: BTreeMap<&'a str, &'a str>,
    /// Known and not offered: name and reason.
    pub unusable_agents: BTreeMap<&'a str, &'a str>,
    /// What could go wrong with those offered: name and warning.
    pub agent_warnings: BTreeMap<&'a str, &'a str>,
    pub labels: BTreeMap<&'a str, &'a str>,
    pub free_disk_bytes: u64,
    pub registered_at: Option<String>,
    pub last_seen_at: Option<String>,
    pub last_decline: Option<&'a str>,
    /// How busy its host is; null: it is away, or does not tell.
    pub load: Option<LoadView>,
}

#[derive(Debug, Serialize)]
pub struct LoadView {
    /// Runnable processes, averaged over one minute.
    pub average_1m: f64,
    pub cpus: u32,
    pub memory_total_bytes: u64,
    pub memory_available_bytes: u64,
    pub disk_total_bytes: u64,
}

impl From<&v1::HostLoad> for LoadView {
    fn from(load: &v1::HostLoad) -> Self {
        Self {
            average_1m: f64::from(load.load_1m_hundredths) / 100.0,
            cpus: load.cpus,
            memory_total_bytes: load.memory_total_bytes,
            memory_available_bytes: load.memory_available_bytes,
            disk_total_bytes: load.disk_total_bytes,
        }
    }
}

impl<'a> From<&'a v1::Worker> for WorkerView<'a> {
    fn from(worker: &'a v1::Worker) -> Self {
        Self {
            id: &worker.id,
            name: &worker.name,
            version: &worker.version,
            connected: worker.connected,
            drain: drain(worker.drain()),
            draining_since: rfc3339(worker.draining_since_ms),
            hand_over_at: rfc3339(worker.hand_over_at_ms),
            slots: worker.slots,
            busy: worker.busy,
            agents: said(worker, |agent| agent.unusable_because.is_empty().then_some(agent.version.as_str())),
            unusable_agents: said(worker, |agent| some(&agent.unusable_because)),
            agent_warnings: said(worker, |agent| some(&agent.warning)),
            labels: pairs(&worker.labels),
            free_disk_bytes: worker.free_disk_bytes,
            registered_at: rfc3339(worker.registered_at_ms),
            last_seen_at: rfc3339(worker.last_seen_at_ms),
            last_decline: some(&worker.last_decline),
            load: worker.load.as_ref().map(LoadView::from),
        }
    }
}

/// A worker with what it holds now.
#[derive(Debug, Serialize)]
pub struct WorkerInFull<'a> {
    #[serde(flatten)]
    worker: WorkerView<'a>,
    attempts: Vec<WorkerAttemptView<'a>>,
}

impl<'a> WorkerInFull<'a> {
    pub fn new(worker: &'a v1::Worker, attempts: &'a [v1::WorkerAttempt]) -> Self {
        Self { worker: worker.into(), attempts: attempts.iter().map(Into::into).collect() }
    }
}

#[derive(Debug, Serialize)]
struct WorkerAttemptView<'a> {
    id: &'a str,
    number: u32,
    state: &'a str,
    task_id: &'a str,
    task_number: u64,
    title: &'a str,
    offered_at: Option<String>,
    started_at: Option<String>,
}

impl<'a> From<&'a v1::WorkerAttempt> for WorkerAttemptView<'a> {
    fn from(attempt: &'a v1::WorkerAttempt) -> Self {
        Self {
            id: &attempt.id,
            number: attempt.number,
            state: &attempt.state,
            task_id: &attempt.task_id,
            task_number: attempt.task_number,
            title: &attempt.title,
            offered_at: rfc3339(attempt.offered_at_ms),
            started_at: rfc3339(attempt.started_at_ms),
        }
    }
}

fn drain(state: v1::DrainState) -> Option<&'static str> {
    match state {
        v1::DrainState::Unspecified => None,
        v1::DrainState::Draining => Some("draining"),
        v1::DrainState::Drained => Some("drained"),
    }
}

fn said<'a>(
    worker: &'a v1::Worker,
    what: impl Fn(&'a v1::AgentReadiness) -> Option<&'a str>,
) -> BTreeMap<&'a str, &'a str> {
    worker.agents.iter().filter_map(|agent| Some((agent.name.as_str(), what(agent)?))).collect()
}
