//! Files that an agent takes for itself at work, beside those its task came with.

use std::time::Duration;

use factory_domain::PathPattern;
use uuid::Uuid;

use super::acting::Acting;
use super::{App, Error};
use crate::store::{FileInTheWay, Locking, Other, WantedFiles};

/// How long an agent waits for files at most.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);
/// A wish that nobody waits for any more runs out unseen; this is how late others find out.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What became of a wish for files.
#[derive(Debug)]
pub enum Locked {
    Granted,
    /// Not in time: who has what is in the way.
    Held(Vec<FileInTheWay>),
    /// It was not waited for, and why.
    Refused(String),
}

impl App {
    /// Takes all of `paths` for the agent or none, and waits for others to give theirs back. The place
    /// in the line is the store's; here are only those who wait, woken by whatever frees files.
    pub async fn lock_files(
        &self,
        acting: &Acting,
        paths: Vec<PathPattern>,
        wait: Duration,
    ) -> Result<Locked, Error> {
        let (call, until) = (Uuid::now_v7(), self.clock.now().after(wait.min(LONGEST_WAIT)));
        let mut stands_in_line = false;
        loop {
            let (freed, now) = (self.freed.notified(), self.clock.now());
            let wanted = WantedFiles {
                attempt: acting.attempt,
                paths: paths.clone(),
                call,
                until,
                connected: self.fleet.kinds(),
            };
            let locked = match self.store.lock_files(wanted, now).await? {
                Locking::Granted => Locked::Granted,
                Locking::Waits(held) if until <= now => Locked::Held(held),
                Locking::Waits(_) => {
                    // Who now waits for this one need not be waited for.
                    if !std::mem::replace(&mut stands_in_line, true) {
                        self.freed.notify_waiters();
                    }
                    tokio::select! {
                        () = freed => {}
                        () = tokio::time::sleep(until.since(now).min(LOOK_AGAIN)) => {}
                        () = self.stopping.cancelled() => return Err(Error::Stopping),
                    }
                    continue;
                }
                Locking::Circle(others) => Locked::Refused(circle(&others)),
                Locking::Overtaken => {
                    return Ok(Locked::Refused("a later call of the same agent waits for files".to_owned()));
                }
                Locking::NoRepository => {
                    return Err(Error::invalid("paths", "need a repository, and the task has none"));
                }
                Locking::Over => return Err(Error::NotYours(acting.attempt)),
            };
            if stands_in_line {
                self.files_changed();
            }
            return Ok(locked);
        }
    }

    /// Gives back what the agent took itself: `paths`, or all of it where there are none.
    pub async fn unlock_files(&self, acting: &Acting, paths: Vec<PathPattern>) -> Result<(), Error> {
        if self.store.unlock_files(acting.attempt, paths).await? {
            self.files_changed();
        }
        Ok(())
    }

    /// Others may be served, at work and in the queue.
    fn files_changed(&self) {
        self.freed.notify_waiters();
        self.schedule.notify_one();
    }
}

/// For the agent, which can only act on its own part of it.
fn circle(others: &[Other]) -> String {
    let mut waits: Vec<String> = others.iter().map(ToString::to_string).collect();
    waits.push("this one".to_owned());
    format!(
        "waiting would never end: this task would wait for {}; give back what you took with unlock_files and ask \
         for all of it at once, or do something else first",
        waits.join(", which waits for ")
    )
}
