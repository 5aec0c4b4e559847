//! What is offered, and when again.

use super::*;
use crate::agents::{Fingerprint, Job, Launch, LaunchError, Transcript};
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use uuid::Uuid;

/// An agent that is logged in, or is not.
#[derive(Default)]
struct Moody {
    logged_in: AtomicBool,
    key: AtomicU8,
}

#[async_trait]
impl Agent for Moody {
    fn kind(&self) -> AgentKind {
        AgentKind::Claude
    }

    async fn probe(&self) -> Result<AgentVersion, Unavailable> {
        match self.logged_in.load(Ordering::SeqCst) {
            true => Ok(AgentVersion { version: "1".into(), warning: None }),
            false => Err(Unavailable("it is not logged in".into())),
        }
    }

    async fn credential(&self) -> Option<Fingerprint> {
        Some(Fingerprint::of(self.key.load(Ordering::SeqCst)))
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

    agent.logged_in.store(true, Ordering::SeqCst);
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
    agent.logged_in.store(true, Ordering::SeqCst);
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
    agent.logged_in.store(true, Ordering::SeqCst);
    let crew = Crew::of(vec![agent]).await;
    let now = Timestamp::from_millis(1_900_000_000_000);
    crew.hold_back(AgentKind::Claude, now, now);
    assert!(crew.offers(AgentKind::Claude).is_ok());
    crew.hold_back(AgentKind::Claude, Timestamp::from_millis(i64::MAX), now);
    assert!(crew.offers(AgentKind::Claude).is_err());
    crew.release(now.after(LONGEST_USAGE_LIMIT));
    assert!(crew.offers(AgentKind::Claude).is_ok());
}

#[tokio::test]
async fn a_refused_login_holds_its_agent_back_until_one_attempt_was_answered() {
    let agent = Arc::new(Moody::default());
    agent.logged_in.store(true, Ordering::SeqCst);
    let crew = Crew::of(vec![agent.clone()]).await;
    let at = |seconds| Timestamp::from_millis(1_900_000_000_000).after(Duration::from_secs(seconds));
    let [first, second, third] = [(); 3].map(|()| AttemptId::from_uuid(Uuid::now_v7()));
    let (kind, why) = (AgentKind::Claude, "Claude Code's login was refused");
    assert!(crew.take(kind, first).is_ok() && crew.take(kind, second).is_ok(), "nothing is wrong yet");

    crew.login_refused(kind, first, why, at(0)).await;
    let told = &crew.readiness()[0].unusable_because;
    assert!(told.contains(why) && told.contains("tries it again at 17:47 UTC on Sun"), "{told}");
    assert!(crew.offers(kind).is_err() && crew.take(kind, third).is_err());
    assert_eq!(crew.pause(at(1)), LOOK_AT_LOGIN);

    crew.reconsider_logins(at(59)).await;
    assert!(crew.offers(kind).is_err());
    let mut changes = crew.changes();
    agent.key.store(1, Ordering::SeqCst);
    crew.reconsider_logins(at(59)).await;
    assert!(changes.has_changed().expect("the crew lives"), "someone logged in again");
    assert!(crew.offers(kind).is_ok() && crew.take(kind, third).is_ok());
    let told = &crew.readiness()[0].unusable_because;
    assert!(told.ends_with("one task is trying it again now"), "{told}");
    assert!(crew.take(kind, first).is_err());

    changes.mark_unchanged();
    crew.login_accepted(kind);
    assert!(changes.has_changed().expect("the crew lives"));
    assert_eq!(crew.readiness()[0].unusable_because, "");
    assert!(crew.take(kind, first).is_ok());
}

#[tokio::test]
async fn a_trial_given_back_untried_lets_the_next_one_try() {
    let agent = Arc::new(Moody::default());
    agent.logged_in.store(true, Ordering::SeqCst);
    let crew = Crew::of(vec![agent]).await;
    let now = Timestamp::from_millis(1_900_000_000_000);
    let [first, second, third] = [(); 3].map(|()| AttemptId::from_uuid(Uuid::now_v7()));
    crew.login_refused(AgentKind::Claude, first, "401", now).await;
    crew.reconsider_logins(now.after(Duration::from_secs(60))).await;
    assert!(crew.take(AgentKind::Claude, second).is_ok());
    assert!(crew.offers(AgentKind::Claude).is_err());
    crew.give_back(AgentKind::Claude, second);
    assert!(crew.offers(AgentKind::Claude).is_ok());
    assert!(crew.take(AgentKind::Claude, third).is_ok());
}
