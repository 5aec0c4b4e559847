//! The agents found on this host when the worker started, and why the others are not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use factory_domain::AgentKind;
use factory_proto::v1;

use crate::agents::{self, Agent, AgentVersion, AgentsConfig, Unavailable};

type Found = Result<AgentVersion, Unavailable>;

pub struct Crew {
    agents: BTreeMap<AgentKind, (Arc<dyn Agent>, Found)>,
}

impl Crew {
    /// Asks every adapter whether its agent is here and usable.
    pub async fn muster(config: &AgentsConfig) -> Self {
        let probes = agents::all(config).into_iter().map(|agent| async move {
            let found = agent.probe().await;
            (agent.kind(), (agent, found))
        });
        let agents: BTreeMap<_, _> = futures_util::future::join_all(probes).await.into_iter().collect();
        for (kind, (_, found)) in &agents {
            match found {
                Ok(AgentVersion { version, warning: None }) => {
                    tracing::info!(agent = %kind, version, "agent found")
                }
                Ok(AgentVersion { version, warning: Some(warning) }) => {
                    tracing::warn!(agent = %kind, version, warning, "agent found");
                }
                Err(why) => tracing::warn!(agent = %kind, %why, "agent not offered"),
            }
        }
        Self { agents }
    }

    pub fn offers(&self) -> Vec<v1::AgentOffer> {
        let found = self.agents.iter().filter_map(|(kind, (_, found))| Some((kind, found.as_ref().ok()?)));
        found
            .map(|(kind, found)| v1::AgentOffer { name: kind.to_string(), version: found.version.clone() })
            .collect()
    }

    /// The agent of a kind, where it is offered; else why it is not.
    pub fn find(&self, kind: AgentKind) -> Result<&Arc<dyn Agent>, String> {
        match self.agents.get(&kind) {
            Some((agent, Ok(_))) => Ok(agent),
            Some((_, Err(why))) => Err(format!("the agent {kind} cannot be used here: {why}")),
            None => Err(format!("this worker does not know the agent {kind}")),
        }
    }

    /// The adapter of a kind, whether or not its agent was found: for an attempt that was started before.
    pub fn adapter(&self, kind: AgentKind) -> Option<&Arc<dyn Agent>> {
        self.agents.get(&kind).map(|(agent, _)| agent)
    }
}
