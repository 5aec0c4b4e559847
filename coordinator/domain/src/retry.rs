//! When a failed attempt is followed by another, and after how long.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::task::FailureClass;
use crate::{AttemptId, Failure, Timestamp};

/// What a task has used up so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Attempts opened, returned offers included. The next attempt's number is one more.
    pub attempts: u32,
    /// Failures that count against `max_attempts`.
    pub agent_failures: u32,
    /// Failures of the factory's own, bounded by `max_infrastructure_failures`.
    pub infrastructure_failures: u32,
    /// Attempts that a usage limit ended, bounded by [`MAX_USAGE_LIMITS`].
    pub usage_limits: u32,
}

/// No limit's reset is waited for longer: the longest there is, a week's, and a day for clocks
/// that disagree. What names a later time is not believed.
pub const LONGEST_USAGE_LIMIT: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// Usage limits after which a task is given up: a reset that frees nothing so often is none.
pub const MAX_USAGE_LIMITS: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Tries in all that may end in a failure of the agent's.
    pub max_attempts: u32,
    pub max_infrastructure_failures: u32,
    pub backoff: Backoff,
}

/// Doubling pauses, spread by jitter so that tasks that failed together do not return together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The pause after the first failure, before jitter.
    pub base: Duration,
    /// No pause is longer.
    pub cap: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_secs(5), cap: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// The pause after the `failures`-th failure: `base · 2^(failures-1)`, capped, of which
    /// between half and all is taken. `seed` decides where between; the same seed, the same pause.
    pub fn pause(&self, failures: u32, seed: u64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        let half = full / 2;
        // 16 bits are jitter enough, and keep the arithmetic in whole milliseconds.
        let share = u128::from(seed & 0xffff);
        let spread = half.as_millis() * share / 0xffff;
        half + Duration::from_millis(u64::try_from(spread).unwrap_or(u64::MAX))
    }
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    RetryAt(Timestamp),
    GiveUp,
}

impl RetryPolicy {
    /// Counts `failure` into `tally` and says what follows.
    pub fn judge(&self, tally: &mut Tally, attempt: AttemptId, failure: &Failure, now: Timestamp) -> Verdict {
        let (count, limit) = match failure.reason.class() {
            FailureClass::Final => return Verdict::GiveUp,
            FailureClass::Agent => {
                tally.agent_failures += 1;
                (tally.agent_failures, self.max_attempts)
            }
            FailureClass::Infrastructure => {
                tally.infrastructure_failures += 1;
                (tally.infrastructure_failures, self.max_infrastructure_failures)
            }
        };
        if count >= limit {
            return Verdict::GiveUp;
        }
        Verdict::RetryAt(now.after(self.backoff.pause(count, jitter(attempt))))
    }

    /// Counts a usage limit that is reset at `until` into `tally` and says what follows: the next try
    /// is then, but after no shorter a pause than a failure's, so that a reset already past is not hammered.
    pub fn judge_limit(
        &self,
        tally: &mut Tally,
        attempt: AttemptId,
        until: Timestamp,
        now: Timestamp,
    ) -> Verdict {
        tally.usage_limits += 1;
        if tally.usage_limits >= MAX_USAGE_LIMITS {
            return Verdict::GiveUp;
        }
        let latest = now.after(LONGEST_USAGE_LIMIT);
        let earliest = now.after(self.backoff.pause(tally.usage_limits, jitter(attempt))).min(latest);
        Verdict::RetryAt(until.clamp(earliest, latest))
    }
}

/// An attempt's id ends in random bits: jitter without a generator in the domain.
fn jitter(attempt: AttemptId) -> u64 {
    let (_, seed) = attempt.as_uuid().as_u64_pair();
    seed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_pause_lies_between_half_and_all_of_its_step(
            base in 0u64..100_000, cap in 0u64..1_000_000, failures in 0u32..100, seed: u64,
        ) {
            let backoff = Backoff { base: Duration::from_millis(base), cap: Duration::from_millis(cap) };
            let step = u128::from(base)
                .saturating_mul(1u128 << failures.saturating_sub(1).min(31))
                .min(u128::from(cap));
            let pause = backoff.pause(failures, seed).as_millis();
            prop_assert!(pause <= step, "{pause} > {step}");
            prop_assert!(pause + 1 >= step / 2, "{pause} < {step}/2");
        }
    }
}
