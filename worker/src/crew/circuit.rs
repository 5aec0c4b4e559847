//! Whether an agent's login is believed in: a circuit breaker.
//!
//! The attempt that meets a refused login fails at once, and every further one would do the same. So
//! the agent is held back until its credential is another one, or a growing pause is over. One attempt
//! tries it then, and the others wait for what the API answers that one.

use std::time::Duration;

use factory_domain::{AttemptId, Timestamp};

use super::clock;
use crate::agents::Fingerprint;

/// The pause after a refusal, doubled with each further one of the same credential …
const FIRST_PAUSE: Duration = Duration::from_secs(60);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

#[derive(Debug, Default)]
pub struct Circuit(State);

#[derive(Debug, Default)]
enum State {
    /// Nothing speaks against the login.
    #[default]
    Closed,
    /// Nobody tries it.
    Open(Refusal),
    /// The next attempt taken on tries it.
    HalfOpen(Refusal),
    /// This attempt tries it.
    OnTrial { by: AttemptId, refusal: Refusal },
}

/// What the API said last.
#[derive(Debug, Clone, PartialEq)]
struct Refusal {
    at: Timestamp,
    why: String,
    /// From the refusal to the next try.
    pause: Duration,
    credential: Option<Fingerprint>,
}

impl Refusal {
    fn again_at(&self) -> Timestamp {
        self.at.after(self.pause)
    }
}

impl Circuit {
    /// Why the agent is not offered; `None` where its login does not stand in the way.
    pub fn obstacle(&self) -> Option<String> {
        let (refusal, next) = match &self.0 {
            State::Closed | State::HalfOpen(_) => return None,
            State::Open(refusal) => {
                let again = clock(refusal.again_at());
                (refusal, format!("one task tries it again at {again}, or once the login is another"))
            }
            State::OnTrial { refusal, .. } => (refusal, "one task is trying it again now".to_owned()),
        };
        Some(format!("the API refused its login at {}: {}; {next}", clock(refusal.at), refusal.why))
    }

    /// Lets an attempt use the login, or says why not. True: it is the one that tries it.
    pub fn take(&mut self, attempt: AttemptId) -> Result<bool, String> {
        match &self.0 {
            State::HalfOpen(refusal) => {
                self.0 = State::OnTrial { by: attempt, refusal: refusal.clone() };
                Ok(true)
            }
            State::OnTrial { by, .. } if *by == attempt => Ok(false),
            _ => self.obstacle().map_or(Ok(false), Err),
        }
    }

    /// The API refused the login of this attempt. Others that had begun with it say nothing new.
    pub fn refused(
        &mut self,
        attempt: AttemptId,
        why: String,
        credential: Option<Fingerprint>,
        now: Timestamp,
    ) {
        let pause = match &self.0 {
            State::Closed => FIRST_PAUSE,
            State::OnTrial { by, refusal } if *by == attempt => {
                (refusal.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE)
            }
            _ => return,
        };
        self.0 = State::Open(Refusal { at: now, why, pause, credential });
    }

    /// The API has answered an attempt: the login is good. True: it was in doubt.
    pub fn answered(&mut self) -> bool {
        !matches!(std::mem::take(&mut self.0), State::Closed)
    }

    /// The attempt has ended. True: it was to try the login and did not come to it; another may.
    pub fn ended(&mut self, attempt: AttemptId) -> bool {
        match &self.0 {
            State::OnTrial { by, refusal } if *by == attempt => {
                self.0 = State::HalfOpen(refusal.clone());
                true
            }
            _ => false,
        }
    }

    pub const fn is_open(&self) -> bool {
        matches!(self.0, State::Open(_))
    }

    /// Lets one attempt try the login, where its time has come or it is another. True: so it is.
    pub fn reconsider(&mut self, credential: Option<Fingerprint>, now: Timestamp) -> bool {
        let State::Open(refusal) = &self.0 else { return false };
        let changed = refusal.credential != credential;
        if !changed && now < refusal.again_at() {
            return false;
        }
        // Another credential is not to pay for the old one's refusals.
        let pause = if changed { Duration::ZERO } else { refusal.pause };
        self.0 = State::HalfOpen(Refusal { pause, ..refusal.clone() });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn attempt() -> AttemptId {
        AttemptId::from_uuid(Uuid::now_v7())
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_900_000_000_000).after(Duration::from_secs(seconds))
    }

    fn key(key: &str) -> Option<Fingerprint> {
        Some(Fingerprint::of(key.as_bytes()))
    }

    fn refused_once(credential: Option<Fingerprint>) -> Circuit {
        let mut circuit = Circuit::default();
        circuit.refused(attempt(), "401".to_owned(), credential, at(0));
        circuit
    }

    #[test]
    fn a_refused_login_is_tried_by_one_attempt_at_a_time_after_growing_pauses() {
        let mut circuit = refused_once(key("a"));
        let why = circuit.obstacle().expect("it is held back");
        assert!(why.starts_with("the API refused its login at 17:46 UTC on Sun: 401; one task"), "{why}");
        let (mut now, mut pause) = (0, 60);
        for _ in 0..8 {
            assert!(!circuit.reconsider(key("a"), at(now + pause - 1)), "{pause} s are not over");
            assert!(circuit.take(attempt()).is_err());
            assert!(circuit.reconsider(key("a"), at(now + pause)));
            assert_eq!(circuit.obstacle(), None);
            let trial = attempt();
            assert_eq!(circuit.take(trial), Ok(true));
            assert_eq!(circuit.take(trial), Ok(false), "an offer may come twice");
            let why = circuit.take(attempt()).expect_err("one is enough");
            assert!(why.ends_with("one task is trying it again now"), "{why}");
            now += pause;
            circuit.refused(trial, "401".to_owned(), key("a"), at(now));
            pause = (pause * 2).min(3600);
        }
    }

    #[test]
    fn another_credential_is_tried_at_once_and_begins_anew() {
        let mut circuit = refused_once(key("a"));
        assert!(circuit.reconsider(key("a"), at(60)));
        let trial = attempt();
        assert_eq!(circuit.take(trial), Ok(true));
        circuit.refused(trial, "401".to_owned(), key("a"), at(61));
        assert!(circuit.reconsider(key("b"), at(62)));
        let trial = attempt();
        assert_eq!(circuit.take(trial), Ok(true));
        circuit.refused(trial, "401".to_owned(), key("b"), at(63));
        assert!(circuit.reconsider(key("b"), at(123)), "the first pause again");
    }

    #[test]
    fn an_answer_ends_the_doubt() {
        let mut circuit = refused_once(None);
        assert!(circuit.reconsider(None, at(60)));
        assert_eq!(circuit.take(attempt()), Ok(true));
        assert!(circuit.answered());
        assert_eq!((circuit.take(attempt()), circuit.obstacle()), (Ok(false), None));
        assert!(!circuit.answered(), "which is no news then");
    }

    #[test]
    fn a_trial_that_never_asked_the_api_leaves_it_to_the_next() {
        let mut circuit = refused_once(None);
        assert!(circuit.reconsider(None, at(60)));
        let trial = attempt();
        assert_eq!(circuit.take(trial), Ok(true));
        assert!(!circuit.ended(attempt()), "another's end");
        assert!(circuit.ended(trial));
        assert_eq!(circuit.take(attempt()), Ok(true));
    }

    #[test]
    fn those_that_had_begun_with_it_add_nothing_by_failing_too() {
        let mut circuit = refused_once(None);
        circuit.refused(attempt(), "401".to_owned(), None, at(50));
        assert!(circuit.reconsider(None, at(60)), "the first refusal's pause");
        circuit.refused(attempt(), "401".to_owned(), None, at(61));
        assert_eq!(circuit.take(attempt()), Ok(true), "nor does it end the chance");
    }
}
