//! The host's lease: until when the agents of this host may live, told to their shims through a file.
//!
//! A daemon that is frozen or dead ends no agent, so every shim must know by itself when to end its
//! own. The daemon writes a deadline to `<root>/lease` and moves it on with every acknowledged
//! heartbeat. A shim looks at the file now and then, and ends its agent once the deadline has passed.
//!
//! Why an agent cannot outlive its lease: the coordinator gives an attempt up no sooner than `lease`
//! and `lost_after` after it received the last heartbeat it acknowledged, and it received that after
//! the heartbeat was begun here. The deadline counts from that beginning, and leaves out the kill
//! grace and one heartbeat as a margin (see [`span`]). So what is told to end at the deadline, and
//! killed a grace later, is gone before another worker can be given the task. The daemon itself
//! gives up sooner, at [`fence_after`](crate::heartbeat::fence_after), while it can still save and
//! report.
//!
//! Times are of `CLOCK_BOOTTIME`: it also counts what a suspended host sleeps through, and nobody
//! sets it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use factory_domain::LeaseTerms;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::sync::watch;

use crate::heartbeat;

/// A point in time, in milliseconds from this host's boot, sleep included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootTime(u64);

impl BootTime {
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    pub const fn as_millis(self) -> u64 {
        self.0
    }

    pub fn now() -> Self {
        let now = clock_gettime(ClockId::Boottime);
        let part = |value: i64| u64::try_from(value).unwrap_or_default();
        Self(part(now.tv_sec) * 1000 + part(now.tv_nsec) / 1_000_000)
    }

    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Zero where `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// From the beginning of a heartbeat that is acknowledged to the time when agents are told to end.
/// See the module's words. Never sooner than the daemon's own fence.
pub fn span(terms: &LeaseTerms, kill_grace: Duration) -> Duration {
    let given_up = terms.lease + terms.lost_after;
    given_up.saturating_sub(kill_grace + terms.heartbeat).max(heartbeat::fence_after(terms, kill_grace))
}

/// The daemon's side.
#[derive(Debug)]
pub struct HostLease {
    path: PathBuf,
    file: File,
    /// `None` until a heartbeat of this daemon's was acknowledged.
    deadline: watch::Sender<Option<BootTime>>,
}

impl HostLease {
    /// Opens the lease under the worker's root. What an earlier daemon wrote there stays true for
    /// the agents it started; where there is nothing, or nonsense, the lease has run out.
    pub fn open(root: &Path) -> io::Result<Self> {
        let path = root.join("lease");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
        if read(&path).is_err() {
            // Also takes the file's one block, so that a disk that is full later changes nothing.
            file.write_all_at(encode(BootTime(0)).as_bytes(), 0)?;
        }
        Ok(Self { path, file, deadline: watch::Sender::new(None) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A heartbeat begun at this time was acknowledged. A few bytes in place, which no full disk
    /// prevents and which need not survive the host: no agent does.
    pub fn extend(&self, begun: BootTime, terms: &LeaseTerms, kill_grace: Duration) -> io::Result<()> {
        let deadline = begun.after(span(terms, kill_grace));
        self.file.write_all_at(encode(deadline).as_bytes(), 0)?;
        self.deadline.send_replace(Some(deadline));
        Ok(())
    }

    /// Until when agents may live by what is known now; zero: nothing was granted yet.
    pub fn deadline(&self) -> BootTime {
        self.deadline.borrow().unwrap_or(BootTime(0))
    }

    /// Waits until agents may be started: not before this daemon was heard, and not while it is not.
    pub async fn granted(&self, now: impl Fn() -> BootTime) {
        let mut deadline = self.deadline.subscribe();
        // Its sender is `self`: it cannot have gone.
        let _ = deadline.wait_for(|deadline| deadline.is_some_and(|deadline| deadline > now())).await;
    }
}

/// A shim's side: the deadline as it was last read, and a timer for the next look.
#[derive(Debug)]
pub struct LeaseWatch {
    path: PathBuf,
    deadline: BootTime,
    timer: OwnedFd,
}

/// The shortest time between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl LeaseWatch {
    /// # Errors
    /// Where the file says nothing: whoever starts an agent has a lease, and an agent that nothing
    /// would end must not begin.
    pub fn begin(path: PathBuf) -> io::Result<Self> {
        let deadline = read(&path)?;
        // Of the same clock: a timeout would wait through a host's sleep, and the lease does not.
        let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)?;
        let watch = Self { path, deadline, timer };
        watch.set_timer(BootTime::now())?;
        Ok(watch)
    }

    /// Readable when it is time to [`look`](Self::look).
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }

    /// Reads the deadline again. Once it has passed: for how long it has.
    ///
    /// A file that cannot be read leaves the deadline that is known, after which the agent ends: one
    /// ended for nothing costs a try that is not the task's, and one too many may push over
    /// another's work. Looking at half the time left gives a fault many looks to pass in.
    pub fn look(&mut self) -> io::Result<Option<Duration>> {
        match read(&self.path) {
            Ok(deadline) => self.deadline = deadline,
            Err(error) => eprintln!("the lease {} cannot be read: {error}", self.path.display()),
        }
        let now = BootTime::now();
        if self.deadline <= now {
            return Ok(Some(now.since(self.deadline)));
        }
        self.set_timer(now)?;
        Ok(None)
    }

    fn set_timer(&self, now: BootTime) -> io::Result<()> {
        let pause = (self.deadline.since(now) / 2).max(LOOK_AGAIN);
        let at = now.after(pause).min(self.deadline);
        let at = Duration::from_millis(at.0.max(1)); // 0 would switch the timer off
        let timer = Itimerspec {
            it_interval: Timespec::default(),
            it_value: Timespec::try_from(at).map_err(io::Error::other)?,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &timer)?;
        Ok(())
    }
}

/// Bytes of the file: twenty digits and their checksum, in a line that people can read too.
const LENGTH: usize = 30;

fn encode(deadline: BootTime) -> String {
    let digits = format!("{:020}", deadline.0);
    let checksum = crc32fast::hash(digits.as_bytes());
    format!("{digits} {checksum:08x}\n")
}

/// `None`: not what [`encode`] wrote, such as a mixture of two deadlines.
fn decode(text: &[u8]) -> Option<BootTime> {
    let digits = std::str::from_utf8(text).ok()?.get(..20)?;
    let deadline = BootTime(digits.parse().ok()?);
    (encode(deadline).as_bytes() == text).then_some(deadline)
}

/// The deadline that the lease's file holds.
///
/// # Errors
/// `InvalidData` where it holds none.
pub fn read(path: &Path) -> io::Result<BootTime> {
    let file = File::open(path)?;
    // A write may be under way; it takes less time than a second look.
    for _ in 0..3 {
        let mut text = [0; LENGTH];
        file.read_exact_at(&mut text, 0)?;
        if let Some(deadline) = decode(&text) {
            return Ok(deadline);
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "it holds no deadline"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(span: u64) -> Duration {
        Duration::from_millis(span)
    }

    proptest! {
        /// For graces that leave an attempt time at all: half of `lost_after`, as for the fence.
        #[test]
        fn an_agent_is_dead_before_its_attempt_can_be_lost_and_after_the_daemons_own_fence(
            heartbeat in 1u64..60_000,
            lease in 0u64..600_000,
            lost_after in 1u64..1_000_000,
            grace in 0u64..500_000,
            begun in 0u64..1_000_000_000,
            received in 0u64..60_000,
        ) {
            prop_assume!(grace <= lost_after / 2);
            let terms = LeaseTerms {
                heartbeat: millis(heartbeat),
                lease: millis(lease),
                lost_after: millis(lost_after),
                ..LeaseTerms::default()
            };
            let begun = BootTime(begun);
            let told_to_end = begun.after(span(&terms, millis(grace)));
            let given_up = begun.after(millis(received)).after(terms.lease + terms.lost_after);
            prop_assert!(told_to_end.after(millis(grace)) <= given_up);
            prop_assert!(begun.after(heartbeat::fence_after(&terms, millis(grace))) <= told_to_end);
        }

        #[test]
        fn a_mixture_of_two_deadlines_is_none(one: u64, other: u64, at in 1usize..LENGTH) {
            let (one, other) = (encode(BootTime(one)), encode(BootTime(other)));
            prop_assert_eq!(one.len(), LENGTH);
            let torn = [&one.as_bytes()[..at], &other.as_bytes()[at..]].concat();
            let whole = torn == one.as_bytes() || torn == other.as_bytes();
            prop_assert_eq!(decode(&torn).is_some(), whole);
        }
    }

    #[test]
    fn with_the_usual_terms_all_but_a_grace_and_a_heartbeat_is_used() {
        assert_eq!(span(&LeaseTerms::default(), Duration::from_secs(10)), Duration::from_secs(340));
    }

    #[tokio::test]
    async fn agents_may_start_once_a_heartbeat_was_acknowledged() {
        let root = tempfile::tempdir().unwrap();
        let lease = HostLease::open(root.path()).unwrap();
        assert_eq!(read(lease.path()).unwrap(), BootTime(0), "nothing was granted yet");
        let (terms, grace) = (LeaseTerms::default(), Duration::ZERO);
        tokio::select! {
            biased;
            () = lease.granted(BootTime::now) => panic!("nobody was heard"),
            () = std::future::ready(()) => {}
        }
        let begun = BootTime::now();
        lease.extend(begun, &terms, grace).unwrap();
        lease.granted(BootTime::now).await;
        drop(lease);
        let again = HostLease::open(root.path()).unwrap();
        assert_eq!(read(again.path()).unwrap(), begun.after(span(&terms, grace)), "a restart keeps it");
    }

    #[test]
    fn a_lease_that_cannot_be_read_starts_no_agent_and_keeps_one_no_longer_than_it_did() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("lease");
        assert_eq!(LeaseWatch::begin(path.clone()).unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, encode(BootTime::now().after(millis(3_600_000)))).unwrap();
        let mut watch = LeaseWatch::begin(path.clone()).unwrap();
        let known = watch.deadline;
        for nonsense in ["", "tomorrow", "00000000000000000001 00000000\n"] {
            std::fs::write(&path, nonsense).unwrap();
            assert_eq!(watch.look().unwrap(), None);
            assert_eq!(watch.deadline, known, "{nonsense:?}");
        }
        std::fs::write(&path, encode(BootTime(1))).unwrap();
        assert!(watch.look().unwrap().is_some());
    }
}
