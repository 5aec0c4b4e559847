//! The two time limits of an attempt, decided with the time passed in.

use std::time::Duration;

use factory_domain::{Failure, FailureReason, TaskSpec, Timestamp};

/// When an agent has had its time. Stands on the worker's own clock: both ends of a span are taken here.
#[derive(Debug, Clone)]
pub struct Deadlines {
    total: Option<Duration>,
    idle: Option<Duration>,
    started: Timestamp,
    last_line: Timestamp,
}

impl Deadlines {
    pub fn new(spec: &TaskSpec, started: Timestamp) -> Self {
        Self { total: spec.timeout, idle: spec.idle_timeout, started, last_line: started }
    }

    /// The agent said something.
    pub fn heard(&mut self, at: Timestamp) {
        self.last_line = self.last_line.max(at);
    }

    /// How long nothing can be due yet; `None` where no limit was set.
    pub fn pause(&self, now: Timestamp) -> Option<Duration> {
        let total = self.total.map(|span| self.started.after(span));
        let idle = self.idle.map(|span| self.last_line.after(span));
        total.into_iter().chain(idle).min().map(|due| due.since(now))
    }

    /// The limit that has been passed, if one has.
    pub fn passed(&self, now: Timestamp) -> Option<Failure> {
        if let Some(total) = self.total.filter(|span| now.since(self.started) >= *span) {
            return Some(Failure {
                reason: FailureReason::TimeoutTotal,
                message: format!(
                    "the agent did not end within {total:?}; give the task more time (--timeout) or less to do"
                ),
            });
        }
        let idle = self.idle.filter(|span| now.since(self.last_line) >= *span)?;
        Some(Failure {
            reason: FailureReason::TimeoutIdle,
            message: format!("the agent said nothing for {idle:?}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use factory_domain::SpecDraft;

    fn deadlines(timeout: Option<u64>, idle: Option<u64>) -> Deadlines {
        let draft = SpecDraft {
            prompt: "x".into(),
            timeout: timeout.map(Duration::from_millis),
            idle_timeout: idle.map(Duration::from_millis),
            ..SpecDraft::default()
        };
        Deadlines::new(&draft.validate().expect("valid"), at(0))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn reason(deadlines: &Deadlines, now: i64) -> Option<FailureReason> {
        deadlines.passed(at(now)).map(|failure| failure.reason)
    }

    #[test]
    fn without_limits_nothing_is_ever_due() {
        let deadlines = deadlines(None, None);
        assert_eq!(deadlines.pause(at(0)), None);
        assert_eq!(reason(&deadlines, i64::MAX), None);
    }

    #[test]
    fn a_line_puts_off_the_idle_limit_but_not_the_total_one() {
        let mut deadlines = deadlines(Some(10_000), Some(2_000));
        assert_eq!(deadlines.pause(at(500)), Some(Duration::from_millis(1_500)));
        deadlines.heard(at(1_900));
        assert_eq!(reason(&deadlines, 3_899), None);
        assert_eq!(reason(&deadlines, 3_900), Some(FailureReason::TimeoutIdle));
        deadlines.heard(at(9_900));
        assert_eq!(deadlines.pause(at(9_950)), Some(Duration::from_millis(50)));
        assert_eq!(reason(&deadlines, 10_000), Some(FailureReason::TimeoutTotal));
    }
}
