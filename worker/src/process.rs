//! Processes by identity, and the end of all processes of an attempt.
//!
//! A pid alone names nobody for long; with the time it was started at it does. An
//! attempt's processes are found three ways, since an agent's tools daemonize, open
//! sessions of their own and lose their parents: by descent, by session, and by the
//! marker variable in `/proc/PID/environ`, each with all that descends from them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use factory_domain::AttemptId;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use crate::environment::ATTEMPT_MARKER;

/// One process, told apart from any later one with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks from the host's boot to the process's start.
    pub start_time: u64,
}

impl Identity {
    /// The process that has this pid now; `None` where there is none, or only its remains.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        (!stat.is_dead()).then_some(Self { pid, start_time: stat.start_time })
    }

    pub fn current() -> io::Result<Self> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        Self::of(pid)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "/proc does not show this process"))
    }

    pub fn is_alive(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }

    /// A handle that stays with this very process; `None` once it has ended.
    pub fn handle(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(None) };
        match pidfd_open(pid, PidfdFlags::NONBLOCK) {
            // Looked at after the handle was taken: now it cannot be another's.
            Ok(handle) => Ok(self.is_alive().then_some(handle)),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// What is wanted of `/proc/PID/stat`.
struct Stat {
    state: char,
    parent: i32,
    session: i32,
    start_time: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// `PID (NAME) STATE PPID PGRP SESSION …`; the name may hold anything, so its end is the last `)`.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text[text.rfind(')')? + 1..].split_ascii_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_time: fields.get(19)?.parse().ok()?,
        })
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// Whose processes are meant.
#[derive(Debug, Clone)]
pub struct Belonging {
    /// Carriers of this attempt's marker.
    pub attempt: AttemptId,
    /// Members of its session, and its descendants.
    pub shim: Option<Identity>,
}

impl Belonging {
    /// Everything alive that belongs, the calling process and the shim itself excepted; the oldest first,
    /// so that an agent hears of its end before it sees its tools end.
    pub fn find(&self) -> io::Result<Vec<Identity>> {
        let table = process_table()?;
        let marker = format!("{ATTEMPT_MARKER}={}", self.attempt);
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for (pid, stat) in &table {
            children.entry(stat.parent).or_default().push(*pid);
        }
        let shim = self.shim.map(|shim| shim.pid).filter(|pid| !self.is_anothers(*pid, &table));
        let rooted = |pid: i32, stat: &Stat| {
            shim.is_some_and(|shim| pid == shim || stat.session == shim) || carries(pid, &marker)
        };
        let mut queue: Vec<i32> =
            table.iter().filter(|(pid, stat)| rooted(**pid, stat)).map(|(pid, _)| *pid).collect();
        let mut found = HashSet::new();
        while let Some(pid) = queue.pop() {
            if found.insert(pid) {
                queue.extend(children.get(&pid).into_iter().flatten());
            }
        }
        let belongs = |pid: &i32| *pid != own && Some(*pid) != shim;
        let alive = found.into_iter().filter(belongs).filter_map(|pid| {
            let stat = table.get(&pid)?;
            (!stat.is_dead()).then_some(Identity { pid, start_time: stat.start_time })
        });
        let mut alive: Vec<Identity> = alive.collect();
        alive.sort_by_key(|process| process.start_time);
        Ok(alive)
    }

    /// The shim is gone and its pid was given out again. While its session has members that cannot happen.
    fn is_anothers(&self, pid: i32, table: &HashMap<i32, Stat>) -> bool {
        let started = table.get(&pid).map(|stat| stat.start_time);
        started.is_some_and(|started| self.shim.is_some_and(|shim| shim.start_time != started))
    }

    /// Sends a signal to each of them, once.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        for process in self.find()? {
            if let Some(handle) = process.handle()? {
                send(&handle, signal)?;
            }
        }
        Ok(())
    }

    /// Kills until none is left. `reap` is called between the rounds, for a caller whose children they are.
    ///
    /// # Errors
    /// `TimedOut`, naming the pids, where some outlive `patience`: stuck in the kernel, or forking faster
    /// than they can be killed.
    pub fn kill(&self, patience: Duration, mut reap: impl FnMut()) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let processes = self.find()?;
            if processes.is_empty() {
                reap();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let pids: Vec<_> = processes.iter().map(|process| process.pid.to_string()).collect();
                let what = format!("processes {} do not die", pids.join(", "));
                return Err(io::Error::new(io::ErrorKind::TimedOut, what));
            }
            let handles: Vec<OwnedFd> = processes
                .iter()
                .filter_map(|process| process.handle().transpose())
                .collect::<io::Result<_>>()?;
            for handle in &handles {
                send(handle, Signal::KILL)?;
            }
            for handle in &handles {
                wait_for_end(handle, deadline)?;
            }
            reap();
        }
    }
}

fn send(handle: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(handle, signal) {
        // Gone meanwhile; or no longer ours to signal (a setuid program), which the caller finds alive.
        Ok(()) | Err(rustix::io::Errno::SRCH | rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Returns once the process has ended, or at the deadline.
fn wait_for_end(handle: &OwnedFd, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&timeout)) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn process_table() -> io::Result<HashMap<i32, Stat>> {
    let mut table = HashMap::new();
    for entry in std::fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        // A process may end between being listed and being read.
        if let Some((pid, stat)) = pid.and_then(|pid| Some((pid, Stat::read(pid)?))) {
            table.insert(pid, stat);
        }
    }
    Ok(table)
}

/// Whether the process was started with this variable. Another user's processes cannot be read, and are not ours.
fn carries(pid: i32, variable: &str) -> bool {
    std::fs::read(PathBuf::from(format!("/proc/{pid}/environ")))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_is_read() {
        let stat = Stat::parse("12 (a) b) S 7 12 9 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 2").unwrap();
        assert_eq!((stat.state, stat.parent, stat.session, stat.start_time), ('S', 7, 9, 4711));
    }

    #[test]
    fn this_process_is_itself_and_no_other() {
        let own = Identity::current().unwrap();
        assert!(own.is_alive());
        assert!(!Identity { start_time: own.start_time + 1, ..own }.is_alive());
        assert!(Identity { start_time: own.start_time + 1, ..own }.handle().unwrap().is_none());
    }
}
