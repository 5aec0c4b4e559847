use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::utc;
use crate::app::{DrainState, WorkerView};

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
    /// draining, drained; `null`: it takes what it is offered.
    drain: Option<&'static str>,
    draining_since: Option<String>,
    /// When what it still runs goes to other workers.
    hand_over_at: Option<String>,
}

/// An agent as a worker found it.
#[derive(Debug, Serialize, ToSchema)]
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
                DrainState::Draining => "draining",
                DrainState::Drained => "drained",
            }),
            draining_since: view.row.draining_since.map(utc),
            hand_over_at: view.row.hand_over_at.map(utc),
        }
    }
}
