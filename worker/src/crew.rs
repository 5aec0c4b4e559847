//! The agents of this host: which can be used now, and why the others cannot.
//!
//! Looked at when the worker starts, again after a refused login, and those that are not usable
//! once a minute: someone may install one, or log in, at any time. One whose account reached a usage
//! limit is held back until the reset, since all of this host's tasks use the same account.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factory_domain::{AgentKind, LONGEST_USAGE_LIMIT, Timestamp};
use factory_proto::v1;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::agents::{self, Agent, AgentVersion, AgentsConfig, Unavailable};
use crate::attempt::now;

const LOOK_AGAIN: Duration = Duration::from_secs(60);

type Found = Result<AgentVersion, Unavailable>;

pub struct Crew {
    members: BTreeMap<AgentKind, Member>,
    /// Changes when what is offered does.
    changes: watch::Sender<()>,
}

struct Member {
    agent: Arc<dyn Agent>,
    condition: Mutex<Condition>,
}

/// How it stands with an agent.
struct Condition {
    found: Found,
    /// Its account gives nothing more until then.
    limited_until: Option<Timestamp>,
}

impl Member {
    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    /// The agent, where it may be offered; else why not.
    fn offered(&self) -> Result<&AgentVersion, String> {
        let version = self.found.as_ref().map_err(Unavailable::to_string)?;
        match self.limited_until {
            Some(until) => Err(format!("usage limit until {}", clock(until))),
            None => Ok(version),
        }
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
            let condition = Mutex::new(Condition { found, limited_until: None });
            (agent.kind(), Member { agent, condition })
        });
        let members = futures_util::future::join_all(probes).await.into_iter().collect();
        Self { members, changes: watch::Sender::new(()) }
    }

    /// Looks again for agents that could not be used, and offers those again whose limit
    /// is reset, until the token is cancelled.
    pub async fn run(&self, token: CancellationToken) {
        let mut changes = self.changes();
        loop {
            // A new limit may be over sooner than what was waited for.
            tokio::select! {
                () = token.cancelled() => return,
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep(self.pause(now())) => {}
            }
            self.release(now());
            for (kind, member) in &self.members {
                let missing = member.condition().found.is_err();
                if missing {
                    self.look_again(*kind).await;
                }
            }
        }
    }

    /// Asks one adapter again.
    pub async fn look_again(&self, kind: AgentKind) {
        let Some(member) = self.members.get(&kind) else { return };
        let found = member.agent.probe().await;
        let before = std::mem::replace(&mut member.condition().found, found.clone());
        if before != found {
            tell(kind, &found);
            self.changes.send_replace(());
        }
    }

    /// Does not offer an agent until its account's limit is reset.
    pub fn hold_back(&self, kind: AgentKind, until: Timestamp, now: Timestamp) {
        let Some(member) = self.members.get(&kind) else { return };
        let until = until.min(now.after(LONGEST_USAGE_LIMIT));
        let mut condition = member.condition();
        if until <= now || condition.limited_until.is_some_and(|known| known >= until) {
            return;
        }
        condition.limited_until = Some(until);
        drop(condition);
        tracing::warn!(agent = %kind, until = clock(until), "agent not offered: usage limit");
        self.changes.send_replace(());
    }

    /// Offers those agents again whose limit is reset.
    fn release(&self, now: Timestamp) {
        for (kind, member) in &self.members {
            let limit = member.condition().limited_until.take_if(|until| *until <= now);
            if limit.is_some() {
                tracing::info!(agent = %kind, "usage limit reset; agent offered again");
                self.changes.send_replace(());
            }
        }
    }

    /// How long nothing is to be done.
    fn pause(&self, now: Timestamp) -> Duration {
        let limits = self.members.values().filter_map(|member| member.condition().limited_until);
        limits.map(|until| until.since(now)).min().unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Every agent known here: what is offered, and why the others are not.
    pub fn readiness(&self) -> Vec<v1::AgentReadiness> {
        self.members.iter().map(|(kind, member)| on_the_wire(*kind, &member.condition())).collect()
    }

    /// Whether an attempt for an agent of this kind may be taken on; else why not.
    pub fn offers(&self, kind: AgentKind) -> Result<(), String> {
        match self.member(kind)?.condition().offered() {
            Ok(_) => Ok(()),
            Err(why) => Err(cannot_be_used(kind, why)),
        }
    }

    /// The agent of a kind, where it can be started; else why not. A usage limit does not keep
    /// back what was taken on before: such an attempt finds out by itself, and is parked.
    pub fn find(&self, kind: AgentKind) -> Result<&Arc<dyn Agent>, String> {
        let member = self.member(kind)?;
        match &member.condition().found {
            Ok(_) => Ok(&member.agent),
            Err(why) => Err(cannot_be_used(kind, why)),
        }
    }

    fn member(&self, kind: AgentKind) -> Result<&Member, String> {
        self.members.get(&kind).ok_or_else(|| format!("this worker does not know the agent {kind}"))
    }

    /// The adapter of a kind, whether or not its agent is usable: for an attempt that was started before.
    pub fn adapter(&self, kind: AgentKind) -> Option<&Arc<dyn Agent>> {
        self.members.get(&kind).map(|member| &member.agent)
    }
}

fn cannot_be_used(kind: AgentKind, why: impl Display) -> String {
    format!("the agent {kind} cannot be used here: {why}")
}

/// Hour and minute, and the day where it is not one and the same: for people anywhere, so in UTC.
fn clock(at: Timestamp) -> String {
    let shown = jiff::Timestamp::from_millisecond(at.as_millis());
    shown.map_or_else(|_| at.to_string(), |at| at.strftime("%H:%M UTC on %a").to_string())
}

fn on_the_wire(kind: AgentKind, condition: &Condition) -> v1::AgentReadiness {
    let name = kind.to_string();
    match condition.offered() {
        Ok(AgentVersion { version, warning }) => v1::AgentReadiness {
            name,
            version: version.clone(),
            warning: warning.clone().unwrap_or_default(),
            ..Default::default()
        },
        Err(why) => v1::AgentReadiness { name, unusable_because: why, ..Default::default() },
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

    #[tokio::test]
    async fn a_limited_agent_is_offered_again_when_its_limit_is_reset_and_not_before() {
        let agent = Arc::new(Moody::default());
        agent.0.store(true, Ordering::SeqCst);
        let crew = Crew::of(vec![agent]).await;
        let mut changes = crew.changes();
        let at = |seconds| Timestamp::from_millis(1_900_000_000_000).after(Duration::from_secs(seconds));

        crew.hold_back(AgentKind::Claude, at(90), at(0));
        assert!(changes.has_changed().expect("the crew lives"));
        let why = "usage limit until 17:48 UTC on Sun";
        assert_eq!(crew.readiness()[0].unusable_because, why);
        assert!(crew.offers(AgentKind::Claude).is_err_and(|error| error.ends_with(why)));
        assert!(crew.find(AgentKind::Claude).is_ok(), "what was taken on before may start");

        changes.mark_unchanged();
        crew.hold_back(AgentKind::Claude, at(40), at(10));
        crew.release(at(89));
        assert_eq!(crew.pause(at(89)), Duration::from_secs(1), "the later reset counts");
        assert!(!changes.has_changed().expect("the crew lives"));
        crew.release(at(90));
        assert!(changes.has_changed().expect("the crew lives"));
        assert_eq!(crew.readiness()[0].unusable_because, "");
        assert!(crew.offers(AgentKind::Claude).is_ok());
    }

    #[tokio::test]
    async fn no_limit_is_believed_for_ever_or_after_the_fact() {
        let agent = Arc::new(Moody::default());
        agent.0.store(true, Ordering::SeqCst);
        let crew = Crew::of(vec![agent]).await;
        let now = Timestamp::from_millis(1_900_000_000_000);
        crew.hold_back(AgentKind::Claude, now, now);
        assert!(crew.offers(AgentKind::Claude).is_ok());
        crew.hold_back(AgentKind::Claude, Timestamp::from_millis(i64::MAX), now);
        assert!(crew.offers(AgentKind::Claude).is_err());
        crew.release(now.after(LONGEST_USAGE_LIMIT));
        assert!(crew.offers(AgentKind::Claude).is_ok());
    }
}
