//! The agents of this host: which can be used now, and why the others cannot.
//!
//! Looked at when the worker starts, again after a refused login, and those that are not usable
//! once a minute: someone may install one, or log in, at any time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factory_domain::AgentKind;
use factory_proto::v1;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::agents::{self, Agent, AgentVersion, AgentsConfig, Unavailable};

const LOOK_AGAIN: Duration = Duration::from_secs(60);

type Found = Result<AgentVersion, Unavailable>;

pub struct Crew {
    members: BTreeMap<AgentKind, Member>,
    /// Changes when what is offered does.
    changes: watch::Sender<()>,
}

struct Member {
    agent: Arc<dyn Agent>,
    found: Mutex<Found>,
}

impl Member {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crew {
    /// Asks every adapter whether its agent is here and usable.
    pub async fn muster(config: &AgentsConfig) -> Self {
        Self::of(agents::all(config)).await
    }

    async fn of(agents: Vec<Arc<dyn Agent>>) -> Self {
        let probes = agents.into_iter().map(|agent| async move {
            let found = agent.probe().await;
            tell(agent.kind(), &found);
            (agent.kind(), Member { agent, found: Mutex::new(found) })
        });
        let members = futures_util::future::join_all(probes).await.into_iter().collect();
        Self { members, changes: watch::Sender::new(()) }
    }

    /// Looks again for agents that could not be used, until the token is cancelled.
    pub async fn run(&self, token: CancellationToken) {
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            for (kind, member) in &self.members {
                if member.found().is_err() {
                    self.look_again(*kind).await;
                }
            }
        }
    }

    /// Asks one adapter again.
    pub async fn look_again(&self, kind: AgentKind) {
        let Some(member) = self.members.get(&kind) else { return };
        let found = member.agent.probe().await;
        let before = std::mem::replace(&mut *member.found(), found.clone());
        if before != found {
            tell(kind, &found);
            self.changes.send_replace(());
        }
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Every agent known here: what is offered, and why the others are not.
    pub fn readiness(&self) -> Vec<v1::AgentReadiness> {
        self.members.iter().map(|(kind, member)| on_the_wire(*kind, &member.found())).collect()
    }

    /// The agent of a kind, where it is offered; else why it is not.
    pub fn find(&self, kind: AgentKind) -> Result<&Arc<dyn Agent>, String> {
        let member = self.members.get(&kind);
        let member = member.ok_or_else(|| format!("this worker does not know the agent {kind}"))?;
        match &*member.found() {
            Ok(_) => Ok(&member.agent),
            Err(why) => Err(format!("the agent {kind} cannot be used here: {why}")),
        }
    }

    /// The adapter of a kind, whether or not its agent is usable: for an attempt that was started before.
    pub fn adapter(&self, kind: AgentKind) -> Option<&Arc<dyn Agent>> {
        self.members.get(&kind).map(|member| &member.agent)
    }
}

fn on_the_wire(kind: AgentKind, found: &Found) -> v1::AgentReadiness {
    let name = kind.to_string();
    match found {
        Ok(AgentVersion { version, warning }) => v1::AgentReadiness {
            name,
            version: version.clone(),
            warning: warning.clone().unwrap_or_default(),
            ..Default::default()
        },
        Err(why) => v1::AgentReadiness { name, unusable_because: why.to_string(), ..Default::default() },
    }
}

fn tell(kind: AgentKind, found: &Found) {
    match found {
        Ok(AgentVersion { version, warning: None }) => tracing::info!(agent = %kind, version, "agent found"),
        Ok(AgentVersion { version, warning: Some(warning) }) => {
            tracing::warn!(agent = %kind, version, warning, "agent found");
        }
        Err(why) => tracing::warn!(agent = %kind, %why, "agent not offered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::{Job, Launch, LaunchError, Transcript};
    use async_trait::async_trait;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// An agent that is logged in, or is not.
    #[derive(Default)]
    struct Moody(AtomicBool);

    #[async_trait]
    impl Agent for Moody {
        fn kind(&self) -> AgentKind {
            AgentKind::Claude
        }

        async fn probe(&self) -> Result<AgentVersion, Unavailable> {
            match self.0.load(Ordering::SeqCst) {
                true => Ok(AgentVersion { version: "1".into(), warning: None }),
                false => Err(Unavailable("it is not logged in".into())),
            }
        }

        fn launch(&self, _: &Job) -> Result<Launch, LaunchError> {
            Err(LaunchError::NoProgram)
        }

        fn transcript(&self, _: &Job) -> Box<dyn Transcript> {
            unreachable!("it is never started")
        }
    }

    #[tokio::test]
    async fn an_agent_is_offered_once_it_can_be_used_and_not_before() {
        let agent = Arc::new(Moody::default());
        let crew = Crew::of(vec![agent.clone()]).await;
        let mut changes = crew.changes();
        assert_eq!(crew.readiness()[0].unusable_because, "it is not logged in");
        let why = crew.find(AgentKind::Claude).err().expect("not usable");
        assert!(why.contains("not logged in"), "{why}");

        agent.0.store(true, Ordering::SeqCst);
        crew.look_again(AgentKind::Claude).await;
        assert!(changes.has_changed().expect("the crew lives"));
        assert_eq!(crew.readiness()[0].unusable_because, "");

        changes.mark_unchanged();
        crew.look_again(AgentKind::Claude).await;
        assert!(!changes.has_changed().expect("the crew lives"), "nothing new is no news");
    }
}
