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
}

impl<'a> From<&'a v1::Worker> for WorkerView<'a> {
    fn from(worker: &'a v1::Worker) -> Self {
        Self {
            id: &worker.id,
            name: &worker.name,
            version: &worker.version,
            connected: worker.connected,
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
        }
    }
}

fn said<'a>(
    worker: &'a v1::Worker,
    what: impl Fn(&'a v1::AgentReadiness) -> Option<&'a str>,
) -> BTreeMap<&'a str, &'a str> {
    worker.agents.iter().filter_map(|agent| Some((agent.name.as_str(), what(agent)?))).collect()
}
