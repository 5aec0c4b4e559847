//! The time limits of an attempt, decided with the time passed in.

use std::time::Duration;

use factory_domain::{Failure, FailureReason, TaskSpec, Timestamp};

/// What is due once a limit has passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// The agent has failed.
    Failed(Failure),
    /// It was done before; its process, which stays for no reason, is ended.
    Lingered,
}

/// When an agent has had its time. Stands on the worker's own clock: both ends of a span are taken here.
#[derive(Debug, Clone)]
pub struct Deadlines {
    total: Option<Duration>,
    idle: Option<Duration>,
    /// Between two lines once it is done.
    linger: Duration,
    done: bool,
    started: Timestamp,
    last_line: Timestamp,
}

impl Deadlines {
    pub fn new(spec: &TaskSpec, linger: Duration, started: Timestamp) -> Self {
        let (total, idle) = (spec.timeout, spec.idle_timeout);
        Self { total, idle, linger, done: false, started, last_line: started }
    }

    /// The agent said something. `done`: it has given its result, and nothing more is known to come.
    pub fn heard(&mut self, at: Timestamp, done: bool) {
        self.last_line = self.last_line.max(at);
        self.done = done;
    }

    /// How long nothing can be due yet; `None` where no limit was set.
    pub fn pause(&self, now: Timestamp) -> Option<Duration> {
        let total = self.total.map(|span| self.started.after(span));
        let idle = self.idle.map(|span| self.last_line.after(span));
        let linger = self.done.then(|| self.last_line.after(self.linger));
        [total, idle, linger].into_iter().flatten().min().map(|due| due.since(now))
    }

    /// What follows from the limits that have been passed, if any has.
    pub fn passed(&self, now: Timestamp) -> Option<Due> {
        let failed = self.failed(now);
        if self.done {
            let lingered = failed.is_some() || now.since(self.last_line) >= self.linger;
            return lingered.then_some(Due::Lingered);
        }
        failed.map(Due::Failed)
    }

    fn failed(&self, now: Timestamp) -> Option<Failure> {
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
        Deadlines::new(&draft.validate().expect("valid"), Duration::from_millis(1_000), at(0))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn reason(deadlines: &Deadlines, now: i64) -> Option<FailureReason> {
        match deadlines.passed(at(now))? {
            Due::Failed(failure) => Some(failure.reason),
            Due::Lingered => panic!("it was never done"),
        }
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
        deadlines.heard(at(1_900), false);
        assert_eq!(reason(&deadlines, 3_899), None);
        assert_eq!(reason(&deadlines, 3_900), Some(FailureReason::TimeoutIdle));
        deadlines.heard(at(9_900), false);
        assert_eq!(deadlines.pause(at(9_950)), Some(Duration::from_millis(50)));
        assert_eq!(reason(&deadlines, 10_000), Some(FailureReason::TimeoutTotal));
    }

    #[test]
    fn an_agent_that_is_done_may_stay_a_while_after_its_last_line_and_fails_no_more() {
        let mut deadlines = deadlines(Some(10_000), Some(2_000));
        deadlines.heard(at(500), true);
        assert_eq!(deadlines.pause(at(500)), Some(Duration::from_millis(1_000)));
        deadlines.heard(at(1_400), true);
        assert_eq!(deadlines.passed(at(2_399)), None, "a line after the result puts it off");
        assert_eq!(deadlines.passed(at(2_400)), Some(Due::Lingered));
        assert_eq!(deadlines.passed(at(20_000)), Some(Due::Lingered), "no limit makes it a failure");
        deadlines.heard(at(2_400), false);
        assert_eq!(reason(&deadlines, 3_500), None, "it went on");
        assert_eq!(reason(&deadlines, 4_400), Some(FailureReason::TimeoutIdle));
    }
}
