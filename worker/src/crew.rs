//! The agents of this host: which can be used now, and why the others cannot.
//!
//! Looked at when the worker starts, again after a refused login, and those that are not usable
//! once a minute: someone may install one, or log in, at any time. All of this host's tasks use the same
//! account: so an agent whose account reached a usage limit is held back until the reset, and one whose
//! login the API refused until that may have changed. A restart forgets both, since it may bring another key.

mod circuit;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use factory_domain::{AgentKind, AttemptId, LONGEST_USAGE_LIMIT, Timestamp};
use factory_proto::v1;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};
use tokio_util::sync::CancellationToken;

use self::circuit::Circuit;
use crate::agents::{self, Agent, AgentVersion, AgentsConfig, Unavailable};
use crate::attempt::now;

const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// How often a refused login is looked at: a file is read, and someone waits who just logged in.
const LOOK_AT_LOGIN: Duration = Duration::from_secs(5);

type Found = Result<AgentVersion, Unavailable>;

pub struct Crew {
    members: BTreeMap<AgentKind, Member>,
    /// Why none of them can be used, whichever it is.
    obstacle: Mutex<Option<String>>,
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
    login: Circuit,
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
        if let Some(why) = self.login.obstacle() {
            return Err(why);
        }
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
            let condition = Mutex::new(Condition { found, limited_until: None, login: Circuit::default() });
            (agent.kind(), Member { agent, condition })
        });
        let members = futures_util::future::join_all(probes).await.into_iter().collect();
        Self { members, obstacle: Mutex::default(), changes: watch::Sender::new(()) }
    }

    /// Looks again for agents that could not be used, and offers those again whose limit is
    /// reset or whose login may be good again, until the token is cancelled.
    pub async fn run(&self, token: CancellationToken) {
        let mut changes = self.changes();
        let mut look_again = interval_at(Instant::now() + LOOK_AGAIN, LOOK_AGAIN);
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                // A new limit may be over sooner than what was waited for.
                Ok(()) = changes.changed() => {}
                _ = look_again.tick() => self.look_for_missing().await,
                () = tokio::time::sleep(self.pause(now())) => {}
            }
            self.release(now());
            self.reconsider_logins(now()).await;
        }
    }

    async fn look_for_missing(&self) {
        for (kind, member) in &self.members {
            let missing = member.condition().found.is_err();
            if missing {
                self.look_again(*kind).await;
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
        let pauses = self.members.values().map(|member| {
            let condition = member.condition();
            let limit = condition.limited_until.map_or(LOOK_AGAIN, |until| until.since(now));
            if condition.login.is_open() { limit.min(LOOK_AT_LOGIN) } else { limit }
        });
        pauses.min().unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)
    }

    /// Lets an attempt have the agent, or says why not. After a refused login only one has it
    /// until the API has answered; each is given back with [`Crew::give_back`].
    pub fn take(&self, kind: AgentKind, attempt: AttemptId) -> Result<(), String> {
        let trial = self.member(kind)?.condition().login.take(attempt);
        if trial.map_err(|why| cannot_be_used(kind, why))? {
            tracing::info!(agent = %kind, %attempt, "this attempt tries the login that was refused");
            self.changes.send_replace(());
        }
        Ok(())
    }

    /// The attempt needs the agent no more.
    pub fn give_back(&self, kind: AgentKind, attempt: AttemptId) {
        let Some(member) = self.members.get(&kind) else { return };
        let untried = member.condition().login.ended(attempt);
        if untried {
            self.changes.send_replace(());
        }
    }

    /// The API refused the login of this attempt's agent. `why` is for people.
    pub async fn login_refused(&self, kind: AgentKind, attempt: AttemptId, why: &str, now: Timestamp) {
        let Some(member) = self.members.get(&kind) else { return };
        let credential = member.agent.credential().await;
        member.condition().login.refused(attempt, why.to_owned(), credential, now);
        tracing::warn!(agent = %kind, %attempt, why, "agent not offered: its login was refused");
        self.changes.send_replace(());
        self.look_again(kind).await;
    }

    /// The API answered an attempt of this agent.
    pub fn login_accepted(&self, kind: AgentKind) {
        let Some(member) = self.members.get(&kind) else { return };
        let in_doubt = member.condition().login.answered();
        if in_doubt {
            tracing::info!(agent = %kind, "login accepted; agent offered again");
            self.changes.send_replace(());
        }
    }

    /// Has those logins tried again that are others now, or were waited out.
    async fn reconsider_logins(&self, now: Timestamp) {
        for (kind, member) in &self.members {
            let open = member.condition().login.is_open();
            if !open {
                continue;
            }
            let credential = member.agent.credential().await;
            let again = member.condition().login.reconsider(credential, now);
            if again {
                tracing::info!(agent = %kind, "agent offered again: one attempt tries its login");
                self.changes.send_replace(());
            }
        }
    }

    /// Offers no agent at all while there is something that keeps the host from any work. Says whether
    /// that has changed.
    pub fn set_obstacle(&self, why: Option<String>) -> bool {
        let before = std::mem::replace(&mut *self.lock_obstacle(), why.clone());
        if before.is_some() == why.is_some() {
            return false;
        }
        match why {
            Some(why) => tracing::warn!(why, "nothing is taken on"),
            None => tracing::info!("work is taken on again"),
        }
        self.changes.send_replace(());
        true
    }

    fn obstacle(&self) -> Option<String> {
        self.lock_obstacle().clone()
    }

    fn lock_obstacle(&self) -> MutexGuard<'_, Option<String>> {
        self.obstacle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Every agent known here: what is offered, and why the others are not.
    pub fn readiness(&self) -> Vec<v1::AgentReadiness> {
        let obstacle = self.obstacle();
        let readiness = self.members.iter().map(|(kind, member)| match &obstacle {
            Some(why) => v1::AgentReadiness {
                name: kind.to_string(),
                unusable_because: why.clone(),
                ..Default::default()
            },
            None => on_the_wire(*kind, &member.condition()),
        });
        readiness.collect()
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
mod tests;
