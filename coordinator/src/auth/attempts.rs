//! How often a token may be guessed in the form. What is kept has one size, whoever calls.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use factory_domain::Timestamp;

/// Callers are told apart by this many places, which those who share one also share the count of.
const PLACES: usize = 256;
/// Wrong tokens within one [`WINDOW`].
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Default)]
struct Place {
    since: Timestamp,
    count: u32,
}

pub struct Attempts {
    /// Keyed anew by every process, so that nobody can choose whose place they share.
    hasher: RandomState,
    places: Mutex<[Place; PLACES]>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { hasher: RandomState::new(), places: Mutex::new([Place::default(); PLACES]) }
    }
}

impl Attempts {
    /// Counts an attempt before it is looked at, so that many at once are no way around; or says how long to wait.
    pub fn begin(&self, peer: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &mut places[self.place(peer)];
        let elapsed = now.since(place.since);
        if elapsed >= WINDOW {
            *place = Place { since: now, count: 0 };
        } else if place.count >= MOST {
            return Err(WINDOW - elapsed);
        }
        place.count += 1;
        Ok(())
    }

    /// It was the right one.
    pub fn forget(&self, peer: IpAddr) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places[self.place(peer)] = Place::default();
    }

    fn place(&self, peer: IpAddr) -> usize {
        // Below PLACES, which fits any size.
        (self.hasher.hash_one(peer) % PLACES as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_ends_for_a_while_and_the_right_one_clears_the_count() {
        let attempts = Attempts::default();
        let peer = IpAddr::from([192, 0, 2, 7]);
        let now = Timestamp::from_millis(1_000_000);
        for _ in 1..MOST {
            attempts.begin(peer, now).expect("one more");
        }
        attempts.forget(peer);
        for _ in 0..MOST {
            attempts.begin(peer, now).expect("one more");
        }
        let later = now.after(Duration::from_secs(20));
        assert_eq!(attempts.begin(peer, later), Err(Duration::from_secs(40)));
        assert_eq!(attempts.begin(peer, now.after(WINDOW)), Ok(()));
    }

    #[test]
    fn one_who_guesses_costs_few_others_their_turn() {
        let attempts = Attempts::default();
        let now = Timestamp::from_millis(1_000_000);
        while attempts.begin(IpAddr::from([192, 0, 2, 7]), now).is_ok() {}
        let others = (0..=255).map(|last| IpAddr::from([198, 51, 100, last]));
        let refused = others.filter(|other| attempts.begin(*other, now).is_err()).count();
        assert!(refused < 64, "{refused} of 256");
    }
}
